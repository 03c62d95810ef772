import CLinux
import Glibc

/// Memory that one process writes and others of its host read: a file without a name, so that nothing stays however the processes
/// end, and no folder such as /dev/shm has to have room.
package final class SharedMemory: @unchecked Sendable {
  /// Writable for the process that made it, until it is `sealed`.
  package let bytes: UnsafeMutableRawBufferPointer
  private var descriptor: Int32

  /// What another process of the host opens it by.
  package struct Address: BitwiseCopyable, Equatable, Sendable {
    package var process: Int64
    package var descriptor: Int64
    /// Tells it from what the same numbers may mean elsewhere.
    package var inode: UInt64
    package var byteCount: Int64

    /// Where there is none.
    package static let none = Address(process: 0, descriptor: 0, inode: 0, byteCount: 0)
  }

  package let address: Address

  /// Takes all of it at once; throws where the system has none, or too little of it.
  package init(byteCount: Int) throws(SystemError) {
    precondition(byteCount > 0)
    let subject = "shared memory"
    let descriptor = try systemCall("memfd_create", subject) { linux_memory_file("bert4rec-dist") }
    do throws(SystemError) {
      try systemCall("ftruncate", subject) { ftruncate(descriptor, off_t(byteCount)) }
      // Pages that are absent would end the program when they are written.
      let code = posix_fallocate(descriptor, 0, off_t(byteCount))
      if code != 0 { throw SystemError(call: "posix_fallocate", subject: subject, errno: code) }
      var status = stat()
      try systemCall("fstat", subject) { fstat(descriptor, &status) }
      bytes = try Self.map(descriptor, byteCount, PROT_READ | PROT_WRITE)
      address = Address(
        process: Int64(getpid()), descriptor: Int64(descriptor), inode: UInt64(status.st_ino), byteCount: Int64(byteCount))
    } catch {
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
  }

  /// Opens what another process made, to read it. Throws where that cannot be seen from here, as in another container.
  package init(opening address: Address) throws(SystemError) {
    let path = "/proc/\(address.process)/fd/\(address.descriptor)"
    let descriptor = try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    defer { close(descriptor) }
    var status = stat()
    try systemCall("fstat", path) { fstat(descriptor, &status) }
    guard UInt64(status.st_ino) == address.inode && Int64(status.st_size) == address.byteCount else {
      throw SystemError(call: "fstat", subject: path, errno: ESTALE)
    }
    bytes = try Self.map(descriptor, Int(address.byteCount), PROT_READ)
    self.address = address
    self.descriptor = -1
  }

  private static func map(
    _ descriptor: Int32, _ byteCount: Int, _ protection: Int32
  ) throws(SystemError) -> UnsafeMutableRawBufferPointer {
    guard let base = mmap(nil, byteCount, protection, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
      throw SystemError(call: "mmap", subject: "shared memory", errno: errno)
    }
    return UnsafeMutableRawBufferPointer(start: base, count: byteCount)
  }

  /// Nobody opens it any more, and nobody writes it.
  package func seal() {
    mprotect(bytes.baseAddress, bytes.count, PROT_READ)
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }

  deinit {
    munmap(bytes.baseAddress, bytes.count)
    if descriptor >= 0 { close(descriptor) }
  }
}
