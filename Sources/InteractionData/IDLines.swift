import Glibc
import SystemSupport

/// Tab-separated lines that number external ids, in order and without a gap, each id once.
struct IDLines {
  /// What is wrong with a line.
  struct Problem: Error {
    let text: String

    init(_ text: String) { self.text = text }
  }

  /// With its line end.
  let header: [UInt8]
  private let columns: [String]

  /// The first column is the number, the second the id.
  init(columns: [String]) {
    self.columns = columns
    header = Array((columns.joined(separator: "\t") + "\n").utf8)
  }

  /// Reads all lines; `body` gets the fields of each.
  func read(
    _ bytes: UnsafeRawBufferPointer, path: String, firstNumber: Int64, advice: String,
    _ body: (_ fields: [UnsafeRawBufferPointer]) throws(Problem) -> Void
  ) throws(ProgramFailure) -> ExternalIDs {
    func bad(_ line: Int, _ what: String) -> ProgramFailure { ProgramFailure(.badData, "\(path):\(line): \(what)\(advice)") }
    guard bytes.starts(with: header), bytes.last == 0x0A else {
      throw bad(1, "the header \"\(columns.joined(separator: ", "))\" or the last line's end is missing")
    }
    var ids = ExternalIDs()
    var fields: [UnsafeRawBufferPointer] = []
    var place = header.count
    while place < bytes.count {
      let end = Self.find(0x0A, in: bytes, from: place) ?? bytes.count
      let line = ids.count + 2
      do throws(Problem) {
        Self.split(UnsafeRawBufferPointer(rebasing: bytes[place..<end]), into: &fields)
        guard fields.count == columns.count else { throw Problem("\(fields.count) columns instead of \(columns.count)") }
        let number = firstNumber + Int64(ids.count)
        guard Self.number(fields[0]) == number else { throw Problem("the \(columns[0]) is not \(number)") }
        if TSVText.isPlain(fields[1]) {
          ids.append(fields[1])
        } else {
          guard let id = TSVText.unescape(fields[1]) else { throw Problem("an unknown escape, or a line end, in the external id") }
          ids.append(id)
        }
        try body(fields)
      } catch { throw bad(line, error.text) }
      place = end + 1
    }
    guard ItemIndex(ids).count == ids.count else {
      throw ProgramFailure(.badData, "\(path): an external id stands there twice\(advice)")
    }
    return ids
  }

  /// Overwrites `fields`, whose memory is used again: there may be millions of lines.
  private static func split(_ line: UnsafeRawBufferPointer, into fields: inout [UnsafeRawBufferPointer]) {
    fields.removeAll(keepingCapacity: true)
    var place = 0
    while let tab = find(0x09, in: line, from: place) {
      fields.append(UnsafeRawBufferPointer(rebasing: line[place..<tab]))
      place = tab + 1
    }
    fields.append(UnsafeRawBufferPointer(rebasing: line[place...]))
  }

  private static func find(_ byte: UInt8, in bytes: UnsafeRawBufferPointer, from place: Int) -> Int? {
    guard let base = bytes.baseAddress, place < bytes.count else { return nil }
    return memchr(base + place, Int32(byte), bytes.count - place).map { UnsafeRawPointer($0) - base }
  }

  /// Decimal digits and nothing else, 18 at most; nil for anything else.
  static func number(_ text: UnsafeRawBufferPointer) -> Int64? {
    guard !text.isEmpty, text.count <= 18, text.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return text.reduce(0) { 10 * $0 + Int64($1 - 0x30) }
  }
}
