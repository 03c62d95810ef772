import Glibc
import SystemSupport

/// Room of a file system, in bytes.
struct FileSystemRoom {
  let size, free: Double

  static func of(_ path: String) -> FileSystemRoom? {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return nil }
    let block = Double(status.f_frsize)
    return FileSystemRoom(size: Double(status.f_blocks) * block, free: Double(status.f_bavail) * block)
  }
}

/// The disk that a run folder is, or would be, on.
package struct FolderCheck: Equatable, Sendable {
  package var path: String
  /// The folder that is there: itself or the nearest above it.
  package var existing: String
  package var bytesFree: Double
  /// Of the mount, such as "ext4" or "nfs4".
  package var type: String
  /// Seconds to write and force 8 MiB to the disk; nil where that failed.
  package var writeSeconds: Double?
  package var problem: String?

  package init(path: String, existing: String, bytesFree: Double, type: String, writeSeconds: Double?, problem: String?) {
    (self.path, self.existing, self.bytesFree) = (path, existing, bytesFree)
    (self.type, self.writeSeconds, self.problem) = (type, writeSeconds, problem)
  }

  static let writtenBytes = 8 << 20

  /// Writes a file of its own there, and removes it.
  package init(_ path: String) {
    self.path = path
    var folder = path
    while FileSystem.kind(folder) == nil && folder != "." && folder != "/" { folder = FileSystem.parent(of: folder) }
    existing = folder
    bytesFree = FileSystemRoom.of(folder)?.free ?? 0
    type = Self.mountType(of: folder)
    guard FileSystem.kind(folder) == .directory else {
      problem = "\(folder) is not a folder"
      return
    }
    let file = folder + "/.bert4rec-dist-doctor-\(getpid())"
    defer { unlink(file) }
    let watch = Stopwatch()
    do throws(ProgramFailure) {
      try FileSystem.writeDurably(file, [UInt8](repeating: 0x5A, count: Self.writtenBytes))
      writeSeconds = watch.seconds
    } catch { problem = error.message }
  }

  /// The type of the mount with the longest point that is above the folder.
  private static func mountType(of folder: String) -> String {
    guard let resolved = realpath(folder, nil) else { return "unknown" }
    defer { free(resolved) }
    let path = String(cString: resolved)
    let text = String(decoding: (try? FileSystem.read("/proc/self/mounts", limit: 1 << 22)) ?? [], as: UTF8.self)
    let mounts = text.split(separator: "\n").map { $0.split(separator: " ") }.filter { $0.count > 2 }
    // Of equal ones the last is on top.
    let above = mounts.filter { $0[1] == "/" || path == $0[1] || path.hasPrefix($0[1] + "/") }
    return above.reversed().max { $0[1].count < $1[1].count }.map { String($0[2]) } ?? "unknown"
  }
}
