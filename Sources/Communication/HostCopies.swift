import Glibc
import SystemSupport

/// Bytes that were rank 0's, in memory that all ranks of a host share where they can.
package final class HostCopy: @unchecked Sendable {
  package let bytes: UnsafeRawBufferPointer
  private let owner: AnyObject?

  fileprivate init(_ bytes: UnsafeMutableRawBufferPointer, owner: AnyObject?) {
    self.bytes = UnsafeRawBufferPointer(bytes)
    self.owner = owner
  }
}

extension Communicator {
  /// Collective. Rank 0's bytes on every rank, once per host. Where ranks of a host cannot see each other's memory, as in containers
  /// of their own, each has its own copy, and `log` is told so on rank 0.
  ///
  /// - Parameters:
  ///   - byteCount: rank 0's.
  ///   - what: names it in messages, such as "the data".
  ///   - fill: writes the bytes, on rank 0 alone.
  package func copyToHosts(
    byteCount: Int, _ what: String, log: (String) -> Void, fill: (UnsafeMutableRawBufferPointer) -> Void
  ) throws(CollectiveFailure) -> HostCopy {
    let count = try broadcast(byteCount)
    if count == 0 { return HostCopy(UnsafeMutableRawBufferPointer(start: nil, count: 0), owner: nil) }
    let leaders = try leadersOfHosts()
    let shares = leaders.count { $0 == leaders[rank] } > 1

    // The leader of a host makes the memory, the others open it. Who cannot takes its own.
    var shared: SharedMemory?
    var problem = ""
    if shares && leaders[rank] == rank {
      do throws(SystemError) { shared = try SharedMemory(byteCount: count) } catch { problem = error.description }
    }
    let address = try allGather(shared?.address ?? .none)[leaders[rank]]
    if shares && leaders[rank] != rank && address.byteCount > 0 {
      do throws(SystemError) { shared = try SharedMemory(opening: address) } catch { problem = error.description }
    }
    if !problem.isEmpty { problem = "\(what) takes memory on every rank of \(hostName), since it cannot be shared there: \(problem)" }
    if let first = try gather(problem).first(where: { !$0.isEmpty }) { log(first) }
    let opened = shared
    let copy = try onEveryRank { () throws(ProgramFailure) in
      if let opened { return HostCopy(opened.bytes, owner: opened) }
      let memory = try AlignedMemory(byteCount: count, for: what)
      return HostCopy(UnsafeMutableRawBufferPointer(start: memory.base, count: count), owner: memory)
    }

    let isFilled = leaders[rank] == rank || shared == nil
    if rank == 0 { fill(UnsafeMutableRawBufferPointer(mutating: copy.bytes)) }
    try broadcastBytes(UnsafeMutableRawBufferPointer(mutating: copy.bytes), among: isFilled)
    // Nobody reads before the leader has all of it, and it stays open until all have opened it.
    try waitForAll()
    shared?.seal()
    return copy
  }

  /// For each rank the lowest rank of its host.
  private func leadersOfHosts() throws(CollectiveFailure) -> [Int] {
    let keys = try allGather(hostKey())
    var leaders: [String: Int] = [:]
    for (rank, key) in keys.enumerated() where leaders[key] == nil { leaders[key] = rank }
    return keys.map { leaders[$0] ?? 0 }
  }

  /// The same for ranks that can open each other's memory, as far as can be told.
  private func hostKey() -> String {
    let boot = (try? FileSystem.read("/proc/sys/kernel/random/boot_id", limit: 100)) ?? []
    var namespace = [CChar](repeating: 0, count: 64)
    readlink("/proc/self/ns/pid", &namespace, namespace.count - 1)
    let processes = namespace.prefix { $0 != 0 }.map { UInt8(truncatingIfNeeded: $0) }
    return "\(hostName) \(String(decoding: boot + processes, as: UTF8.self)) \(geteuid())"
  }
}

extension SharedMemory.Address: PlainValue {}
