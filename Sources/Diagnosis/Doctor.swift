import Communication
import SystemSupport

/// Looks at the hosts, the network and the disk that a run would have.
package enum Doctor {
  /// Writes nothing but a file on the disk of the run folder, which it removes.
  ///
  /// - Returns: on rank 0, lines for people; nothing elsewhere.
  package static func examine(runFolder: String, _ communicator: any Communicator) throws(CollectiveFailure) -> [String] {
    let own = try Activity.during("looking at the hosts") { () throws(CollectiveFailure) in try RankFacts.own(communicator) }
    let ranks = try communicator.gather(own)
    let network = try Activity.during("measuring the network") { () throws(CollectiveFailure) in
      try NetworkMeasurement.all(ranks.map(\.host), communicator)
    }
    if communicator.rank != 0 { return [] }
    let folder = Activity.during("measuring the disk") { FolderCheck(runFolder) }
    return lines(ranks, network, folder)
  }

  package static func lines(_ ranks: [RankFacts], _ network: [NetworkMeasurement], _ folder: FolderCheck) -> [String] {
    var lines: [String] = []
    func row(_ name: String, _ value: String) {
      lines.append("  " + name + String(repeating: " ", count: max(1, 14 - name.count)) + value)
    }
    for (host, own) in Trouble.grouped(ranks) {
      let facts = own[0].facts
      lines.append("host \(host): \(own.count) rank\(own.count == 1 ? "" : "s") (\(spans(own.map(\.rank))))")
      row("processor", "\(facts.processor), \(facts.hostCores) cores; kernels \(facts.kernels)")
      row("cores", same(own) { $0.coreList })
      row("CPU quota", same(own) { $0.quota.isFinite ? "\(DecimalText.fixed($0.quota, 1)) cores" : "none" })
      row("threads", same(own) { "\($0.threads)" } + " per rank, unless --threads says another number")
      row("memory", "\(MemorySize.text(facts.memory)) available")
      row("/dev/shm", "\(MemorySize.text(facts.sharedMemoryFree)) of \(MemorySize.text(facts.sharedMemorySize)) free")
      let setting = facts.singleCopySetting.isEmpty ? "" : "; Open MPI is told \"\(facts.singleCopySetting)\""
      row("single copy", same(own) { $0.readsNeighbour.map { $0 ? "possible" : "not allowed" } ?? "one rank alone" } + setting)
      row("program", facts.program)
      row("MPI", facts.mpi.isEmpty ? "not in use: one process without mpirun" : facts.mpi)
      row("OpenBLAS", facts.openBLAS)
    }
    for link in network {
      let name = link.isSameHost ? "between ranks of \(link.host)" : "from \(ranks[0].host) to \(link.host)"
      let time = link.latency < 1e-3 ? "\(DecimalText.fixed(1e6 * link.latency, 1)) us" : "\(DecimalText.fixed(1e3 * link.latency, 1)) ms"
      let speed =
        link.bandwidth < 1e9
        ? "\(DecimalText.fixed(link.bandwidth / 1e6, 1)) MB/s" : "\(DecimalText.fixed(link.bandwidth / 1e9, 1)) GB/s"
      lines.append("\(name): \(time), \(speed) each way")
    }
    let speed = folder.writeSeconds.map {
      ", \(DecimalText.fixed(Double(FolderCheck.writtenBytes) / 1e6 / max($0, 1e-6), 1)) MB/s forced to the disk"
    }
    lines.append("runs in \(folder.path): \(folder.existing) is \(folder.type), \(MemorySize.text(folder.bytesFree)) free\(speed ?? "")")
    let troubles = Trouble.all(ranks, network, folder)
    for trouble in troubles { lines += ["trouble: \(trouble.what)", "  change: \(trouble.change)"] }
    if troubles.isEmpty { lines.append("no trouble found") }
    return lines
  }

  /// One value where all ranks have the same, else each one's.
  private static func same(_ own: [(rank: Int, facts: RankFacts)], _ value: (RankFacts) -> String) -> String {
    let values = own.map { value($0.facts) }
    if Set(values).count == 1 { return values[0] }
    let shown = zip(own, values).prefix(16).map { "rank \($0.0.rank): \($0.1)" }.joined(separator: "; ")
    return own.count > 16 ? shown + "; ..." : shown
  }

  /// 0, 1, 2, 5 as "0-2,5".
  private static func spans(_ numbers: [Int]) -> String {
    var spans: [ClosedRange<Int>] = []
    for number in numbers {
      if let last = spans.last, last.upperBound + 1 == number {
        spans[spans.count - 1] = last.lowerBound...number
      } else {
        spans.append(number...number)
      }
    }
    return spans.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
  }
}
