import Glibc

/// A folder of results that is there as a whole or not at all: it is filled under another name beside its place, and renamed.
package struct NewFolder {
  private let target: String
  /// Where to write its files until it is complete.
  package let path: String

  /// Makes the folder under its other name, and those above it. Exit code 64 where something stands in its place, 74 where the disk does
  /// not take it. Whoever makes one calls `complete` or `discard`.
  package init(_ target: String) throws(ProgramFailure) {
    try Self.checkTarget(target)
    self.target = target.hasSuffix("/") ? String(target.dropLast()) : target
    let (parent, name) = (FileSystem.parent(of: self.target), FileSystem.lastComponent(of: self.target))
    path = "\(parent)/.\(name).tmp-\(getpid())"
    try FileSystem.createDirectories(parent)
    try FileSystem.removeRecursively(path)
    try FileSystem.createDirectories(path)
  }

  /// Fills a folder and completes it; nothing half-written stays where that fails.
  package static func write(_ target: String, _ body: (String) throws(ProgramFailure) -> Void) throws(ProgramFailure) {
    let folder = try NewFolder(target)
    do throws(ProgramFailure) {
      try body(folder.path)
      try folder.complete()
    } catch {
      folder.discard()
      throw error
    }
  }

  /// Puts the folder into its place.
  package func complete() throws(ProgramFailure) {
    try FileSystem.syncDirectory(path)
    // Once more: an empty folder that has come since would be replaced.
    try Self.checkTarget(target)
    try FileSystem.rename(path, target)
    try FileSystem.syncDirectory(FileSystem.parent(of: target), mayBeClosed: true)
  }

  /// Removes what there is of it.
  package func discard() { try? FileSystem.removeRecursively(path) }

  /// Refuses a path at which something stands.
  package static func checkTarget(_ path: String) throws(ProgramFailure) {
    if path.allSatisfy({ $0 == "/" }) { throw ProgramFailure(.usage, "the output folder's name is empty") }
    var status = stat()
    if lstat(path.hasSuffix("/") ? String(path.dropLast()) : path, &status) == 0 {
      throw ProgramFailure(.usage, "\(path) exists, and is not replaced: remove it or give another folder")
    }
  }
}
