import Glibc

/// What stands at a path is replaced by renaming: a reader sees the old contents or the new ones, whatever happens in between.
extension FileSystem {
  /// Replaces a file by the one that `write` makes under another name in the same folder, `path.tmp` where none is given. After a
  /// failure the old file is as it was, and nothing half-written stays.
  package static func replaceFile(
    _ path: String, temporary: String? = nil, _ write: (_ temporary: String) throws(ProgramFailure) -> Void
  ) throws(ProgramFailure) {
    let temporary = temporary ?? path + ".tmp"
    do throws(ProgramFailure) {
      try write(temporary)
      try rename(temporary, path)
    } catch {
      unlink(temporary)
      throw error
    }
    try syncDirectory(parent(of: path))
  }

  /// Replaces a small file by these bytes.
  package static func replaceAtomically(_ path: String, _ bytes: [UInt8]) throws(ProgramFailure) {
    try replaceFile(path) { (temporary) throws(ProgramFailure) in try writeDurably(temporary, bytes) }
  }

  package static func replaceAtomically(_ path: String, _ text: String) throws(ProgramFailure) {
    try replaceAtomically(path, Array(text.utf8))
  }

  /// Puts a finished folder in the place of what stands at a path, if anything does: a folder cannot be renamed onto one that is not
  /// empty, so the old one steps `aside`, and comes back where the new one cannot take its place. Whatever moment the machine stops at,
  /// one of the two is whole.
  package static func replaceFolder(_ target: String, by finished: String, aside: String) throws(ProgramFailure) {
    let isReplacing = exists(target)
    if isReplacing {
      try removeRecursively(aside)
      try rename(target, aside)
    }
    do throws(ProgramFailure) { try rename(finished, target) } catch {
      if isReplacing { try? rename(aside, target) }
      throw error
    }
    try syncDirectory(parent(of: target))
    if isReplacing { try removeRecursively(aside) }
  }

  /// A hidden name beside a target in somebody's own folder, such as `.name.tmp-123`: no other process's.
  package static func hiddenName(beside target: String, _ purpose: String) -> String {
    "\(parent(of: target))/.\(lastComponent(of: target)).\(purpose)-\(getpid())"
  }

  /// What a path leads to, so that a link stays one where the file or folder behind it is replaced. One that leads nowhere yet stays as it
  /// is, without slashes at its end.
  package static func resolved(_ path: String) -> String {
    if let real = realpath(path, nil) {
      defer { free(real) }
      return String(cString: real)
    }
    var trimmed = path[...]
    while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
    return String(trimmed)
  }
}
