import Communication
import Glibc
import SystemSupport

/// Whether ranks of a host may read each other's memory, as Open MPI's single copies (CMA) do: containers often forbid it.
enum NeighbourMemory {
  private struct Address: PlainValue {
    var process: Int64 = 0
    var place: UInt64 = 0
    var host: UInt64 = 0
  }

  /// Nil where no other rank is on this host.
  static func isReadable(_ communicator: any Communicator) throws(CollectiveFailure) -> Bool? {
    let byte = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
    defer { byte.deallocate() }
    byte.initialize(to: 0xA7)
    let own = Address(process: Int64(getpid()), place: UInt64(UInt(bitPattern: byte)), host: key(communicator.hostName))
    let all = try communicator.allGather(own)
    let beside = all.indices.filter { $0 != communicator.rank && all[$0].host == own.host }
    var result: Bool?
    if let next = beside.first(where: { $0 > communicator.rank }) ?? beside.first {
      result = read(all[next]) == 0xA7
    }
    // Nobody lets go of the byte before all have looked.
    try communicator.waitForAll()
    return result
  }

  /// A byte of another process; nil where that is not allowed.
  private static func read(_ address: Address) -> UInt8? {
    // Glibc declares it for _GNU_SOURCE alone, which Swift does not set.
    typealias Call = @convention(c) (pid_t, UnsafePointer<iovec>, UInt, UnsafePointer<iovec>, UInt, UInt) -> Int
    guard let symbol = dlsym(nil, "process_vm_readv") else { return nil }
    let call = unsafeBitCast(symbol, to: Call.self)
    var byte: UInt8 = 0
    let count = withUnsafeMutablePointer(to: &byte) { target in
      var own = iovec(iov_base: target, iov_len: 1)
      var other = iovec(iov_base: UnsafeMutableRawPointer(bitPattern: UInt(address.place)), iov_len: 1)
      return call(pid_t(truncatingIfNeeded: address.process), &own, 1, &other, 1, 0)
    }
    return count == 1 ? byte : nil
  }

  /// FNV-1a.
  private static func key(_ name: String) -> UInt64 {
    name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}
