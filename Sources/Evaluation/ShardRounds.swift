import Communication
import Masking
import Synchronization
import SystemSupport
import TableSharding

/// What is asked of a sharded table. Every rank has its own questions; in a round all ranks look at those of all. Questions of a round
/// are numbered through the ranks, those of rank 0 first. All calls but `fill` come from several threads.
protocol ShardedQuestions: AnyObject {
  /// Fills an empty batch with own questions, at most `EvaluationBlock.size`.
  func fill(_ batch: inout PackedBatch, with own: Range<Int>)

  /// Writes what other ranks have to know of own questions besides their rows: the words of one behind those of the other. `scorer` has
  /// the questions' rows as instances from 0.
  func ask(_ own: Range<Int>, _ scorer: any ShardTileScorer, into words: UnsafeMutablePointer<Float>)

  /// Lets this rank's tiles pass by some questions of all ranks and writes what each finds.
  ///
  /// - Parameters:
  ///   - asked: what has been written about these questions.
  ///   - found: where a question's findings go.
  func find(
    _ questions: Range<Int>, _ scorer: any ShardTileScorer, thread: Int, asked: UnsafePointer<Float>,
    found: (Int) -> UnsafeMutablePointer<Float>)
}

/// Rounds of questions to a table of which each rank has some tiles. A rank turns its own questions into what the projection reads, H
/// numbers each, for which it fetches the rows of their tokens; all ranks get these numbers of all questions; each lets its own tiles
/// pass by them; what it finds goes to the rank whose question it is.
///
/// All ranks take part in all rounds, also with no question of their own. Nothing is of the table's size, on any rank.
package final class ShardRounds {
  let tiles: RowOwnership
  private let scorer: any ShardedScorer
  private let communicator: any Communicator
  private let shape: Shape
  private let work: Work
  private let queue: WorkQueue
  private let groupsPerFetch: Int

  /// How much a round moves.
  struct Shape {
    /// Most questions of a rank.
    var capacity: Int
    /// H
    var rowWidth: Int
    /// Words (4 bytes) about a question besides its row.
    var questionWords: Int
    /// Words that each rank finds for one (ranks).
    var findingWords: [Int]

    /// Bytes of the buffers of a rank, for each question that it may ask.
    static func bytesPerQuestion(rowWidth: Int, questionWords: Int, findingWords: [Int]) -> Int {
      let size = findingWords.count
      return 4 * ((size + 1) * (rowWidth + questionWords) + size * (findingWords.max() ?? 0) + findingWords.reduce(0, +))
    }
  }

  /// `shouldStop` is asked before each piece of work.
  init(
    _ scorer: any ShardedScorer, _ shape: Shape, communicator: any Communicator, shouldStop: @escaping @Sendable () -> Bool = { false }
  ) throws(ProgramFailure) {
    precondition(shape.findingWords.count == communicator.size)
    self.scorer = scorer
    self.communicator = communicator
    self.shape = shape
    tiles = RowOwnership(rowCount: scorer.vocabularySize, size: communicator.size)
    groupsPerFetch = Self.groupsPerFetch(scorer.tokensPerFetch, scorer.longestQuery)
    let work = try Work(scorer.shardScorers, shape, rank: communicator.rank, batches: groupsPerFetch, shouldStop)
    self.work = work
    queue = try WorkQueue(threads: scorer.shardScorers.count) { thread, piece in work.run(thread: thread, piece: piece) }
  }

  deinit { queue.stop() }

  private static func groupsPerFetch(_ tokensPerFetch: Int, _ longestQuery: Int) -> Int {
    max(1, tokensPerFetch / (EvaluationBlock.size * longestQuery))
  }

  /// Most rows that a rank wants in a fetch, labels included.
  package static func rowsPerFetch(tokensPerFetch: Int, longestQuery: Int) -> Int {
    groupsPerFetch(tokensPerFetch, longestQuery) * EvaluationBlock.size * (longestQuery + 1)
  }

  /// Collective. Asks the questions of a round. Throws `stopped` on every rank when any was told to stop.
  ///
  /// - Parameters:
  ///   - counts: questions of each rank.
  ///   - groups: own questions that go through the encoder together.
  ///   - mostGroups: no rank has more; the same on all ranks.
  func run(_ questions: any ShardedQuestions, counts: [Int], groups: [Range<Int>], mostGroups: Int) throws(CollectiveFailure) {
    precondition((counts.max() ?? 0) <= shape.capacity && groups.count <= mostGroups)
    let (rank, size) = (communicator.rank, communicator.size)
    work.begin(questions, counts: counts)
    for start in stride(from: 0, to: mostGroups, by: groupsPerFetch) {
      let now = groups.dropFirst(start).prefix(groupsPerFetch)
      try scorer.fetch(work.fill(Array(now)))
      queue.run(pieces: now.count)
    }
    try communicator.allGatherBlocks(work.ownRows, into: work.allRows, BlockLayout(counts: counts.map { $0 * shape.rowWidth }))
    try communicator.allGatherBlocks(
      work.ownWords, into: work.allWords, BlockLayout(counts: counts.map { $0 * shape.questionWords }))
    try leaveWhereStopped()
    queue.run(pieces: work.beginFinding())
    try leaveWhereStopped()
    try communicator.exchange(
      work.found, BlockLayout(counts: counts.map { $0 * shape.findingWords[rank] }), into: work.received,
      BlockLayout(counts: (0..<size).map { counts[rank] * shape.findingWords[$0] }))
  }

  private func leaveWhereStopped() throws(CollectiveFailure) {
    guard try communicator.ranks(where: work.isStopped).isEmpty else {
      throw .onEveryRank(.stopped, "the evaluation was asked to stop")
    }
  }

  /// What this rank has asked of one of its own questions in the last round.
  func asked(_ own: Int) -> UnsafePointer<Float> { UnsafePointer(work.ownWords + own * shape.questionWords) }

  /// What a rank has found for one of the own questions of the last round.
  func findings(for own: Int, of rank: Int) -> UnsafePointer<Float> { work.findings(for: own, of: rank) }

  /// What the threads share: each writes into places of its own.
  private final class Work: @unchecked Sendable {
    private enum Phase {
      case encoding([Range<Int>])
      case finding
    }

    private let scorers: [any ShardTileScorer]
    private let shape: Shape
    private let rank: Int
    private let memory: AlignedMemory
    let ownRows, ownWords, allRows, allWords, found, received: UnsafeMutablePointer<Float>
    private let shouldStop: @Sendable () -> Bool
    private let stop = Atomic<Bool>(false)
    private var batches: [PackedBatch]
    private var questions: (any ShardedQuestions)?
    private var phase = Phase.finding
    private var counts: [Int] = []

    init(
      _ scorers: [any ShardTileScorer], _ shape: Shape, rank: Int, batches: Int, _ shouldStop: @escaping @Sendable () -> Bool
    ) throws(ProgramFailure) {
      (self.scorers, self.shape, self.rank, self.shouldStop) = (scorers, shape, rank, shouldStop)
      self.batches = [PackedBatch](repeating: PackedBatch(), count: batches)
      let (capacity, size) = (shape.capacity, shape.findingWords.count)
      // Rows first: each on a cache line where H allows it.
      let lengths = [
        capacity * shape.rowWidth, capacity * size * shape.rowWidth, capacity * shape.questionWords, capacity * size * shape.questionWords,
        capacity * size * shape.findingWords[rank], capacity * shape.findingWords.reduce(0, +),
      ]
      let total = lengths.reduce(0) { $0 + ($1 + 15) / 16 * 16 }
      memory = try AlignedMemory(byteCount: total * MemoryLayout<Float>.stride, for: "the questions of all ranks")
      var next = memory.base.bindMemory(to: Float.self, capacity: max(total, 1))
      let starts = lengths.map { length in
        defer { next += (length + 15) / 16 * 16 }
        return next
      }
      (ownRows, allRows, ownWords, allWords, found, received) = (starts[0], starts[1], starts[2], starts[3], starts[4], starts[5])
    }

    var isStopped: Bool { stop.load(ordering: .relaxed) }

    func begin(_ questions: any ShardedQuestions, counts: [Int]) {
      self.questions = questions
      self.counts = counts
      stop.store(false, ordering: .relaxed)
    }

    /// The tokens that the encoder and the labels' scores need, ascending, each once.
    func fill(_ groups: [Range<Int>]) -> [Int32] {
      var tokens: [Int32] = []
      for (place, group) in groups.enumerated() {
        batches[place].removeAll()
        questions?.fill(&batches[place], with: group)
        tokens += batches[place].tokens
        tokens += batches[place].labels
      }
      phase = .encoding(groups)
      tokens.sort()
      var count = 0
      for place in tokens.indices where count == 0 || tokens[place] != tokens[count - 1] {
        tokens[count] = tokens[place]
        count += 1
      }
      tokens.removeLast(tokens.count - count)
      return tokens
    }

    /// How many pieces there are to do.
    func beginFinding() -> Int {
      phase = .finding
      return (counts.reduce(0, +) + EvaluationBlock.size - 1) / EvaluationBlock.size
    }

    func run(thread: Int, piece: Int) {
      if isStopped { return }
      if shouldStop() { return stop.store(true, ordering: .relaxed) }
      guard let questions else { preconditionFailure("a piece before a round") }
      let scorer = scorers[thread]
      switch phase {
      case .encoding(let groups):
        let own = groups[piece]
        let rows = ownRows + own.lowerBound * shape.rowWidth
        scorer.encode(batches[piece], into: rows)
        scorer.begin(rows: rows, count: own.count)
        questions.ask(own, scorer, into: ownWords + own.lowerBound * shape.questionWords)
      case .finding:
        let start = piece * EvaluationBlock.size
        let some = start..<min(start + EvaluationBlock.size, counts.reduce(0, +))
        scorer.begin(rows: allRows + start * shape.rowWidth, count: some.count)
        questions.find(some, scorer, thread: thread, asked: allWords + start * shape.questionWords) {
          found + $0 * shape.findingWords[rank]
        }
      }
      Liveness.tick()
    }

    func findings(for own: Int, of rank: Int) -> UnsafePointer<Float> {
      let before = shape.findingWords[..<rank].reduce(0, +) * counts[self.rank]
      return UnsafePointer(received + before + own * shape.findingWords[rank])
    }
  }
}
