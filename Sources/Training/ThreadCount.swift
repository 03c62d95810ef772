import Collectives
import SystemSupport

/// How many threads a rank should use by default: the cores that it may run on, divided by the ranks that share them.
enum ThreadCount {
  /// Collective. Ranks share cores when they are on one host and their affinity masks meet.
  static func automatic(_ communicator: any Communicator) throws(Failure) -> Int {
    let own = coreMask()
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
    return max(1, coreCount / max(1, sharing))
  }

  /// Cores that this process may run on.
  static var coreCount: Int { coreMask().reduce(0) { $0 + $1.nonzeroBitCount } }

  /// Their numbers, as the kernel writes them, such as "0-3,8".
  static var coreList: String {
    let status = (try? FileSystem.read("/proc/self/status", limit: 1 << 16)) ?? []
    let line = String(decoding: status, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
    return line.map { String($0.dropFirst("Cpus_allowed_list:".count).drop { $0 == "\t" || $0 == " " }) } ?? "unknown"
  }

  /// A bit for each core that this process may run on, from /proc; all zeros where that cannot be read.
  private static func coreMask() -> [UInt8] {
    var mask = [UInt8](repeating: 0, count: 256)
    guard let status = try? FileSystem.read("/proc/self/status", limit: 1 << 16) else { return mask }
    let lines = String(decoding: status, as: UTF8.self).split(separator: "\n")
    guard let line = lines.first(where: { $0.hasPrefix("Cpus_allowed:") }) else { return mask }
    // Hexadecimal digits, the lowest cores last, in groups with commas.
    for (index, digit) in line.dropFirst("Cpus_allowed:".count).reversed().filter(\.isHexDigit).enumerated() {
      guard index / 2 < mask.count, let value = digit.hexDigitValue else { break }
      mask[index / 2] |= UInt8(value) << (index % 2 * 4)
    }
    return mask
  }
}
