import SystemSupport

/// items.tsv, of prepared folders and checkpoints: which external id and how many occurrences stand behind the token ids 1 ... items.
///
/// Tab-separated with the header `id`, `external_id`, `count`; no padding, mask or special rows. Ids are bytes, escaped as `TSVText` does.
package enum ItemTable {
  private static let lines = IDLines(columns: ["id", "external_id", "count"])

  package static func encode(ids: ExternalIDs, counts: [Int64]) -> [UInt8] {
    precondition(ids.count == counts.count, "as many counts as ids")
    var text = lines.header
    for (index, count) in counts.enumerated() {
      text.append(contentsOf: "\(index + 1)\t".utf8)
      TSVText.append(ids[index], to: &text)
      text.append(contentsOf: "\t\(count)\n".utf8)
    }
    return text
  }

  /// No id stands there twice. Fails with exit code 65, with the line and `advice`; `path` is for the messages.
  package static func decode(
    _ bytes: UnsafeRawBufferPointer, path: String, advice: String = ""
  ) throws(ProgramFailure) -> (ids: ExternalIDs, counts: [Int64]) {
    var counts: [Int64] = []
    let ids = try lines.read(bytes, path: path, firstNumber: 1, advice: advice) { fields throws(IDLines.Problem) in
      guard let count = IDLines.number(fields[2]) else { throw IDLines.Problem("the count is not a whole number") }
      counts.append(count)
    }
    return (ids, counts)
  }
}

/// users.tsv of a prepared folder: `index` from 0, `external_id`.
package enum UserTable {
  private static let lines = IDLines(columns: ["index", "external_id"])

  package static func encode(_ ids: ExternalIDs) -> [UInt8] {
    var text = lines.header
    for index in 0..<ids.count {
      text.append(contentsOf: "\(index)\t".utf8)
      TSVText.append(ids[index], to: &text)
      text.append(0x0A)
    }
    return text
  }

  package static func decode(_ bytes: UnsafeRawBufferPointer, path: String, advice: String) throws(ProgramFailure) -> ExternalIDs {
    try lines.read(bytes, path: path, firstNumber: 0, advice: advice) { _ in }
  }
}
