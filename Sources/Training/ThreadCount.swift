import Communication
import SystemSupport

/// How many threads a rank should use by default: the cores that it may run on, or the processor time that its control groups allow
/// it, divided by the ranks that share them.
package enum ThreadCount {
  /// What a rank knows of itself.
  package struct Record: Equatable, Sendable {
    package var host: String
    /// A bit for each core that it may run on; all zeros where that is not known.
    package var cores: [UInt8]
    /// Each with what is the same for all ranks of the host that share it.
    package var quotas: [Quota]

    package struct Quota: Equatable, Sendable {
      package var sharedAs: String
      package var cores: Double

      package init(sharedAs: String, cores: Double) {
        self.sharedAs = sharedAs
        self.cores = cores
      }
    }

    package init(host: String, cores: [UInt8], quotas: [Quota]) {
      self.host = host
      self.cores = cores
      self.quotas = quotas
    }
  }

  package static func automatic(_ communicator: any Communicator) throws(CollectiveFailure) -> Int {
    let quotas = ControlGroups().processors.map { Record.Quota(sharedAs: $0.identity, cores: $0.value) }
    let own = Record(host: communicator.hostName, cores: coreMask(), quotas: quotas)
    return counts(try communicator.allGather(own))[communicator.rank]
  }

  /// Of each rank. Ranks share cores when they are on one host and their affinity masks meet. A quota that is no whole number is
  /// rounded up: nearly one more core's time is there to be used.
  package static func counts(_ records: [Record]) -> [Int] {
    let ofHosts = Dictionary(grouping: records, by: \.host)
    return records.map { own in
      let beside = ofHosts[own.host] ?? []
      let sharing = beside.count { zip($0.cores, own.cores).contains { $0 & $1 != 0 } }
      var count = own.cores.reduce(0) { $0 + $1.nonzeroBitCount } / max(1, sharing)
      for quota in own.quotas {
        let sharing = beside.count { $0.quotas.contains { $0.sharedAs == quota.sharedAs } }
        count = min(count, Int(min(quota.cores.rounded(.up), 1e6)) / max(1, sharing))
      }
      return max(1, count)
    }
  }

  /// The cores that this process may run on, as the kernel writes them, such as "0-3,8".
  package static var coreList: String {
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

extension ThreadCount.Record: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(host)
    message.write(cores)
    message.write(quotas)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(host: try message.read(), cores: try message.read(), quotas: try message.read())
  }
}

extension ThreadCount.Record.Quota: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(sharedAs)
    message.write(cores)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(sharedAs: try message.read(), cores: try message.read())
  }
}
