import SystemSupport

/// Something that makes a run slow or ends it, and what to change.
package struct Trouble: Equatable, Sendable {
  package let what: String
  package let change: String
}

extension Trouble {
  /// All that the facts tell, in the ranks' order.
  package static func all(_ ranks: [RankFacts], _ network: [NetworkMeasurement], _ folder: FolderCheck) -> [Trouble] {
    var troubles = differences(ranks)
    for (host, own) in grouped(ranks) {
      troubles += cores(host, own) + libraries(host, own) + memory(host, own)
    }
    return troubles + self.network(network) + disk(folder)
  }

  /// Ranks by host, in order of first appearance.
  package static func grouped(_ ranks: [RankFacts]) -> [(host: String, ranks: [(rank: Int, facts: RankFacts)])] {
    var hosts: [(host: String, ranks: [(rank: Int, facts: RankFacts)])] = []
    for (rank, facts) in ranks.enumerated() {
      if let place = hosts.firstIndex(where: { $0.host == facts.host }) {
        hosts[place].ranks.append((rank, facts))
      } else {
        hosts.append((facts.host, [(rank, facts)]))
      }
    }
    return hosts
  }

  private static func differences(_ ranks: [RankFacts]) -> [Trouble] {
    func trouble(_ name: String, _ values: [String], _ change: String) -> Trouble? {
      guard let other = values.indices.first(where: { values[$0] != values[0] }) else { return nil }
      return Trouble(
        what: "\(name) differs: \(values[0]) on \(ranks[0].host), \(values[other]) on \(ranks[other].host) (rank \(other))", change: change)
    }
    return [
      trouble("the program", ranks.map(\.program), "install the same build on all hosts; train refuses others"),
      trouble("MPI", ranks.map(\.mpi), "install, or load as a module, the same MPI on all hosts"),
    ].compactMap(\.self)
  }

  private static func cores(_ host: String, _ own: [(rank: Int, facts: RankFacts)]) -> [Trouble] {
    var troubles: [Trouble] = []
    let all = own.reduce(into: Set<Int>()) { $0.formUnion($1.facts.cores) }
    let hostCores = own[0].facts.hostCores
    if !all.isEmpty && own.count > all.count {
      let names = all.count < hostCores ? "may run on \(all.count) of its \(hostCores) cores" : "have \(all.count) cores"
      troubles.append(
        Trouble(
          what: "\(own.count) ranks on \(host) \(names): they wait for each other",
          change: "start as many ranks as cores, or fewer with more --threads"))
    } else if !all.isEmpty && all.count < hostCores {
      troubles.append(
        Trouble(
          what: "the ranks on \(host) are bound to \(all.count) of its \(hostCores) cores",
          change: "mpirun --bind-to none, or --map-by socket:PE=n --bind-to core with n threads per rank; or start more ranks"))
    }
    // The same single core twice, while others are free.
    for (index, one) in own.enumerated() where one.facts.cores.count < all.count {
      if let other = own[..<index].first(where: { !$0.facts.cores.isDisjoint(with: one.facts.cores) && $0.facts.cores.count < all.count }) {
        troubles.append(
          Trouble(
            what: "ranks \(other.rank) and \(one.rank) on \(host) are bound to the same cores (\(one.facts.coreList))",
            change: "mpirun --map-by core --bind-to core, or --bind-to none"))
        break
      }
    }
    let quota = own.map(\.facts.quota).min() ?? .infinity
    let used = own.reduce(0) { $0 + $1.facts.threads }
    if quota < Double(min(used, max(all.count, 1))) {
      troubles.append(
        Trouble(
          what: "the control group on \(host) allows \(DecimalText.fixed(quota, 1)) cores' time to \(used) threads: "
            + "they are stopped again and again",
          change: "raise the limit (docker --cpus, resources.limits.cpu, Slurm's --cpus-per-task), or start fewer ranks"))
    }
    return troubles
  }

