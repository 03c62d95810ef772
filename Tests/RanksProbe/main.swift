// Runs collective operations on the ranks that mpirun starts, and prints on rank 0 what the tests of ranks look at.
import Communication
import Glibc
import GradientSum
import StallDetection
import SystemSupport
import TableSharding

func say(_ line: String) { print(line) }

/// Sums keyed values of G shards with `threads` accumulators a rank, twice; prints method and hash of the second sum.
func reduce(
  _ communicator: any Communicator, shardCount: Int, length: Int, mode: ReductionMode, threads: Int
) throws(CollectiveFailure) {
  let result = UnsafeMutableBufferPointer<Float>.allocate(capacity: length)
  defer { result.deallocate() }
  let allReduce = try GradientAllReduce(
    communicator: communicator, shardCount: shardCount, length: length, mode: mode, scratch: result,
    segmentLength: 1000)
  let own = ShardTree.range(part: communicator.rank, of: communicator.size, in: 0..<shardCount)
  var accumulators: [ShardAccumulator] = []
  for thread in 0..<threads {
    accumulators.append(
      try communicator.onEveryRank { () throws(ProgramFailure) in
        try ShardAccumulator(shards: ShardTree.range(part: thread, of: threads, in: own), length: length)
      })
  }
  let merge = ThreadMerge(accumulators)
  for _ in 0..<2 {
    for accumulator in merge.accumulators {
      accumulator.reset()
      for shard in accumulator.shards {
        let buffer = accumulator.nextBuffer()
        for i in 0..<length { buffer[i] += OrderTest.value(stream: shard, element: i) }
        accumulator.add(shard: shard, buffer)
      }
    }
    merge.prepare()
    merge.add(elements: 0..<length / 3)
    merge.add(elements: length / 3..<length)
    try allReduce.reduce(merge.sums, into: result)
  }
  let hash = sha256Hex(UnsafeRawBufferPointer(result))
  try communicator.requireSame("the sum", hash)
  if communicator.rank == 0 { say("\(shardCount) \(length) \(hash) \(allReduce.methodDescription)") }
}

/// Sums rows of G shards with `threads` accumulators a rank, twice; prints a hash of the second sum. With `isSharded` each rank has its
/// own part of it, and row k is the one in the middle of the k-th block of rows.
func reduceRows(
  _ communicator: any Communicator, shardCount: Int, rows: Int, width: Int, threads: Int, roundElements: Int, isSharded: Bool
) throws(CollectiveFailure) {
  let own = ShardTree.range(part: communicator.rank, of: communicator.size, in: 0..<shardCount)
  let accumulators = (0..<threads).map {
    RowAccumulator(shards: ShardTree.range(part: $0, of: threads, in: own), width: width)
  }
  let reduction = RowReduction(
    communicator: communicator, shardCount: shardCount, threads: accumulators.flatMap { ShardTree.maximalNodes(of: $0.shards) },
    width: width, ownership: isSharded ? RowOwnership(rowCount: rows * RowOwnership.blockRows, size: communicator.size) : nil,
    roundElements: roundElements)
  let spacing = isSharded ? RowOwnership.blockRows : 1
  var bytes: [UInt8] = []
  for _ in 0..<2 {
    for accumulator in accumulators {
      accumulator.reset()
      for shard in accumulator.shards {
        let touched = (0..<rows).filter { (shard * 31 + $0 * 17) % 5 < 2 && shard % 7 != 3 }
        let list = accumulator.nextList()
        list.resize(touched.count)
        for (index, row) in touched.enumerated() {
          list.ids[index] = Int32(row * spacing + spacing / 2)
          for column in 0..<width {
            list.values[index * width + column] = OrderTest.value(stream: shard, element: row * width + column)
          }
        }
        accumulator.add(shard: shard, list)
      }
    }
    let sum = try reduction.reduce(accumulators.flatMap(\.sums))
    var found: [(row: Int32, bytes: [UInt8])] = []
    for index in 0..<sum.count {
      let row = sum.ids[index] / Int32(spacing)
      found.append((row, Array(UnsafeRawBufferPointer(start: sum.values + index * width, count: width * 4))))
    }
    if isSharded {
      // All ranks' parts, by the rows.
      let ids = try communicator.allGather(found.map(\.row)).flatMap { $0 }
      let parts = try communicator.allGather(found.map(\.bytes)).flatMap { $0 }
      found = zip(ids, parts).map { ($0, $1) }.sorted { $0.row < $1.row }
    }
    bytes = []
    for row in found {
      withUnsafeBytes(of: row.row) { bytes += $0 }
      bytes += row.bytes
    }
  }
  let hash = bytes.withUnsafeBytes { sha256Hex($0) }
  try communicator.requireSame("the sum", hash)
  if communicator.rank == 0 { say("\(shardCount) \(hash)") }
}

