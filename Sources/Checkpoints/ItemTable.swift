import InteractionData
import SystemSupport

/// items.tsv: which external id and how many occurrences stand behind the token ids 1 ... items.
///
/// Tab-separated with the header `id`, `external_id`, `count`; no padding, mask or special rows. Ids are bytes; tab,
/// CR, LF and backslash in them are written as `\t`, `\r`, `\n` and `\\`.
package enum ItemTable {
  private static let header = Array("id\texternal_id\tcount\n".utf8)
  private static let tab = UInt8(ascii: "\t")
  private static let newline = UInt8(ascii: "\n")
  private static let backslash = UInt8(ascii: "\\")

  package static func encode(ids: ExternalIDs, counts: [Int64]) -> [UInt8] {
    precondition(ids.count == counts.count, "as many counts as ids")
    var text = header
    for (index, count) in counts.enumerated() {
      text.append(contentsOf: String(index + 1).utf8)
      text.append(tab)
      for byte in ids[index] { appendEscaped(byte, to: &text) }
      text.append(tab)
      text.append(contentsOf: String(count).utf8)
      text.append(newline)
    }
    return text
  }

  private static func appendEscaped(_ byte: UInt8, to text: inout [UInt8]) {
    switch byte {
    case tab: text += [backslash, UInt8(ascii: "t")]
    case newline: text += [backslash, UInt8(ascii: "n")]
    case UInt8(ascii: "\r"): text += [backslash, UInt8(ascii: "r")]
    case backslash: text += [backslash, backslash]
    default: text.append(byte)
    }
  }

  /// `path` is for the messages.
  package static func decode(
    _ bytes: UnsafeRawBufferPointer, path: String
  ) throws(Failure) -> (ids: ExternalIDs, counts: [Int64]) {
    guard bytes.starts(with: header), bytes.last == newline else {
      throw Failure(.badData, "\(path): the header \"id, external_id, count\" or the last line's end is missing")
    }
    var ids = ExternalIDs()
    var counts: [Int64] = []
    for line in bytes[header.count...].dropLast(bytes.count > header.count ? 1 : 0).split(
      separator: newline, omittingEmptySubsequences: false)
    where bytes.count > header.count {
      func bad(_ what: String) -> Failure { Failure(.badData, "\(path):\(counts.count + 2): \(what)") }
      let fields = line.split(separator: tab, omittingEmptySubsequences: false)
      guard fields.count == 3 else { throw bad("\(fields.count) columns instead of 3") }
      guard integer(fields[0]) == Int64(counts.count + 1) else { throw bad("the id is not \(counts.count + 1)") }
      guard let count = integer(fields[2]), count >= 0 else { throw bad("the count is not a whole number") }
      guard let id = unescape(fields[1]) else { throw bad("an unknown escape in the external id") }
      ids.append(id)
      counts.append(count)
    }
    return (ids, counts)
  }

  private static func integer(_ field: Slice<UnsafeRawBufferPointer>) -> Int64? {
    Int64(String(decoding: field, as: UTF8.self))
  }

  private static func unescape(_ field: Slice<UnsafeRawBufferPointer>) -> [UInt8]? {
    var id: [UInt8] = []
    var isEscaped = false
    for byte in field {
      if isEscaped {
        switch byte {
        case UInt8(ascii: "t"): id.append(tab)
        case UInt8(ascii: "n"): id.append(newline)
        case UInt8(ascii: "r"): id.append(UInt8(ascii: "\r"))
        case backslash: id.append(backslash)
        default: return nil
        }
        isEscaped = false
      } else if byte == backslash {
        isEscaped = true
      } else {
        id.append(byte)
      }
    }
    return isEscaped ? nil : id
  }
}
