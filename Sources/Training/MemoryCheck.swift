import Communication
import SystemSupport

/// Refuses what does not fit into memory, before it is taken: what ends a program later is a crash or the kernel's hand.
package enum MemoryCheck {
  /// What a rank tells the others.
  package struct Record: Equatable, Sendable {
    package var host: String
    package var shares: [MemoryPlan.Share]
    package var limits: [MemoryLimit]

    package init(host: String, shares: [MemoryPlan.Share], limits: [MemoryLimit]) {
      self.host = host
      self.shares = shares
      self.limits = limits
    }

    var total: Double { shares.reduce(0) { $0 + $1.bytes } }
  }

  /// Exit code 64 on every rank where the plan of one, or those of all ranks of a host together, exceed a limit there.
  ///
  /// - Returns: on rank 0, the line that says what is needed; nothing elsewhere.
  static func run(_ plan: MemoryPlan, _ communicator: any Communicator) throws(CollectiveFailure) -> String {
    let own = Record(
      host: communicator.hostName, shares: plan.shares,
      limits: MemoryLimit.all(threads: plan.threadCount, addresses: plan.libraryAddresses))
    let records = try communicator.gather(own)
    try communicator.onRankZero { () throws(ProgramFailure) in
      if let problem = problem(records, plan) { throw ProgramFailure(.usage, problem) }
    }
    return communicator.rank == 0 ? description(records) : ""
  }

  /// "memory per rank: 72 MiB (parameters and moments 3 MiB, ...)": of the rank that needs most.
  package static func description(_ records: [Record]) -> String {
    guard let largest = records.max(by: { $0.total < $1.total }) else { return "" }
    let shares = largest.shares.map { "\($0.name) \(MemorySize.text($0.bytes))" }.joined(separator: ", ")
    return "memory per rank: \(MemorySize.text(largest.total)) besides program and data (\(shares))"
  }

  /// What is exceeded most, where anything is. The plan is rank 0's, for what to change.
  package static func problem(_ records: [Record], _ plan: MemoryPlan) -> String? {
    var (worst, message): (Double, String?) = (1, nil)
    var judged: Set<[String]> = []
    for record in records {
      for limit in record.limits {
        // Once for all ranks that share it.
        if let key = limit.sharedAs, !judged.insert([record.host, key]).inserted { continue }
        let sharing =
          limit.sharedAs.map { key in
            records.filter { $0.host == record.host && $0.limits.contains { $0.sharedAs == key } }
          } ?? [record]
        let inUse = sharing.reduce(0) { sum, one in
          sum + (limit.sharedAs == nil ? limit : one.limits.first { $0.sharedAs == limit.sharedAs } ?? limit).inUse
        }
        let needed = sharing.reduce(inUse) { $0 + $1.total }
        guard needed > worst * max(limit.bytes, 1) else { continue }
        worst = needed / max(limit.bytes, 1)
        message = describe(limit, sharing, inUse: inUse, needed: needed, plan)
      }
    }
    return message
  }

  private static func describe(
    _ limit: MemoryLimit, _ sharing: [Record], inUse: Double, needed: Double, _ plan: MemoryPlan
  ) -> String {
    let (count, record) = (sharing.count, sharing[0])
    let present = MemoryPlan.Share(name: "the program and its data", bytes: inUse / Double(count))
    let largest = record.shares.max { $0.bytes < $1.bytes }.flatMap { $0.bytes > present.bytes ? $0 : nil } ?? present
    let who = count == 1 ? "this run needs" : "\(count) ranks on \(record.host) need"
    let host = count == 1 && plan.ranks > 1 ? " on \(record.host)" : ""
    return "not enough memory: \(who) \(MemorySize.text(needed))\(host), of which \(MemorySize.text(largest.bytes * Double(count))) "
      + "for \(largest.name), but \(limit.name) \(MemorySize.text(limit.bytes)); \(remedy(limit, count, inUse: inUse, plan))"
  }

  /// First what changes no result: threads, then ranks. Then the setting that saves most.
  private static func remedy(
    _ limit: MemoryLimit, _ count: Int, inUse: Double, _ plan: MemoryPlan
  ) -> String {
    if let threads = plan.fewerThreads(fitting: { inUse + $0 * Double(count) <= limit.bytes }) {
      return "--threads \(threads) is the most that fits"
    }
    if inUse >= limit.bytes { return "raise that limit" }
    let present = inUse / Double(count)
    if let ranks = plan.fewerRanks(than: count, fitting: { (present + $0) * Double($1) <= limit.bytes }) {
      return "start at most \(ranks) rank\(ranks == 1 ? "" : "s") on that host"
    }
    return "lower \(plan.mostCostlySetting)"
  }
}

extension MemoryCheck.Record: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(host)
    message.write(shares)
    message.write(limits)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(host: try message.read(), shares: try message.read(), limits: try message.read())
  }
}

extension MemoryPlan.Share: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(name)
    message.write(bytes)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(name: try message.read(), bytes: try message.read())
  }
}

extension MemoryLimit: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(name)
    message.write(bytes)
    message.write(sharedAs)
    message.write(inUse)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(name: try message.read(), bytes: try message.read(), sharedAs: try message.read(), inUse: try message.read())
  }
}