/// Fetches rows of a table whose numbers follow from their places; each rank wants others, rank 1 none and rank 0 all. Tells what each
/// rank found: rows that it wanted, and no others.
func fetchRows(
  _ communicator: any Communicator, rows: Int, hidden: Int, roundElements: Int
) throws(CollectiveFailure) {
  let (rank, ownership) = (communicator.rank, RowOwnership(rowCount: rows, size: communicator.size))
  let table = UnsafeMutableBufferPointer<Float>.allocate(capacity: rows * (hidden + 1))
  defer { table.deallocate() }
  guard let words = table.baseAddress else { return }
  let biases = words + rows * hidden
  func value(_ row: Int, _ column: Int) -> Float { OrderTest.value(stream: 1, element: row * (hidden + 1) + column) }
  func holds(_ row: Int) -> Bool {
    (0..<hidden).allSatisfy { words[row * hidden + $0] == value(row, $0) } && biases[row] == value(row, hidden)
  }
  func isEmpty(_ row: Int) -> Bool { (0..<hidden).allSatisfy { words[row * hidden + $0].isNaN } && biases[row].isNaN }
  let fetch = RowFetch(communicator: communicator, ownership: ownership, hidden: hidden, roundElements: roundElements)
  var found = ""
  for round in 0..<2 {
    table.update(repeating: .nan)
    for row in 0..<rows where ownership.owner(ofRow: row) == rank {
      for column in 0..<hidden { words[row * hidden + column] = value(row, column) }
      biases[row] = value(row, hidden)
    }
    let wanted = (0..<rows).filter { rank == 0 || (rank != 1 && ($0 * 31 + rank + round) % 11 == 0) }
    try wanted.map { Int32($0) }.withUnsafeBufferPointer { ids throws(CollectiveFailure) in
      try fetch.fetch(ids, words: words, biases: biases)
    }
    let isWanted = Set(wanted)
    let isRight = (0..<rows).allSatisfy {
      isWanted.contains($0) || ownership.owner(ofRow: $0) == rank ? holds($0) : isEmpty($0)
    }
    found += isRight ? "right " : "wrong "
  }
  // Nobody wants anything.
  try fetch.fetch(UnsafeBufferPointer(start: nil, count: 0), words: words, biases: biases)
  for line in try communicator.gather(found + (fetch.sentBytes > 0 ? "sent" : "kept")) { say(line) }
}

