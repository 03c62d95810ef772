import Collectives
import SystemSupport

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// How many threads a rank should use by default: the cores that it may run on, divided by the ranks that share them.
enum ThreadCount {
  /// Collective. Ranks share cores when they are on one host and their affinity masks meet.
  static func automatic(_ communicator: any Communicator) throws(Failure) -> Int {
    var mask = cpu_set_t()
    guard sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &mask) == 0 else { return 1 }
    let own = withUnsafeBytes(of: &mask) { Array($0) }
    let host = Array(communicator.hostName.utf8.prefix(127))
    let record = own + [UInt8(host.count)] + host + [UInt8](repeating: 0, count: 127 - host.count)
    var all = [UInt8](repeating: 0, count: record.count * communicator.size)
    let result = all.withUnsafeMutableBytes { all in
      record.withUnsafeBytes { record in
        Result { () throws(Failure) in try communicator.allGather(record, into: all) }
      }
    }
    try result.get()
    var sharing = 0
    for rank in 0..<communicator.size {
      let other = all[(rank * record.count)..<((rank + 1) * record.count)]
      let sameHost = other.dropFirst(own.count).elementsEqual(record.dropFirst(own.count))
      if sameHost && zip(own, other).contains(where: { $0 & $1 != 0 }) { sharing += 1 }
    }
    let cores = own.reduce(0) { $0 + $1.nonzeroBitCount }
    return max(1, cores / max(1, sharing))
  }
}