  private static func libraries(_ host: String, _ own: [(rank: Int, facts: RankFacts)]) -> [Trouble] {
    let facts = own[0].facts
    var troubles: [Trouble] = []
    if !facts.hasFMA {
      troubles.append(
        Trouble(
          what:
            "the processor of \(host) (\(facts.processor)) has no fused multiply-add: products are OpenBLAS's, slower and with other bits",
          change: "use hosts with AVX2 and FMA"))
    }
    if !facts.hasFMA && facts.openBLAS.contains(", serial,") {
      troubles.append(
        Trouble(
          what: "OpenBLAS on \(host) is the serial build, which several threads must not call",
          change: "use ranks of one thread, or install libopenblas0-pthread"))
    }
    return troubles
  }

  /// Docker's /dev/shm has 64 MiB; Open MPI 4 takes about 4 MiB per rank of it, more with large messages.
  private static let sharedMemoryPerRank = Double(16 << 20)

  private static func memory(_ host: String, _ own: [(rank: Int, facts: RankFacts)]) -> [Trouble] {
    var troubles: [Trouble] = []
    let facts = own[0].facts
    if own.count > 1 {
      if facts.sharedMemorySize == 0 {
        troubles.append(
          Trouble(
            what: "/dev/shm on \(host) is not there: ranks of the host may not find a way to each other",
            change: "mount a tmpfs on /dev/shm"))
      } else if facts.sharedMemoryFree < sharedMemoryPerRank * Double(own.count) {
        troubles.append(
          Trouble(
            what: "/dev/shm on \(host) has \(MemorySize.text(facts.sharedMemoryFree)) free for \(own.count) ranks",
            change: "docker --shm-size=1g, an emptyDir with medium: Memory on /dev/shm in Kubernetes, or remove what lies there"))
      }
      if own.contains(where: { $0.facts.readsNeighbour == false }) && facts.singleCopySetting != "none" {
        troubles.append(
          Trouble(
            what: "ranks on \(host) may not read each other's memory (no CAP_SYS_PTRACE in a container, or ptrace_scope): Open MPI 4 "
              + "prints \"Read -1, expected ...\"",
            change: "export OMPI_MCA_btl_vader_single_copy_mechanism=none (cluster/mpi-environment.sh does), or --cap-add SYS_PTRACE"))
      }
    }
    if facts.memory < Double(512 << 20) {
      troubles.append(
        Trouble(
          what: "\(host) has \(MemorySize.text(facts.memory)) of memory left",
          change: "train --dry-run says what a run needs; end other programs or raise the limit"))
    }
    return troubles
  }

  private static func network(_ network: [NetworkMeasurement]) -> [Trouble] {
    var troubles: [Trouble] = []
    for link in network where !link.isSameHost {
      if link.bandwidth < 0.2e9 {
        troubles.append(
          Trouble(
            what: "to \(link.host) there are \(DecimalText.fixed(link.bandwidth / 1e6, 1)) MB/s, less than 2 Gbit/s",
            change: "choose the fast interface: --mca btl_tcp_if_include eth1 --mca oob_tcp_if_include eth1 (docs/clusters.md); with "
              + "InfiniBand --mca pml ucx"))
      }
      if link.latency > 1e-3 {
        troubles.append(
          Trouble(
            what: "a message to \(link.host) takes \(DecimalText.fixed(1e3 * link.latency, 1)) ms",
            change: "use hosts of one network, larger batches, or more threads and fewer ranks"))
      }
    }
    return troubles
  }

  private static let networkTypes: Set<String> = ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs"]

  private static func disk(_ folder: FolderCheck) -> [Trouble] {
    if let problem = folder.problem {
      return [Trouble(what: "runs cannot be written to \(folder.path): \(problem)", change: "name another folder with --run")]
    }
    var troubles: [Trouble] = []
    if folder.bytesFree < Double(1 << 30) {
      troubles.append(
        Trouble(
          what: "\(folder.existing) has \(MemorySize.text(folder.bytesFree)) free",
          change: "train --dry-run says what checkpoints need; make room, lower keep_checkpoints, or name another folder with --run"))
    }
    if let seconds = folder.writeSeconds, seconds > 2 {
      let type = networkTypes.contains(folder.type) ? ", a network's" : ""
      troubles.append(
        Trouble(
          what: "writing 8 MiB to \(folder.existing) (\(folder.type)\(type)) takes \(DecimalText.fixed(seconds, 1)) s",
          change: "a local disk for --run, or a larger save_checkpoints_steps"))
    }
    return troubles
  }
}
