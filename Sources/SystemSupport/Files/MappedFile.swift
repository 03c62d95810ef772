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

  /// Hands a range to `body` in pieces, in order, and lets their pages go behind it: of gigabytes that are read once only a piece counts
  /// as this program's memory. What is read again comes from the disk's cache, or from the disk.
  package func readOnce(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Void) {
    let (piece, page) = (1 << 22, Int(getpagesize()))
    for start in stride(from: range.lowerBound, to: range.upperBound, by: piece) {
      let end = min(start + piece, range.upperBound)
      body(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
      let (first, last) = (start / page * page, end / page * page)
      // Nothing is lost where it fails, but memory.
      if let base = bytes.baseAddress, first < last {
        madvise(UnsafeMutableRawPointer(mutating: base + first), last - first, MADV_DONTNEED)
      }
      Liveness.tick()
    }
  }

  /// Copies a range, read once.
  package func copy(_ range: Range<Int>, to target: UnsafeMutableRawPointer) {
    var next = target
    readOnce(range) { piece in
      if let source = piece.baseAddress { next.copyMemory(from: source, byteCount: piece.count) }
      next += piece.count
    }
  }

  deinit {
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }
}
