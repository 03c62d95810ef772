import SystemSupport

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The bytes of one input: a file is mapped, a pipe or standard input (`-`) is read to its end into memory.
final class InputBytes {
  /// The path as it was given; for messages.
  let name: String
  let bytes: UnsafeRawBufferPointer
  private let mapping: MappedFile?
  private let owned: UnsafeMutableBufferPointer<UInt8>?

  init(_ path: String) throws(Failure) {
    name = path == "-" ? "standard input" : path
    if path == "-" || FileSystem.kind(path) == .other {
      let read = try Self.readWhole(path, name)
      owned = read
      mapping = nil
      bytes = UnsafeRawBufferPointer(read)
    } else {
      let mapped = try MappedFile(path)
      if let base = mapped.bytes.baseAddress {
        madvise(UnsafeMutableRawPointer(mutating: base), mapped.bytes.count, MADV_SEQUENTIAL)
      }
      owned = nil
      mapping = mapped
      bytes = mapped.bytes
    }
  }

  deinit { free(owned?.baseAddress) }

  private static func readWhole(_ path: String, _ name: String) throws(Failure) -> UnsafeMutableBufferPointer<UInt8> {
    let descriptor =
      path == "-"
      ? STDIN_FILENO
      : try FileSystem.reading { () throws(SystemError) in
        try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
      }
    defer { if path != "-" { close(descriptor) } }
    var storage = GrowableStorage<UInt8>(capacity: 1 << 16)
    let block = UnsafeMutablePointer<UInt8>.allocate(capacity: 1 << 16)
    defer { block.deallocate() }
    while true {
      // Whoever writes into the pipe, or types, takes the time that it takes.
      let count = try FileSystem.reading { () throws(SystemError) in
        try systemCall("read", name) { Liveness.outside { read(descriptor, block, 1 << 16) } }
      }
      if count == 0 { break }
      storage.append(block, count: count)
    }
    return storage.take()
  }

  /// Lets go of the memory of mapped pages that have been read (they stay in the system's cache), so that a file may
  /// be larger than memory.
  func discard(_ range: Range<Int>) {
    guard mapping != nil, let base = bytes.baseAddress else { return }
    madvise(UnsafeMutableRawPointer(mutating: base + range.lowerBound), range.count, MADV_DONTNEED)
  }

  /// The bytes after a UTF-8 byte-order mark, if there is one.
  var body: UnsafeRawBufferPointer {
    bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF
      ? UnsafeRawBufferPointer(rebasing: bytes[3...]) : bytes
  }
}
