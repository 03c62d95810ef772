import SystemSupport

/// `items.tsv` and `users.tsv` of a prepared folder.
enum IDFiles {
  private static let itemsHeader = Array("id\texternal_id\tcount".utf8)
  private static let usersHeader = Array("index\texternal_id".utf8)

  /// Header `id external_id count`; ids from 1.
  static func items(_ ids: ExternalIDs, _ counts: [Int64]) -> [UInt8] {
    var text = itemsHeader + [0x0A]
    for index in 0..<ids.count {
      text.append(contentsOf: "\(index + 1)\t".utf8)
      text.append(contentsOf: TSVText.escape(ids[index]))
      text.append(contentsOf: "\t\(counts[index])\n".utf8)
    }
    return text
  }

  /// Header `index external_id`; indices from 0.
  static func users(_ ids: ExternalIDs) -> [UInt8] {
    var text = usersHeader + [0x0A]
    for index in 0..<ids.count {
      text.append(contentsOf: "\(index)\t".utf8)
      text.append(contentsOf: TSVText.escape(ids[index]))
      text.append(0x0A)
    }
    return text
  }

  static func readItems(_ file: MappedFile, path: String) throws(Failure) -> (ExternalIDs, [Int64]) {
    var ids = ExternalIDs()
    var counts: [Int64] = []
    try forEachLine(of: file, path: path, header: itemsHeader, columns: 3) { fields, line throws(Failure) in
      guard decimal(fields[0]) == Int64(ids.count + 1), let id = TSVText.unescape(fields[1]), !id.isEmpty,
        let count = decimal(fields[2]), count > 0, counts.last.map({ count <= $0 }) ?? true
      else { throw damaged(path, line) }
      ids.append(id)
      counts.append(count)
    }
    try requireDistinct(ids, path)
    return (ids, counts)
  }

  static func readUsers(_ file: MappedFile, path: String) throws(Failure) -> ExternalIDs {
    var ids = ExternalIDs()
    try forEachLine(of: file, path: path, header: usersHeader, columns: 2) { fields, line throws(Failure) in
      guard decimal(fields[0]) == Int64(ids.count), let id = TSVText.unescape(fields[1]), !id.isEmpty else {
        throw damaged(path, line)
      }
      ids.append(id)
    }
    try requireDistinct(ids, path)
    return ids
  }

  private static func forEachLine(
    of file: MappedFile, path: String, header: [UInt8], columns: Int,
    _ body: ([UnsafeRawBufferPointer], Int) throws(Failure) -> Void
  ) throws(Failure) {
    // The fields point into the mapping.
    defer { withExtendedLifetime(file) {} }
    var scanner = RecordScanner(file.bytes, separator: .tab, storedFields: columns)
    guard scanner.next(), scanner.text.elementsEqual(header), file.bytes.last == 0x0A else { throw damaged(path, 1) }
    while scanner.next() {
      guard scanner.fieldCount == columns else { throw damaged(path, scanner.line) }
      try body((0..<columns).map { scanner[$0] }, scanner.line)
    }
  }

  private static func requireDistinct(_ ids: ExternalIDs, _ path: String) throws(Failure) {
    guard ItemIndex(ids).count == ids.count else {
      throw Failure(.badData, "\(path): an id stands there twice; the folder is damaged, write it again with prepare")
    }
  }

  private static func damaged(_ path: String, _ line: Int) -> Failure {
    Failure(.badData, "\(path):\(line): not what prepare writes; the folder is damaged, write it again with prepare")
  }

  private static func decimal(_ text: UnsafeRawBufferPointer) -> Int64? {
    guard !text.isEmpty, text.count <= 18, text.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return text.reduce(0) { 10 * $0 + Int64($1 - 0x30) }
  }
}
