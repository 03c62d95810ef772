import SystemSupport

/// Files in archives, which stand behind a colon: `ml-1m.zip:ml-1m/ratings.dat`.
extension InputPaths {
  /// The archive and the name of the file in it; nil where the path is a file's own, or nothing is before a colon.
  /// Standard input may be an archive, too (`-:ratings.csv`).
  static func member(of path: String) -> (archive: String, member: String)? {
    guard path != "-", path.contains(":"), FileSystem.kind(path) == nil else { return nil }
    for (archive, member) in cuts(path) {
      let kind = archive == "-" ? .other : FileSystem.kind(archive)
      if kind == .file || kind == .other { return (archive, member) }
    }
    return nil
  }

  /// The file that is opened for a path.
  package static func file(of path: String) -> String { member(of: path)?.archive ?? path }

  /// What stands before and behind each colon.
  static func cuts(_ path: String) -> [(before: String, behind: String)] {
    path.indices.filter { path[$0] == ":" }.map { (String(path[..<$0]), String(path[path.index(after: $0)...])) }
      .filter { !$0.0.isEmpty && !$0.1.isEmpty }
  }
}
