import SystemSupport

extension ReportPage {
  private static let beginning = "<!DOCTYPE html>"

  /// Refuses a target that a page must not replace: what is there and is no page. Exit code 64.
  package static func checkTarget(_ path: String) throws(ProgramFailure) {
    switch FileSystem.kind(path) {
    case nil: return
    case .directory: throw ProgramFailure(.usage, "\(path) is a folder; name a file for the page")
    case .other: throw ProgramFailure(.usage, "\(path) is not a regular file; name another one for the page")
    case .file:
      let first = try FileSystem.read(path, limit: beginning.utf8.count)
      guard first.isEmpty || String(decoding: first, as: UTF8.self).lowercased() == beginning.lowercased() else {
        throw ProgramFailure(.usage, "\(path) is there and is no HTML page: it is not replaced; name another file for the page")
      }
    }
  }

  /// Replaces the file at once, or leaves it as it is. Exit code 74 where the disk does not take it.
  package func write(to path: String) throws(ProgramFailure) { try FileSystem.replaceAtomically(path, html) }
}
