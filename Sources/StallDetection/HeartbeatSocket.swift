import Communication
import Glibc
import SystemSupport

/// A UDP socket over IPv4. MPI's own connections cannot be asked whether the other end is alive; losing a datagram now and
/// then does no harm.
package final class HeartbeatSocket {
  /// An IPv4 address and port.
  package struct Address: PlainValue {
    /// As the system wants them.
    package var socket: sockaddr_in

    package init(_ socket: sockaddr_in = sockaddr_in()) { self.socket = socket }

    /// 127.0.0.0/8.
    package var isLoopback: Bool { UInt32(bigEndian: socket.sin_addr.s_addr) >> 24 == 127 }
  }

  private let descriptor: Int32
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: HeartbeatSeal.byteCount, alignment: 8)

  /// Bound to a free port of all of this host's addresses.
  package init() throws(ProgramFailure) {
    descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var any = Address()
    any.socket.sin_family = sa_family_t(AF_INET)
    let isBound =
      descriptor >= 0
      && Self.withGeneric(&any) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) } == 0
    if !isBound {
      let reason = String(cString: strerror(errno))
      if descriptor >= 0 { close(descriptor) }
      throw ProgramFailure(.internalFault, "no UDP socket for heartbeats between ranks: \(reason)")
    }
  }

  deinit {
    close(descriptor)
    buffer.deallocate()
  }

  /// Where this socket may be reached: each of the host's addresses, at most 8, with the port. Those of the loopback interface are
  /// for this host alone: on another one they lead to whatever runs there.
  package func addresses() -> [Address] {
    var own = Address()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    guard Self.withGeneric(&own, { getsockname(descriptor, $0, &size) }) == 0 else { return [] }
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var found: [Address] = []
    var entry = list
    while let interface = entry?.pointee, found.count < 8 {
      entry = interface.ifa_next
      guard let address = interface.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET) else { continue }
      var target = UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in.self)
      target.sin_port = own.socket.sin_port
      found.append(Address(target))
    }
    return found
  }

  /// Sends without waiting. What cannot be sent is lost.
  package func send(_ datagram: [UInt8], to address: Address) {
    var address = address
    datagram.withUnsafeBytes { bytes in
      _ = Self.withGeneric(&address) {
        sendto(
          descriptor, bytes.baseAddress, bytes.count, Int32(MSG_DONTWAIT), $0,
          socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  /// Sleeps until a datagram is there, at most `seconds`.
  package func wait(_ seconds: Double) {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    _ = poll(&entry, 1, Int32(max(1, seconds * 1000)))
  }

  /// The next heartbeat that has arrived, with its sender's address; nil where there is none. Anything else that may have been sent
  /// here is dropped.
  package func receive(_ seal: inout HeartbeatSeal) -> (Heartbeat, Address)? {
    while true {
      var sender = Address()
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      let count = Self.withGeneric(&sender) {
        recvfrom(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT) | Int32(MSG_TRUNC), $0, &size)
      }
      if count < 0 {
        // An earlier datagram's refusal is reported here once, and says nothing about what else has come.
        if errno == ECONNREFUSED || errno == EINTR { continue }
        return nil
      }
      // With MSG_TRUNC the count is the datagram's own, which may be more than the buffer holds.
      guard count <= buffer.count else { continue }
      if let heartbeat = seal.open(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { return (heartbeat, sender) }
    }
  }

  private static func withGeneric<R>(_ address: inout Address, _ body: (UnsafeMutablePointer<sockaddr>) -> R) -> R {
    withUnsafeMutablePointer(to: &address.socket) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0) }
    }
  }
}
