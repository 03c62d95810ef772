// The only file that imports CMPI: MPI's names, handles and error codes end here.
import CMPI
import Glibc
import SystemSupport

/// All processes that MPI started (MPI_COMM_WORLD), for the thread that makes this.
package final class MPICommunicator: Communicator {
  package let rank: Int
  package let size: Int
  package private(set) var hosts: [String] = []
  package let library: String?
  package var watch: (any LeaveTakingWatch)?

  /// A copy of MPI_COMM_WORLD, so that a program with MPI calls of its own cannot mix its messages with ours.
  private let group: MPI_Comm
  private let finalizes: Bool
  private var isFinished = false

  private let longestPiece: Int

  /// Elements of the longest message, since MPI's counts are C ints.
  package static let longestMessage = 1 << 28

  /// Bytes go in shorter pieces, so that a slow network is seen to get on.
  private static let longestBytes = 1 << 24

  /// Initialises MPI, unless the program has done so itself. Once a process.
  package convenience init() throws(CollectiveFailure) { try self.init(longestPiece: Self.longestMessage) }

  /// No message has more elements than `longestPiece`, because MPI's counts are C ints; tests make it small.
  package init(longestPiece: Int) throws(CollectiveFailure) {
    self.longestPiece = longestPiece
    var initialized: Int32 = 0
    try mpi("MPI_Initialized", MPI_Initialized(&initialized))
    if initialized == 0 {
      // Only this thread calls MPI, however many others compute.
      var provided: Int32 = 0
      let needed = Int32(MPI_THREAD_FUNNELED)
      try mpi("MPI_Init_thread", MPI_Init_thread(nil, nil, needed, &provided))
      guard provided >= needed else {
        throw .onThisRank(
          .internalFault, "this MPI library does not support threads (MPI_THREAD_FUNNELED is not granted)")
      }
    }
    finalizes = initialized == 0
    // Otherwise MPI ends the program itself, without a word from us.
    try mpi("MPI_Comm_set_errhandler", MPI_Comm_set_errhandler(cmpi_comm_world(), cmpi_errors_return()))
    var copy: MPI_Comm?
    try mpi("MPI_Comm_dup", MPI_Comm_dup(cmpi_comm_world(), &copy))
    guard let copy else { throw .onThisRank(.internalFault, "MPI_Comm_dup gave no communicator") }
    group = copy
    var (rank, size): (Int32, Int32) = (0, 0)
    try mpi("MPI_Comm_rank", MPI_Comm_rank(copy, &rank))
    try mpi("MPI_Comm_size", MPI_Comm_size(copy, &size))
    self.rank = Int(rank)
    self.size = Int(size)
    library = Self.libraryVersion
    hosts = try allGather(currentHostName())
  }

  /// Such as "Open MPI v4.1.4"; may be asked before MPI has begun.
  package static var libraryVersion: String {
    var text = [CChar](repeating: 0, count: Int(MPI_MAX_LIBRARY_VERSION_STRING) + 1)
    var length: Int32 = 0
    guard MPI_Get_library_version(&text, &length) == MPI_SUCCESS else { return "unknown MPI library" }
    // "Open MPI v4.1.4, package: ..."
    let words = text.prefix { $0 != 0 }.map { UInt8(truncatingIfNeeded: $0) }.prefix { $0 != UInt8(ascii: ",") && $0 >= 0x20 }
    return String(decoding: words, as: UTF8.self)
  }

  package func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer) throws(CollectiveFailure) { try broadcastBytes(bytes, in: group) }

  package func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer, among takesPart: Bool) throws(CollectiveFailure) {
    var part: MPI_Comm?
    let color = takesPart ? 0 : Int32(MPI_UNDEFINED)
    try mpi("MPI_Comm_split", MPI_Comm_split(group, color, Int32(rank), &part))
    guard takesPart, let part else { return }
    try broadcastBytes(bytes, in: part)
    var done: MPI_Comm? = part
    try mpi("MPI_Comm_free", MPI_Comm_free(&done))
  }

  private func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer, in ranks: MPI_Comm) throws(CollectiveFailure) {
    try inPieces(bytes.count, ofAtMost: Self.longestBytes) { start, count throws(CollectiveFailure) in
      try mpi("MPI_Bcast", MPI_Bcast(bytes.baseAddress.map { $0 + start }, count, cmpi_byte(), 0, ranks))
    }
  }

  package func gatherBytes(_ bytes: [UInt8]) throws(CollectiveFailure) -> [[UInt8]] {
    var count = Int64(bytes.count)
    var counts = [Int64](repeating: 0, count: size)
    try mpi("MPI_Gather", MPI_Gather(&count, 1, cmpi_int64(), &counts, 1, cmpi_int64(), 0, group))
    // One sender after the other: MPI_Gatherv's offsets are C ints, and all ranks' bytes together may exceed them.
    let tag: Int32 = 1
    if rank != 0 {
      try bytes.withUnsafeBufferPointer { buffer throws(CollectiveFailure) in
        try inPieces(buffer.count, ofAtMost: Self.longestBytes) { start, count throws(CollectiveFailure) in
          try mpi("MPI_Send", MPI_Send(buffer.baseAddress.map { $0 + start }, count, cmpi_byte(), 0, tag, group))
        }
      }
      return []
    }
    var all = [bytes]
    for sender in 1..<size {
      var received = [UInt8](repeating: 0, count: Int(counts[sender]))
      try received.withUnsafeMutableBufferPointer { buffer throws(CollectiveFailure) in
        try inPieces(buffer.count, ofAtMost: Self.longestBytes) { start, count throws(CollectiveFailure) in
          let target = buffer.baseAddress.map { $0 + start }
          try mpi(
            "MPI_Recv", MPI_Recv(target, count, cmpi_byte(), Int32(sender), tag, group, cmpi_status_ignore()))
        }
      }
      all.append(received)
    }
    return all
  }

  package func scatterBytes(_ parts: [[UInt8]]) throws(CollectiveFailure) -> [UInt8] {
    let counts = parts.map { Int64($0.count) }
    var count: Int64 = 0
    precondition(rank != 0 || counts.count == size)
    try mpi("MPI_Scatter", MPI_Scatter(counts, 1, cmpi_int64(), &count, 1, cmpi_int64(), 0, group))
    // One receiver after the other, as in `gatherBytes`.
    let tag: Int32 = 2
    if rank != 0 {
      var received = [UInt8](repeating: 0, count: Int(count))
      try received.withUnsafeMutableBufferPointer { buffer throws(CollectiveFailure) in
        try inPieces(buffer.count) { start, count throws(CollectiveFailure) in
          let target = buffer.baseAddress.map { $0 + start }
          try mpi("MPI_Recv", MPI_Recv(target, count, cmpi_byte(), 0, tag, group, cmpi_status_ignore()))
        }
      }
      return received
    }
    for receiver in 1..<max(size, 1) {
      try parts[receiver].withUnsafeBufferPointer { buffer throws(CollectiveFailure) in
        try inPieces(buffer.count) { start, count throws(CollectiveFailure) in
          try mpi(
            "MPI_Send", MPI_Send(buffer.baseAddress.map { $0 + start }, count, cmpi_byte(), Int32(receiver), tag, group))
        }
      }
    }
    return parts[0]
  }

  package func allGatherRecords(
    _ record: UnsafeRawBufferPointer, into records: UnsafeMutableRawBufferPointer
  ) throws(CollectiveFailure) {
    precondition(records.count == size * record.count && record.count <= Int(Int32.max))
    let count = Int32(record.count)
    try mpi(
      "MPI_Allgather",
      MPI_Allgather(record.baseAddress, count, cmpi_byte(), records.baseAddress, count, cmpi_byte(), group))
  }

  package func waitForAll() throws(CollectiveFailure) {
    // MPI_Barrier would do, but it polls without rest, and takes a core from whoever is being waited for.
    var request: MPI_Request?
    try mpi("MPI_Ibarrier", MPI_Ibarrier(group, &request))
    var pause: UInt32 = 50
    while true {
      var isDone: Int32 = 0
      try mpi("MPI_Test", MPI_Test(&request, &isDone, cmpi_status_ignore()))
      if isDone != 0 { return }
      usleep(pause)
      pause = min(pause * 2, 2000)
    }
  }

  package func sumInAnyOrder(_ values: UnsafeMutableBufferPointer<Float>) throws(CollectiveFailure) {
    try inPieces(values.count) { start, count throws(CollectiveFailure) in
      let piece = values.baseAddress.map { $0 + start }
      // Always in place, so that a check of the order and the sums that rely on it make exactly the same call.
      try mpi("MPI_Allreduce", MPI_Allreduce(cmpi_in_place(), piece, count, cmpi_float(), cmpi_sum(), group))
    }
  }

  package func exchange(
    _ send: UnsafePointer<Float>, _ sendBlocks: BlockLayout,
    into receive: UnsafeMutablePointer<Float>, _ receiveBlocks: BlockLayout
  ) throws(CollectiveFailure) {
    try mpi(
      "MPI_Alltoallv",
      MPI_Alltoallv(
        send, sendBlocks.counts, sendBlocks.offsets, cmpi_float(),
        receive, receiveBlocks.counts, receiveBlocks.offsets, cmpi_float(), group))
  }

  package func allGatherBlocks(
    _ own: UnsafePointer<Float>, into all: UnsafeMutablePointer<Float>, _ blocks: BlockLayout
  ) throws(CollectiveFailure) {
    try mpi(
      "MPI_Allgatherv",
      MPI_Allgatherv(own, blocks.counts[rank], cmpi_float(), all, blocks.counts, blocks.offsets, cmpi_float(), group))
  }

  package func finish() throws(CollectiveFailure) {
    guard !isFinished else { return }
    isFinished = true
    // The ranks wait for each other here once more.
    watch?.leaveTakingBegins()
    defer { watch?.stop() }
    var copy: MPI_Comm? = group
    try mpi("MPI_Comm_free", MPI_Comm_free(&copy))
    if finalizes { try mpi("MPI_Finalize", MPI_Finalize()) }
  }

  package func abort(_ exitCode: ProgramExitCode) -> Never {
    if !isFinished { MPI_Abort(group, exitCode.rawValue) }
    exit(exitCode.rawValue)
  }

  private func inPieces(
    _ count: Int, ofAtMost limit: Int = .max, _ body: (_ start: Int, _ count: Int32) throws(CollectiveFailure) -> Void
  ) throws(CollectiveFailure) {
    var start = 0
    while start < count {
      let piece = min(longestPiece, limit, count - start)
      try body(start, Int32(piece))
      Liveness.tick()
      start += piece
    }
  }
}

/// Turns what an MPI call returned into a failure that names the call. Each call stands in the argument, so it has run
/// by then.
private func mpi(_ call: String, _ code: Int32) throws(CollectiveFailure) {
  guard code != MPI_SUCCESS else { return }
  var text = [CChar](repeating: 0, count: Int(MPI_MAX_ERROR_STRING) + 1)
  var length: Int32 = 0
  MPI_Error_string(code, &text, &length)
  let reason = String(decoding: text.prefix { $0 != 0 }.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)
  throw .onThisRank(.internalFault, "\(call) failed: \(reason.isEmpty ? "error \(code)" : reason)")
}
