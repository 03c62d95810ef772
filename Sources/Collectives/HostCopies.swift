import SystemSupport

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Bytes that were rank 0's, in memory that all ranks of a host share where they can.
public final class HostCopy: @unchecked Sendable {
  public let bytes: UnsafeRawBufferPointer
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
  /// - Parameter what: names it in messages, such as "the data".
  public func copyToHosts(
    _ own: UnsafeRawBufferPointer, _ what: String, log: (String) -> Void
  ) throws(Failure) -> HostCopy {
    let count = try broadcastArray([own.count])[0]
    if count == 0 { return HostCopy(UnsafeMutableRawBufferPointer(start: nil, count: 0), owner: nil) }
    let leaders = try leadersOfHosts()
    let shares = leaders.count { $0 == leaders[rank] } > 1

    // The leader of a host makes the memory, the others open it. Who cannot takes its own.
    var shared: SharedMemory?
    var problem = ""
    if shares && leaders[rank] == rank {
      do throws(SystemError) { shared = try SharedMemory(byteCount: count) } catch { problem = error.description }
    }
    let address = try gatherFromAll(shared?.address ?? .none)[leaders[rank]]
    if shares && leaders[rank] != rank && address.byteCount > 0 {
      do throws(SystemError) { shared = try SharedMemory(opening: address) } catch { problem = error.description }
    }
    if !problem.isEmpty { problem = "\(what) takes memory on every rank of \(hostName), since it cannot be shared there: \(problem)" }
    if let first = try gather(Array(problem.utf8)).first(where: { !$0.isEmpty }) { log(String(decoding: first, as: UTF8.self)) }
    let opened = shared
    let copy = try onEveryRank { () throws(Failure) in
      if let opened { return HostCopy(opened.bytes, owner: opened) }
      let memory = try AlignedMemory(byteCount: count, for: what)
      return HostCopy(UnsafeMutableRawBufferPointer(start: memory.base, count: count), owner: memory)
    }

    let isFilled = leaders[rank] == rank || shared == nil
    if rank == 0 { UnsafeMutableRawBufferPointer(mutating: copy.bytes).copyMemory(from: own) }
    try broadcast(UnsafeMutableRawBufferPointer(mutating: copy.bytes), among: isFilled)
    // Nobody reads before the leader has all of it, and it stays open until all have opened it.
    try waitForAll()
    shared?.seal()
    return copy
  }

  /// For each rank the lowest rank of its host.
  private func leadersOfHosts() throws(Failure) -> [Int] {
    var leaders: [[UInt8]: Int] = [:]
    let keys = try gather(Array(hostKey().utf8))
    for (rank, key) in keys.enumerated() where leaders[key] == nil { leaders[key] = rank }
    return try broadcastArray(keys.map { leaders[$0] ?? 0 })
  }

  /// The same for ranks that can open each other's memory, as far as can be told.
  private func hostKey() -> String {
    let boot = (try? FileSystem.read("/proc/sys/kernel/random/boot_id", limit: 100)) ?? []
    var namespace = [CChar](repeating: 0, count: 64)
    readlink("/proc/self/ns/pid", &namespace, namespace.count - 1)
    let processes = namespace.prefix { $0 != 0 }.map { UInt8(truncatingIfNeeded: $0) }
    return "\(hostName) \(String(decoding: boot + processes, as: UTF8.self)) \(geteuid())"
  }

  private func gatherFromAll<Element: BitwiseCopyable>(_ value: Element) throws(Failure) -> [Element] {
    let own = [value]
    var all = [Element](repeating: value, count: size)
    try own.withUnsafeBufferPointer { own throws(Failure) in
      try all.withUnsafeMutableBufferPointer { all throws(Failure) in
        try allGather(UnsafeRawBufferPointer(own), into: UnsafeMutableRawBufferPointer(all))
      }
    }
    return all
  }
}
