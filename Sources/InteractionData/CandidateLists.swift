import SystemSupport

/// Which items may be recommended, as a file has it: one list for everybody, or one per user.
package enum CandidateLists: Sendable {
  /// External ids.
  case forAll(ExternalIDs)
  case perUser(Histories)

  /// Reads an id per line, or a list per user in any form that histories have. It is one list where no line has a second column, and
  /// where most lines, taken whole, are items of the catalogue, so that ids may hold spaces; a first line that names an item is no item.
  ///
  /// - Parameters:
  ///   - catalogue: finds the items that matter.
  ///   - log: Gets a line on how the file is read.
  /// - Throws: Exit code 65 for what cannot be read and for a file without any id, 66 where it cannot be opened.
  package static func read(
    _ path: String, catalogue: ItemIndex, options: LoadingOptions = LoadingOptions(), log: (String) -> Void
  ) throws(ProgramFailure) -> CandidateLists {
    if path == "-" {
      throw ProgramFailure(.usage, "candidates cannot be read from standard input; write them to a file")
    }
    if let list = try oneList(path, catalogue, log) { return .forAll(list) }
    if FileSystem.kind(path) == .other {
      throw ProgramFailure(.usage, "\(path): a list of candidates per user cannot be read from a pipe; write it to a file")
    }
    let lists = try Histories.read(path, options: options, log: log)
    if lists.users.count == 0 { throw ProgramFailure(.badData, "\(path): no candidates; it is empty") }
    return .perUser(lists)
  }

  private static func oneList(_ path: String, _ catalogue: ItemIndex, _ log: (String) -> Void) throws(ProgramFailure) -> ExternalIDs? {
    if FileSystem.kind(path) == .directory { return nil }
    let input = try InputBytes(path)
    defer { withExtendedLifetime(input) {} }
    try ForeignFormats.refuse(input)
    if [UInt8(ascii: "{"), UInt8(ascii: "[")].contains(input.body.first { $0 > 0x20 }) { return nil }
    var (ids, whole, wide) = (ExternalIDs(), 0, 0)
    var first: [UInt8]?
    for line in input.body.split(separator: 0x0A) {
      if ids.count & 0xFFFF == 0 { Liveness.tick() }
      let id = trimmed(line)
      if id.isEmpty { continue }
      if first == nil {
        first = Array(id)
        let name = ColumnNames.normalised(String(decoding: id, as: UTF8.self))
        if ColumnNames.item.contains(name), catalogue.item(Array(id)) == nil { continue }
      }
      ids.append(Array(id))
      if catalogue.item(Array(id)) != nil { whole += 1 }
      if id.contains(where: { " \t,;|".utf8.contains($0) }) { wide += 1 }
    }
    guard first != nil, wide == 0 || 2 * whole > ids.count else { return nil }
    if ids.count == 0 { throw ProgramFailure(.badData, "\(path): no candidates; it holds only a header") }
    log("\(input.name): read as: one list of \(ids.count) items, an id per line")
    return ids
  }

  private static func trimmed(_ line: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
    guard let start = line.firstIndex(where: { !isSpace($0) }), let end = line.lastIndex(where: { !isSpace($0) }) else {
      return line[..<line.startIndex]
    }
    return line[start...end]
  }
}
