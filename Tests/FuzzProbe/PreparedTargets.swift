import InteractionData
import SystemSupport

/// Prepared folders with one damaged file.
enum PreparedTargets {
  private static let text = (0..<30).map { "user\($0 * 7 % 6) item \($0 * $0 % 11)\n" }.joined()

  static func all(in folder: String) throws -> [FuzzTarget] {
    try ["manifest.json", "items.tsv", "users.tsv", "sequences.bin"].map { try file($0, folder) }
  }

  private static func file(_ name: String, _ folder: String) throws -> FuzzTarget {
    let path = "\(folder)/prepared-\(name)"
    let source = folder + "/source.txt"
    put(
      text.split(separator: "\n").map { $0.replacing("user", with: "user ", maxReplacements: 1) }
        .map { $0.replacing(" item", with: "\titem") }.joined(separator: "\n"), source)
    let original = try DatasetLoader.load([source], log: { _ in })
    try PreparedFolder.write(original, to: path)
    let manifest = String(decoding: try FileSystem.read(path + "/manifest.json"), as: UTF8.self)
    let bytes = try FileSystem.read(path + "/" + name)
    let words = ["format_version", "fingerprint", "statistics", "files", "size", "users", "name", "25%"]
    return FuzzTarget("prepared-" + name, corpus: [bytes], words: words, places: [path]) { input, random in
      put(input, path + "/" + name)
      if name != "manifest.json" {
        var text = manifest
        if random.chance(7, in: 8) { text = Repair.manifest(text, file: name, input) }
        if random.chance(7, in: 8), let fingerprint = fingerprint(name, input, original.dataset) {
          text = Repair.manifest(text, fingerprint: fingerprint)
        }
        put(text, path + "/manifest.json")
      }
      var lines: [String] = []
      let loaded = try DatasetLoader.load([path]) { lines.append($0) }
      for line in lines { try requirePrintable(line) }
      for line in loaded.statistics.description.split(separator: "\n") { try requirePrintable(String(line)) }
      try TableTargets.check(loaded.dataset)
    }
  }

  /// The fingerprint of the data set with this file in the place of its own, where the file makes sense.
  private static func fingerprint(_ name: String, _ bytes: [UInt8], _ dataset: Dataset) -> String? {
    var (items, users, sequences) = (dataset.itemIDs, dataset.userIDs, dataset.sequences)
    switch name {
    case "items.tsv": items = ids(bytes)
    case "users.tsv": users = ids(bytes)
    default:
      guard let read = self.sequences(bytes) else { return nil }
      sequences = read
    }
    return Fingerprint.compute(itemIDs: items, itemCounts: dataset.itemCounts, userIDs: users, sequences: sequences)
  }

  private static func ids(_ bytes: [UInt8]) -> ExternalIDs {
    ExternalIDs(
      bytes.split(separator: 0x0A).dropFirst().map { line in
        let fields = line.split(separator: 0x09, omittingEmptySubsequences: false)
        return fields.count > 1 ? TSVText.unescape(Array(fields[1])) ?? [] : []
      })
  }

  private static func sequences(_ bytes: [UInt8]) -> Sequences? {
    func number(_ place: Int) -> Int64 {
      bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: Int64.self) }
    }
    guard bytes.count >= 64 else { return nil }
    let (users, interactions) = (number(16), number(24))
    guard (1..<10_000).contains(users), (1..<10_000).contains(interactions),
      bytes.count == 64 + 8 * (users + 1) + 4 * interactions
    else { return nil }
    let offsets = (0...Int(users)).map { number(64 + 8 * $0) }
    guard offsets[0] == 0, offsets[Int(users)] == interactions else { return nil }
    let start = 64 + 8 * offsets.count
    let values = bytes.withUnsafeBytes { buffer in
      (0..<Int(interactions)).map { buffer.loadUnaligned(fromByteOffset: start + 4 * $0, as: Int32.self) }
    }
    return Sequences(offsets: offsets, values: values)
  }
}
