import Glibc
import SystemSupport

/// A file that grows by whole records. What the disk refuses is kept and written before the next record; a reader finds whole
/// records alone.
final class AppendedFile {
  let path: String
  private let descriptor: Int32
  private var length: Int
  /// Records that the disk has not taken yet.
  private var waiting: [UInt8] = []
  /// Whether the file may have more than `length` bytes.
  private var isTorn = false

  /// Opens a file of `length` bytes, or makes it. Exit code 74 where the disk does not do it, also where `isNew` and it is there.
  init(_ path: String, length: Int, isNew: Bool = false) throws(ProgramFailure) {
    let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | (isNew ? O_EXCL : 0)
    descriptor = try FileSystem.writing { () throws(SystemError) in try systemCall("open", path) { open(path, flags, 0o666) } }
    self.path = path
    self.length = length
  }

  deinit { close(descriptor) }

  /// Appends a record by one write. Exit code 74 where the disk does not take it: it is kept and written with the next one, or by
  /// `sync`, before it.
  func append(_ record: [UInt8]) throws(ProgramFailure) {
    waiting += record
    try flush()
  }

  /// Forces all records to the disk. Exit code 74 where it does not take them.
  func sync() throws(ProgramFailure) {
    try flush()
    try FileSystem.writing { () throws(SystemError) in _ = try systemCall("fsync", path) { fsync(descriptor) } }
  }

  private func flush() throws(ProgramFailure) {
    if waiting.isEmpty { return }
    let result = waiting.withUnsafeBytes { buffer in
      Result { () throws(ProgramFailure) in
        try FileSystem.writing { () throws(SystemError) in
          // A full disk may have taken half of a record the last time.
          if isTorn { try systemCall("ftruncate", path) { ftruncate(descriptor, off_t(length)) } }
          isTorn = true
          try FileSystem.writeAll(descriptor, buffer, path)
        }
      }
    }
    do throws(ProgramFailure) { try result.get() } catch {
      // Whoever reads the file meanwhile should find whole records; if even this fails, the next try comes back to it.
      _ = ftruncate(descriptor, off_t(length))
      throw error
    }
    isTorn = false
    length += waiting.count
    waiting = []
  }
}
