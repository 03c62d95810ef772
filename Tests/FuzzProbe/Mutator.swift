/// Makes damaged inputs out of good ones.
struct Mutator {
  /// Longer results are cut; readers are fast on small inputs, and their faults show there.
  static let longest = 1 << 14
  /// A few inputs grow past the readers' blocks (64 KiB) and their longest line (1 MiB).
  private static let blockLengths = [(1 << 16) - 1, (1 << 16) + 1, (1 << 17) + 3, (1 << 20) + 7]

  let corpus: [[UInt8]]
  let words: [[UInt8]]

  /// - Parameter words: Words that the format knows, besides those that trouble any format.
  init(corpus: [[UInt8]], words: [String] = []) {
    self.corpus = corpus
    self.words = Self.troublesome + words.map { Array($0.utf8) }
  }

  func input(_ random: inout FuzzRandom) -> [UInt8] {
    var bytes = random.pick(corpus)
    // Some stay whole: what is accepted must be right too.
    if random.chance(1, in: 40) { return bytes }
    if random.chance(1, in: 8) { bytes = splice(bytes, random.pick(corpus), &random) }
    // Half of the inputs have one change, a quarter two, ...
    repeat { mutate(&bytes, &random) } while random.chance(1, in: 2)
    if bytes.count > Self.longest { bytes.removeLast(bytes.count - Self.longest) }
    if random.chance(1, in: 4000) {
      let place = random.below(bytes.count + 1)
      bytes.insert(contentsOf: repeatElement(random.pick(Self.runs), count: random.pick(Self.blockLengths)), at: place)
    }
    return bytes
  }

  private func splice(_ one: [UInt8], _ other: [UInt8], _ random: inout FuzzRandom) -> [UInt8] {
    Array(one.prefix(border(in: one, &random)) + other.dropFirst(border(in: other, &random)))
  }

  /// Any place, or the beginning of a line.
  private func border(in bytes: [UInt8], _ random: inout FuzzRandom) -> Int {
    let place = random.below(bytes.count + 1)
    if random.chance(1, in: 2) { return place }
    return bytes[..<place].lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
  }

  private func mutate(_ bytes: inout [UInt8], _ random: inout FuzzRandom) {
    let place = random.below(bytes.count)
    let range = range(in: bytes, &random)
    switch random.below(17) {
    case 0 where !bytes.isEmpty: bytes[place] ^= 1 << random.below(8)
    case 1 where !bytes.isEmpty: bytes[place] = random.chance(1, in: 2) ? random.byte() : random.pick(Self.runs)
    case 2: bytes.removeLast(bytes.count - min(place, bytes.count))
    case 3: bytes.insert(contentsOf: (0...random.below(9)).map { _ in random.byte() }, at: min(place, bytes.count))
    case 4: bytes.insert(contentsOf: bytes[range], at: min(place, bytes.count))
    case 5: bytes.removeSubrange(range)
    case 6: bytes.replaceSubrange(range, with: bytes[self.range(in: bytes, &random)])
    case 7: bytes.insert(contentsOf: random.pick(words), at: min(place, bytes.count))
    case 8, 9, 10: bytes.replaceSubrange(word(in: bytes, at: place), with: random.pick(words))
    case 11: bytes.removeSubrange(line(in: bytes, at: place))
    case 12:
      let line = bytes[line(in: bytes, at: place)]
      bytes.insert(contentsOf: line, at: border(in: bytes, &random))
    case 13:
      // A number in a binary file: eight bytes, or four.
      let size = random.chance(2, in: 3) ? 8 : 4
      guard bytes.count >= size else { return }
      let start = random.below(bytes.count / size) * size
      let number = random.pick(Self.numbers) &+ (random.chance(1, in: 4) ? Int64(random.below(5) - 2) : 0)
      for offset in 0..<size { bytes[start + offset] = UInt8(truncatingIfNeeded: number >> (8 * offset)) }
    case 14:
      bytes.insert(
        contentsOf: repeatElement(random.pick(Self.runs), count: 1 + random.below(600)), at: min(place, bytes.count))
    case 15 where !bytes.isEmpty:
      // Another separator throughout.
      let (old, new) = (bytes[place], random.pick(Self.runs))
      for index in bytes.indices where bytes[index] == old { bytes[index] = new }
    case 16 where !bytes.isEmpty:
      let other = random.below(bytes.count)
      bytes.swapAt(place, other)
    default: break
    }
  }

