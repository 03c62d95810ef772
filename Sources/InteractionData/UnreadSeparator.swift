/// A character that cuts the lines of a file alike, though no reader takes it for a separator: Hive's \x01, or `^`, `~`, `#`.
/// Replacing it could join it with others of its kind inside a field, so it is named rather than read.
struct UnreadSeparator {
  private let byte: UInt8

  /// What stands neither in ids nor in times as people write them.
  private static let candidates: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8] + Array(14...31) + Array("^~#*!&%$`".utf8)
  private static let lineCount = 100

  /// Nil where no such character stands in each of the first lines, of which there are at least two, equally often.
  init?(_ text: UnsafeRawBufferPointer) {
    let lines = text.split(separator: 0x0A, maxSplits: Self.lineCount).prefix(Self.lineCount)
    guard lines.count >= 2, let first = lines.first else { return nil }
    let found = Self.candidates.first { candidate in
      let count = first.count { $0 == candidate }
      return count > 0 && lines.allSatisfy { line in line.count { $0 == candidate } == count }
    }
    guard let found else { return nil }
    byte = found
  }

  /// What to do, as the end of a message.
  var advice: String {
    let octal = String(byte, radix: 8)
    let written =
      byte < 0x20 ? "\\" + String(repeating: "0", count: 3 - octal.count) + octal : String(UnicodeScalar(byte))
    return "the lines look like columns separated by '\(written)', which is not read: replace it by tabs, as in "
      + "tr '\(written)' '\\t' < FILE > FILE.tsv"
  }
}
