import BERT4RecModel
import Communication
import Glibc
import SystemSupport
import Training

/// What a rank knows of the place where it runs.
package struct RankFacts: Equatable, Sendable {
  package var host = ""
  package var processor = ""
  /// Cores of the host, those that the rank may run on (as "0-3,8"), and the processor time that its control groups allow, in cores.
  package var hostCores = 0
  package var coreList = ""
  package var quota = Double.infinity
  /// Threads that it would use by itself.
  package var threads = 1
  package var program = ""
  package var mpi = ""
  package var openBLAS = ""
  package var kernels = ""
  package var hasFMA = true
  /// In bytes.
  package var memory = 0.0
  package var (sharedMemorySize, sharedMemoryFree) = (0.0, 0.0)
  /// What Open MPI was told of single copies; empty where nothing.
  package var singleCopySetting = ""
  /// Whether it can read the memory of the rank beside it; nil where there is none.
  package var readsNeighbour: Bool?

  package init() {}

  static func own(_ communicator: any Communicator) throws(CollectiveFailure) -> RankFacts {
    var facts = RankFacts()
    facts.host = communicator.hostName
    let information = String(decoding: (try? FileSystem.read("/proc/cpuinfo", limit: 1 << 22)) ?? [], as: UTF8.self)
    let name = information.split(separator: "\n").first { $0.hasPrefix("model name") }
    facts.processor = name?.split(separator: ":").last.map { String($0.drop { $0 == " " }) } ?? "unknown processor"
    facts.hostCores = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    facts.coreList = ThreadCount.coreList
    facts.quota = ControlGroups().processors.map(\.value).min() ?? .infinity
    facts.threads = try ThreadCount.automatic(communicator)
    facts.program = ProgramVersion.description.split(separator: "\n").first.map(String.init) ?? ""
    facts.mpi = communicator.library ?? ""
    facts.openBLAS = OpenBLASBackend.description
    facts.kernels = ProgramVersion.kernels
    facts.hasFMA = BackendChoice.runsNative
    facts.memory = MemoryLimit.available()
    (facts.sharedMemorySize, facts.sharedMemoryFree) = FileSystemRoom.of("/dev/shm").map { ($0.size, $0.free) } ?? (0, 0)
    facts.singleCopySetting = getenv("OMPI_MCA_btl_vader_single_copy_mechanism").map { String(cString: $0) } ?? ""
    facts.readsNeighbour = try NeighbourMemory.isReadable(communicator)
    return facts
  }

  /// Cores that the rank may run on; empty where the list cannot be read.
  package var cores: Set<Int> {
    var cores: Set<Int> = []
    for part in coreList.split(separator: ",") {
      let ends = part.split(separator: "-").map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last, last < 1 << 16 else { return [] }
      cores.formUnion(first...last)
    }
    return cores
  }
}

extension RankFacts: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(host)
    message.write(processor)
    message.write(hostCores)
    message.write(coreList)
    message.write(quota)
    message.write(threads)
    message.write(program)
    message.write(mpi)
    message.write(openBLAS)
    message.write(kernels)
    message.write(hasFMA)
    message.write(memory)
    message.write(sharedMemorySize)
    message.write(sharedMemoryFree)
    message.write(singleCopySetting)
    message.write(readsNeighbour)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init()
    host = try message.read()
    processor = try message.read()
    hostCores = try message.read()
    coreList = try message.read()
    quota = try message.read()
    threads = try message.read()
    program = try message.read()
    mpi = try message.read()
    openBLAS = try message.read()
    kernels = try message.read()
    hasFMA = try message.read()
    memory = try message.read()
    sharedMemorySize = try message.read()
    sharedMemoryFree = try message.read()
    singleCopySetting = try message.read()
    readsNeighbour = try message.read()
  }
}