  private func range(in bytes: [UInt8], _ random: inout FuzzRandom) -> Range<Int> {
    let start = random.below(bytes.count + 1)
    let length = random.chance(1, in: 4) ? random.below(bytes.count + 1) : random.below(24)
    return start..<min(bytes.count, start + length)
  }

  /// The run of letters and digits around a place.
  private func word(in bytes: [UInt8], at place: Int) -> Range<Int> {
    func isInside(_ byte: UInt8) -> Bool {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"): true
      default: byte >= 0x80
      }
    }
    guard place < bytes.count else { return bytes.count..<bytes.count }
    var (start, end) = (place, place)
    while start > 0, isInside(bytes[start - 1]) { start -= 1 }
    while end < bytes.count, isInside(bytes[end]) { end += 1 }
    return start..<end
  }

  /// The line around a place, with its end.
  private func line(in bytes: [UInt8], at place: Int) -> Range<Int> {
    guard place < bytes.count else { return bytes.count..<bytes.count }
    let start = bytes[..<place].lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
    let end = bytes[place...].firstIndex(of: 0x0A).map { $0 + 1 } ?? bytes.count
    return start..<end
  }

  // MARK: What troubles readers

  private static let runs: [UInt8] =
    Array(" \t\n\r\",;:'\\[]{}()*&?-|#%@+.0919aAzZ".utf8) + [0, 1, 0x1B, 0x7F, 0x80, 0xC3, 0xFF]

  private static let numbers: [Int64] =
    [0, 1, -1, 2, 7, 8, 16, 255, 256, 65535, 65536, .max, .min, Int64(Int32.max), Int64(Int32.min), 1 << 32]
    + [40, 44, 48, 53, 60, 61, 62].map { 1 << $0 }

  private static let troublesome: [[UInt8]] =
    [
      "1152921504606846976", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
      "18446744073709551615", "18446744073709551616", "99999999999999999999999999999999", "2147483647", "2147483648",
      "-2147483649", "4294967296", "-1", "0", "-0", "00", "+1", "1.", ".5", "1e3", "1E999", "1e-999", "1e308", "1e18",
      "9.3e9", "0x10", "0x1p4", "1_000", "NaN", "nan", "-nan", "inf", "-Infinity", "٣", "½", "true", "null", "~", "yes",
      "", " ", "\"", "\"\"", "\"a\"\"b\"", "'", "\r", "\r\n", "\n", "\n\n", "\t", ",", ";", ":", "::", "|", "\\",
      "\\\\", "\\n", "\\u0000", "\\ud800", "\\udc00\\ud800", "\u{FEFF}", "\u{2028}", "\u{202E}", "\u{1B}[31m", "\u{7}",
      "../../x", "/etc/passwd", "..", ".", "%s%n", "*a", "&a ", "<<", "!!binary ", "---\n", "...\n", "? ", "- ", "# ",
      "{", "}", "[", "]", "{}", "[]", "[1,2]", "{\"a\":1}", "1970-01-01", "9999-12-31T23:59:60Z", "1677-01-01",
      "2014-07-23T10:00:00.1234567890123+01:00", "2014-02-30", "user_id", "item_id", "timestamp", "user_id:token",
      String(repeating: "[", count: 40), String(repeating: "[", count: 3000), String(repeating: "{\"a\":", count: 40),
      String(repeating: "9", count: 400), String(repeating: "x", count: 300),
    ].map { Array($0.utf8) } + [
      [0], [0, 0, 0, 0, 0, 0, 0, 0], [0xFF, 0xFE], [0xFE, 0xFF], [0xC3, 0x28], [0xED, 0xA0, 0x80],
      [0xF4, 0x90, 0x80, 0x80], [0xC0, 0x80], [0x80], [0x1F, 0x8B], Array("PK\u{3}\u{4}".utf8), Array("PAR1".utf8),
    ]
}
