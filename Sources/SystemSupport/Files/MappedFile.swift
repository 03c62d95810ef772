import Glibc

/// A file's bytes, read-only, mapped into memory; unmapped when the last reference goes.
package final class MappedFile: @unchecked Sendable {
  package let bytes: UnsafeRawBufferPointer

  /// Regular files only: pipes and devices cannot be mapped, and are refused with exit code 66.
  package init(_ path: String) throws(ProgramFailure) {
    bytes = try FileSystem.reading { () throws(SystemError) in
      // A pipe that nobody writes to must not keep the program waiting.
      let descriptor = try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
      defer { close(descriptor) }
      var status = stat()
      try systemCall("fstat", path) { fstat(descriptor, &status) }
      switch status.st_mode & S_IFMT {
      case S_IFREG: break
      case S_IFDIR: throw SystemError(call: "mmap", subject: path, errno: EISDIR)
      default: throw SystemError(call: "mmap", subject: "\(path), which is no regular file", errno: ENODEV)
      }
      let size = Int(status.st_size)
      // mmap refuses length 0.
      if size == 0 { return UnsafeRawBufferPointer(start: nil, count: 0) }
      guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
        throw SystemError(call: "mmap", subject: path, errno: errno)
      }
      return UnsafeRawBufferPointer(start: base, count: size)
    }
  }

  deinit {
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }
}
