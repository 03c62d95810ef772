#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A file's bytes, read-only, mapped into memory; unmapped when the last reference goes.
package final class MappedFile: @unchecked Sendable {
  package let bytes: UnsafeRawBufferPointer

  /// Regular files only: pipes cannot be mapped.
  package init(_ path: String) throws(Failure) {
    bytes = try FileSystem.reading { () throws(SystemError) in
      let descriptor = try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
      defer { close(descriptor) }
      var status = stat()
      try systemCall("fstat", path) { fstat(descriptor, &status) }
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