func run(_ communicator: any Communicator, _ arguments: [String]) throws(CollectiveFailure) {
  let (rank, size) = (communicator.rank, communicator.size)
  switch arguments.first {
  case "reduce":
    // reduce MODE THREADS (SHARDS LENGTH)...
    let numbers = arguments.dropFirst(2).compactMap { Int($0) }
    for i in stride(from: 1, to: numbers.count - 1, by: 2) {
      try reduce(
        communicator, shardCount: numbers[i], length: numbers[i + 1],
        mode: ReductionMode(rawValue: arguments[1]) ?? .exact, threads: numbers[0])
    }
  case "reduce-rows":
    // reduce-rows replicated|sharded THREADS ROWS WIDTH ROUND SHARDS...
    let numbers = arguments.dropFirst(2).compactMap { Int($0) }
    for shardCount in numbers.dropFirst(4) {
      try reduceRows(
        communicator, shardCount: shardCount, rows: numbers[1], width: numbers[2], threads: numbers[0], roundElements: numbers[3],
        isSharded: arguments[1] == "sharded")
    }
  case "fetch-rows":
    // fetch-rows ROWS HIDDEN ROUND
    let numbers = arguments.dropFirst().compactMap { Int($0) }
    try fetchRows(communicator, rows: numbers[0], hidden: numbers[1], roundElements: numbers[2])
  case "move-table":
    // move-table dealt|neighbouring ROWS HIDDEN ROUND
    let numbers = arguments.dropFirst(2).compactMap { Int($0) }
    try moveTable(
      communicator, rows: numbers[0], hidden: numbers[1], roundElements: numbers[2],
      arguments[1] == "dealt" ? .dealt : .neighbouring(blockRows: 480))
  case "move":
    let integers = try communicator.broadcast(rank == 0 ? [Int32.min, 7, -1] : nil)
    let none = try communicator.broadcast(rank == 0 ? [Int64]() : [1, 2])
    let text = try communicator.broadcast(rank == 0 ? "Käse" : "")
    let bytes = try communicator.fromRankZero { () throws(ProgramFailure) in [1, 2, UInt8(size)] }
    let table = try communicator.fromRankZero { () throws(ProgramFailure) in ["a": [true], "": [], "b\0": [false, true]] }
    let nothing: Double? = try communicator.fromRankZero { () throws(ProgramFailure) in nil }
    let squares = try communicator.allGather(rank * rank)
    let texts = try communicator.allGather(String(repeating: "x", count: rank))
    let odd = try communicator.ranks(where: rank % 2 == 1)
    let sent =
      "\(integers) \(none) \(text) \(bytes) \(table.sorted { $0.key < $1.key }.map(\.value)) \(nothing == nil) \(squares) \(texts) \(odd)"
    try communicator.requireSame("what was sent", sent)
    try communicator.requireSame("the ranks' hosts", communicator.hosts.joined(separator: ","))
    let gathered = try communicator.gather([UInt8](repeating: UInt8(rank), count: rank * 3))
    try communicator.requireSame("the number of ranks", "\(size)")
    try communicator.agree(on: nil)
    let alone = try communicator.onRankZero { () throws(ProgramFailure) in rank }
    if rank == 0 { say("\(sent) \(gathered) \(alone == 0)") } else if !gathered.isEmpty || alone != nil { abort() }
  case "host-copy":
    // host-copy BYTES/4 [limited]: with a limit on the size of files, also of those in memory.
    if arguments.last == "limited" {
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: 1000, rlim_max: .max)
      setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    }
    let count = Int(arguments[1]) ?? 0
    let own = (0..<count).map { Int32(rank == 0 ? $0 * $0 : -1) }
    let copy = try own.withUnsafeBufferPointer { own throws(CollectiveFailure) in
      try communicator.copyToHosts(byteCount: own.count * 4, "the data", log: { if rank == 0 { say($0) } }) {
        $0.copyMemory(from: UnsafeRawBufferPointer(own))
      }
    }
    let expected = (0..<count).map { Int32($0 * $0) }
    let isRight = expected.withUnsafeBytes { $0.elementsEqual(copy.bytes) }
    // Mapped by all ranks, or one's own; nobody keeps it open.
    let maps = try communicator.onEveryRank { () throws(ProgramFailure) in
      String(decoding: try FileSystem.read("/proc/self/maps", limit: 1 << 24), as: UTF8.self)
    }
    let isShared = maps.contains("memfd:bert4rec-dist")
    let files = try communicator.onEveryRank { () throws(ProgramFailure) in try FileSystem.list("/proc/self/fd") }
    let isOpen = files.contains { name in
      var target = [CChar](repeating: 0, count: 100)
      readlink("/proc/self/fd/" + name, &target, target.count - 1)
      let bytes = target.prefix { $0 != 0 }.map { UInt8(truncatingIfNeeded: $0) }
      return String(decoding: bytes, as: UTF8.self).contains("memfd:bert4rec-dist")
    }
    let found = (isRight ? "right" : "wrong") + (isShared ? " shared" : " own") + (isOpen ? " open" : "")
    let told = try communicator.gather(found)
    if rank == 0 { say(told.joined(separator: ", ")) }
  case "scatter":
    // The longest parts in pieces of 5 bytes; part 1 is empty.
    let parts = (0..<size).map { part in (0..<(part == 1 ? 0 : 13 - part)).map { Int32($0 - 100 * part) } }
    let own = try communicator.scatter(rank == 0 ? parts : [])
    let none = try communicator.scatter([[Int64]](repeating: [], count: size))
    let gathered = try communicator.gather(own == parts[rank] && none.isEmpty)
    if rank == 0 { say(gathered.map { "\($0)" }.joined(separator: " ")) }
  case "pieces":
    let sent = try communicator.broadcast(rank == 0 ? (0..<13).map { UInt8($0) } : [])
    let gathered = try communicator.gather([UInt8](repeating: UInt8(rank), count: 5 + rank))
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: 11)
    defer { values.deallocate() }
    for i in 0..<values.count { values[i] = Float(i * (rank + 1)) }
    try communicator.sumInAnyOrder(values)
    try communicator.requireSame("what was sent", "\(sent) \(Array(values))")
    if rank == 0 { say("\(sent.map(Int.init)) \(gathered.map { $0.map(Int.init) }) \(values.map { Int($0) })") }
  case "idle":
    try communicator.onRankZero { () throws(ProgramFailure) in _ = usleep(400_000) }
    let used = clock() * 1000 / CLOCKS_PER_SEC
    // Of which start-up is a part; measured again over the second wait.
    try communicator.onRankZero { () throws(ProgramFailure) in _ = usleep(400_000) }
    let all = try communicator.gather(Int(clock() * 1000 / CLOCKS_PER_SEC - used))
    if rank == 0 { say(all.map { "\($0)" }.joined(separator: " ")) }
  case "fail-on-rank-zero":
    _ = try communicator.fromRankZero { () throws(ProgramFailure) -> Int in throw ProgramFailure(.badData, "line 3 is no good") }
  case "fail-on-ranks":
    let failing = arguments.dropFirst().compactMap { Int($0) }
    try communicator.onEveryRank { () throws(ProgramFailure) in
      if failing.contains(rank) { throw ProgramFailure(.disk, "disk \(rank) is full") }
    }
  case "fail-alone":
    if rank == size - 1 { throw .onThisRank(.unreadable, "only I know") }
    try communicator.waitForAll()
  case "differ":
    try communicator.requireSame("the program's version", rank == size - 1 ? "0.2" : "0.1")
  case "freeze-at-the-end":
    // The last rank does not come to the leave-taking; whatever the others do before it is their own business.
    let watchdog = try Watchdog(RankProgress(), limit: 2, communicator: communicator, resumes: false)
    watchdog.pause()
    sleep(4)
    if rank == size - 1 { kill(getpid(), SIGSTOP) }
  case "launcher":
    say(LauncherEnd.findLauncher().map { "\($0.id)" } ?? "none")
  default:
    throw .onEveryRank(.usage, "no such probe")
  }
}

func main() -> ProgramExitCode {
  do throws(CollectiveFailure) {
    let arguments = CommandLine.arguments.dropFirst()
    let communicator = ["pieces", "scatter"].contains(arguments.first) ? try MPICommunicator(longestPiece: 5) : try makeCommunicator()
    do throws(CollectiveFailure) {
      try run(communicator, Array(arguments))
      return communicator.finish()
    } catch { return communicator.finish(after: error) }
  } catch {
    printError("error: \(error.message)")
    return error.exitCode
  }
}

exit(main().rawValue)
