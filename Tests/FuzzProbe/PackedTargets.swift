import InteractionData
import SystemSupport
import TestSupport

/// Compressed files and archives: damaged ones, and damaged text in whole ones.
enum PackedTargets {
  static func all(in folder: String) -> [FuzzTarget] {
    let text = Array(TableTargets.formats[0].text.utf8)
    return [
      packed("gzip", [PackedExamples.gzip, gzip(text), gzip(text) + gzip(Array("196 242\n".utf8))], folder),
      packed("zstd", [PackedExamples.zstd, PackedExamples.zstd + PackedExamples.zstd], folder),
      packed("xz", [PackedExamples.xz, PackedExamples.xz + PackedExamples.xz], folder),
      packed("bzip2", [PackedExamples.bzip2, PackedExamples.bzip2 + PackedExamples.bzip2], folder),
      packed("zip", [PackedExamples.zip, PackedExamples.zipOfTwo, PackedExamples.encryptedZip], folder),
      packed(
        "tar",
        [
          tar([("ratings.csv", text)]), tar([("README", Array("read me\n".utf8)), ("ml/ratings.csv", text)]),
          gzip(tar([("ratings.csv", text)])), tar([("ratings.csv.gz", PackedExamples.gzip)]),
        ], folder),
      repacked(folder),
    ]
  }

  private static let words =
    ["ratings.csv", "u.data", "README", "ustar", "../../etc/passwd", "PK\u{1}\u{2}", "PK\u{5}\u{6}", "PK\u{7}\u{8}"]

  private static func packed(_ name: String, _ corpus: [[UInt8]], _ folder: String) -> FuzzTarget {
    let path = "\(folder)/packed.\(name)"
    return FuzzTarget(name, corpus: corpus, words: words, places: [path, "any of the 2 files"]) { input, random in
      // The sums of what is damaged are made right again now and then, so that not all is refused for them.
      let input = name == "tar" && random.chance(1, in: 2) ? withTarSums(input) : input
      put(input, path)
      try read(random.chance(1, in: 8) ? path + ":ratings.csv" : path, random.chance(1, in: 4) ? [path] : [])
    }
  }

  private static func read(_ path: String, _ others: [String]) throws {
    var lines: [String] = []
    let loaded = try DatasetLoader.load([path] + others, options: LoadingOptions(skipBadRows: true)) { lines.append($0) }
    for line in lines { try requirePrintable(line) }
    try TableTargets.check(loaded.dataset)
  }

  /// Text that is packed whole is read as it is without: the same data, or the same refusal.
  private static func repacked(_ folder: String) -> FuzzTarget {
    let corpus = TableTargets.formats.map { Array($0.text.utf8) }
    return FuzzTarget("repacked", corpus: corpus, places: ["\(folder)/repacked"]) { input, random in
      let plain = folder + "/repacked-plain"
      put(input, plain)
      let path = folder + "/repacked"
      let pieces = random.below(3)
      switch random.below(4) {
      case 0: put(gzip(input), path)
      case 1:
        let cut = random.below(input.count + 1)
        put(gzip(Array(input[..<cut])) + (0..<pieces).flatMap { _ in gzip([]) } + gzip(Array(input[cut...])), path)
      case 2: put(tar([("x", input)]), path)
      default: put(gzip(tar([("a/README", [0]), ("a/u.data", input)])), path)
      }
      func outcome(_ path: String) throws -> Result<String, ProgramFailure> {
        do throws(ProgramFailure) {
          return .success(try DatasetLoader.load([path], log: { _ in }).dataset.fingerprint)
        } catch { return .failure(error) }
      }
      let (one, other) = (try outcome(plain), try outcome(path))
      switch (one, other) {
      case (.success(let one), .success(let other)): try require(one == other, "packed data are the same data")
      case (.failure, .failure(let failure)): throw failure
      case (.success, .failure(let failure)):
        throw Broken("what is read plain is read packed: \(failure.message)")
      case (.failure(let failure), .success):
        // Packed again, it may be a file of its own kind.
        throw Broken("what is refused plain is refused packed: \(failure.message)")
      }
    }
  }

  // MARK: Writers

  /// One stored block.
  private static func gzip(_ bytes: [UInt8]) -> [UInt8] {
    precondition(bytes.count <= 0xFFFF_FFFF)
    var packed: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
    var rest = bytes[...]
    repeat {
      let piece = rest.prefix(0xFFFF)
      rest = rest.dropFirst(piece.count)
      let count = UInt16(piece.count)
      packed.append(rest.isEmpty ? 1 : 0)
      for number in [count, ~count] { packed += [UInt8(truncatingIfNeeded: number), UInt8(number >> 8)] }
      packed += piece
    } while !rest.isEmpty
    for number in [plainCRC(bytes), UInt32(bytes.count)] { packed += (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
    return packed
  }

  private static func tar(_ files: [(name: String, bytes: [UInt8])]) -> [UInt8] {
    var packed: [UInt8] = []
    for file in files {
      var header = [UInt8](repeating: 0, count: 512)
      func set(_ place: Int, _ text: String) { header.replaceSubrange(place..<(place + text.utf8.count), with: text.utf8) }
      let size = String(file.bytes.count, radix: 8)
      set(0, file.name)
      set(100, "0000644")
      set(124, String(repeating: "0", count: 11 - size.count) + size)
      set(136, "00000000000")
      set(156, "0")
      set(257, "ustar\u{0}00")
      packed += header + file.bytes + [UInt8](repeating: 0, count: (512 - file.bytes.count % 512) % 512)
    }
    return withTarSums(packed + [UInt8](repeating: 0, count: 1024))
  }

  /// Makes right the sums of what may be headers.
  private static func withTarSums(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for start in stride(from: 0, through: bytes.count - 512, by: 512) where bytes[(start + 257)...].starts(with: "ustar".utf8) {
      for place in 148..<156 { bytes[start + place] = 0x20 }
      let sum = String(bytes[start..<(start + 512)].reduce(0) { $0 + Int($1) }, radix: 8)
      bytes.replaceSubrange((start + 148)..<(start + 155), with: (String(repeating: "0", count: 6 - sum.count) + sum + "\u{0}").utf8)
    }
    return bytes
  }
}
