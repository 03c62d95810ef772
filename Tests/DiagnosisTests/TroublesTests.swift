import Communication
import Diagnosis
import SystemSupport
import Testing

/// What is found wrong with hosts that are made up.
@Suite struct TroublesTests {
  private static func rank(_ host: String = "a", _ change: (inout RankFacts) -> Void = { _ in }) -> RankFacts {
    var facts = RankFacts()
    (facts.host, facts.processor, facts.hostCores, facts.coreList, facts.threads) = (host, "CPU", 4, "0-3", 2)
    (facts.program, facts.mpi, facts.openBLAS, facts.kernels) = ("0.1.0", "Open MPI v4.1.4", "OpenBLAS 0.3.21, pthread, Zen", "x86-64-v3")
    (facts.memory, facts.sharedMemorySize, facts.sharedMemoryFree, facts.readsNeighbour) = (8e9, 4e9, 4e9, true)
    change(&facts)
    return facts
  }

  private static let disk = FolderCheck(path: "runs", existing: ".", bytesFree: 1e12, type: "ext4", writeSeconds: 0.01, problem: nil)

  private func troubles(
    _ ranks: [RankFacts], network: [NetworkMeasurement] = [], disk: FolderCheck = Self.disk
  ) -> [String] { Trouble.all(ranks, network, disk).map(\.what) }

  @Test func aGoodPlaceHasNone() {
    let link = NetworkMeasurement(host: "b", isSameHost: false, latency: 5e-5, bandwidth: 1.2e9)
    #expect(troubles([Self.rank(), Self.rank(), Self.rank("b"), Self.rank("b")], network: [link]).isEmpty)
    let lines = Doctor.lines([Self.rank(), Self.rank("b")], [link], Self.disk)
    #expect(lines.last == "no trouble found" && lines.first == "host a: 1 rank (0)")
    #expect(lines.contains("from a to b: 50.0 us, 1.2 GB/s each way"))
    // One rank alone needs no shared memory, nor anyone's.
    #expect(
      troubles([
        Self.rank {
          $0.readsNeighbour = nil
          $0.sharedMemorySize = 0
        }
      ]).isEmpty)
  }

  @Test(arguments: [
    ("5 ranks on a have 4 cores", [RankFacts](repeating: rank { $0.threads = 1 }, count: 5)),
    ("the ranks on a are bound to 2 of its 4 cores", [rank { $0.coreList = "0" }, rank { $0.coreList = "1" }]),
    ("ranks 0 and 1 on a are bound to the same cores (0-1)", [rank { $0.coreList = "0-1" }, rank { $0.coreList = "0-1" }, rank()]),
    ("the control group on a allows 1.5 cores' time to 4 threads", [rank { $0.quota = 1.5 }, rank { $0.quota = 1.5 }]),
    ("the processor of a (CPU) has no fused multiply-add", [rank { $0.hasFMA = false }]),
    ("/dev/shm on a is not there", [rank { $0.sharedMemorySize = 0 }, rank()]),
    ("/dev/shm on a has 10 MiB free for 2 ranks", [rank { $0.sharedMemoryFree = 10 * 1_048_576 }, rank()]),
    ("ranks on a may not read each other's memory", [rank(), rank { $0.readsNeighbour = false }]),
    ("a has 100 MiB of memory left", [rank { $0.memory = 100 * 1_048_576 }]),
    ("the program differs: 0.1.0 on a, 0.2.0 on b (rank 1)", [rank(), rank("b") { $0.program = "0.2.0" }]),
    ("MPI differs: Open MPI v4.1.4 on a, other on b (rank 1)", [rank(), rank("b") { $0.mpi = "other" }]),
  ])
  func eachTroubleIsNamed(words: String, ranks: [RankFacts]) {
    let found = troubles(ranks)
    #expect(found.count == 1 && found[0].hasPrefix(words), "\(found)")
  }

  @Test func singleCopiesThatAreSwitchedOffAreNoTrouble() {
    let ranks = [RankFacts](
      repeating: Self.rank {
        $0.readsNeighbour = false
        $0.singleCopySetting = "none"
      }, count: 2)
    #expect(troubles(ranks).isEmpty)
  }

  @Test func networkAndDisk() {
    let slow = NetworkMeasurement(host: "b", isSameHost: false, latency: 2e-3, bandwidth: 1e8)
    #expect(troubles([Self.rank(), Self.rank("b")], network: [slow]).count == 2)
    var here = slow
    here.isSameHost = true
    #expect(troubles([Self.rank(), Self.rank()], network: [here]).isEmpty)
    var disk = Self.disk
    (disk.bytesFree, disk.writeSeconds) = (1e6, 5)
    #expect(troubles([Self.rank()], disk: disk).count == 2)
    disk.problem = "no room"
    #expect(troubles([Self.rank()], disk: disk) == ["runs cannot be written to runs: no room"])
  }

  @Test(arguments: [("0-3,8", 5), ("7", 1), ("", 0), ("unknown", 0), ("3-1", 0), ("0-99999999", 0)])
  func coreLists(text: String, count: Int) { #expect(Self.rank { $0.coreList = text }.cores.count == count) }

  @Test func factsReturnFromTheirBytes() throws {
    for facts in [
      Self.rank(),
      Self.rank {
        $0.readsNeighbour = nil
        $0.quota = 1.5
      },
    ] { #expect(try MessageReader.value(of: MessageWriter.bytes(of: facts)) == facts) }
    #expect(throws: CollectiveFailure.self) { try MessageReader.value(of: Array("a\0b".utf8)) as RankFacts }
  }
}
