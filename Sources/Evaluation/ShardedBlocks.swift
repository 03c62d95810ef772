import Communication
import InteractionData
import Masking
import SystemSupport
import TableSharding

/// Ranks held-out items over a table whose tiles belong to several ranks: what a `BlockTeam` does where each rank has all of it, with
/// the same digits.
package final class ShardedBlocks: UserScoring {
  /// Bytes of a round's buffers, beyond which a round has fewer blocks, down to one.
  static let roundBytes = 64 << 20

  let blocksPerRound: Int
  private let users: EvaluatedUsers
  private let communicator: any Communicator
  private let tokens: TokenIDs
  private let rounds: ShardRounds
  private let questions: UserQuestions
  private let format: Format

  init(
    _ scorer: any ShardedScorer, users: EvaluatedUsers, tokens: TokenIDs, maximumLength: Int, keepSeen: Bool,
    candidates: [(EvaluationProtocol, DrawnNegatives?)], communicator: any Communicator, _ shouldStop: @escaping @Sendable () -> Bool
  ) throws(ProgramFailure) {
    self.users = users
    self.communicator = communicator
    self.tokens = tokens
    let format = Format(
      rowWidth: scorer.rowWidth, vocabularySize: tokens.vocabularySize, listLength: RowScan.listLength(tokens), candidates.map(\.0),
      communicator.size)
    self.format = format
    blocksPerRound = format.blocksPerRound
    rounds = try ShardRounds(
      scorer,
      ShardRounds.Shape(
        capacity: blocksPerRound * EvaluationBlock.size, rowWidth: scorer.rowWidth, questionWords: format.questionWords,
        findingWords: format.findingWords),
      communicator: communicator, shouldStop: shouldStop)
    questions = UserQuestions(
      users, tokens, maximumLength: maximumLength, keepSeen: keepSeen, candidates, questionWords: format.questionWords,
      headWords: format.headWords, tiles: rounds.tiles, rank: communicator.rank, threads: scorer.shardScorers.count)
  }

  /// Bytes that a rank takes for it, at most.
  package static func byteCount(rowWidth: Int, vocabularySize: Int, ranks: Int) -> Int {
    let format = Format(
      rowWidth: rowWidth, vocabularySize: vocabularySize, listLength: RowScan.longestList, EvaluationProtocol.allCases, ranks)
    return format.blocksPerRound * format.bytesPerBlock
  }

  /// Those of all ranks.
  func blocksSeen(of count: Int, ranks: Int) -> Int { count }

  func score(_ own: [Int], of round: Range<Int>) throws(CollectiveFailure) -> [Result<[UserResult], ProgramFailure>] {
    let (rank, size) = (communicator.rank, communicator.size)
    let blocks = (0..<size).map { rank in
      stride(from: round.lowerBound + rank, to: round.upperBound, by: size).map { (index: $0, users: users.users(of: $0)) }
    }
    var groups: [Range<Int>] = []
    for block in blocks[rank] {
      let start = groups.last?.upperBound ?? 0
      groups.append(start..<start + block.users.count)
    }
    questions.begin(blocks)
    try rounds.run(
      questions, counts: blocks.map { $0.reduce(0) { $0 + $1.users.count } }, groups: groups, mostGroups: (round.count + size - 1) / size)
    return groups.map(results)
  }

  /// Those of the users of a block, from what all ranks have found.
  private func results(_ block: Range<Int>) -> Result<[UserResult], ProgramFailure> {
    var results: [UserResult] = []
    let (tiles, size) = (rounds.tiles, communicator.size)
    var scan = RowScan()
    for question in block {
      questions.begin(&scan, own: question, rounds.asked(question))
      let found = (0..<size).map { rounds.findings(for: question, of: $0) }
      for words in found {
        var reader = WordReader(words)
        scan.takeFindings(&reader)
      }
      if !scan.isFinite { return .failure(scan.failure) }
      for tile in 0..<tiles.blockCount {
        var reader = WordReader(found[tiles.owner(ofBlock: tile)] + format.headWords + tile / size * TileSum.words)
        scan.take(TileSum(from: &reader))
      }
      results.append(scan.finish(tokens))
    }
    return .success(results)
  }

  /// What goes from rank to rank for a user, in words of 4 bytes.
  private struct Format {
    /// About a question: the label's score, then what each sampled protocol has drawn, after its number.
    let questionWords: Int
    /// Of what a rank finds, what comes before its tiles' parts of the softmax.
    let headWords: Int
    /// Of all that a rank finds (ranks).
    let findingWords: [Int]
    let bytesPerBlock: Int

    init(rowWidth: Int, vocabularySize: Int, listLength: Int, _ protocols: [EvaluationProtocol], _ ranks: Int) {
      let questionWords = protocols.compactMap(\.negativeCount).reduce(1) { $0 + 1 + $1 }
      let headWords = RowScan.findingWords(protocols: protocols.count, listLength: listLength)
      let tiles = RowOwnership(rowCount: vocabularySize, size: ranks)
      let findingWords = (0..<ranks).map { headWords + Array(tiles.blocks(of: $0)).count * TileSum.words }
      (self.questionWords, self.headWords, self.findingWords) = (questionWords, headWords, findingWords)
      bytesPerBlock =
        EvaluationBlock.size
        * ShardRounds.Shape.bytesPerQuestion(rowWidth: rowWidth, questionWords: questionWords, findingWords: findingWords)
    }

    var blocksPerRound: Int { max(1, min(ShardedBlocks.mostBlocksPerRound, ShardedBlocks.roundBytes / bytesPerBlock)) }
  }
}

/// The users of a round.
private final class UserQuestions: ShardedQuestions, @unchecked Sendable {
  private let users: EvaluatedUsers
  private let tokens: TokenIDs
  private let maximumLength: Int
  private let keepSeen: Bool
  private let candidates: [(EvaluationProtocol, DrawnNegatives?)]
  private let headWords: Int
  private let questionWords: Int
  private let rank: Int
  /// Of this rank.
  private let tiles: [Range<Int>]
  /// Of all ranks, one after the other, and the number of the first one of this rank.
  private var all: [Int] = []
  private var first = 0
  /// Where each of this rank's stands in its block.
  private var places: [(block: Int, place: Int)] = []
  private let scans: [Scans]

  /// A thread's.
  private final class Scans {
    var scans = [RowScan](repeating: RowScan(), count: EvaluationBlock.size)
  }

  init(
    _ users: EvaluatedUsers, _ tokens: TokenIDs, maximumLength: Int, keepSeen: Bool,
    _ candidates: [(EvaluationProtocol, DrawnNegatives?)], questionWords: Int, headWords: Int, tiles: RowOwnership, rank: Int, threads: Int
  ) {
    (self.users, self.tokens, self.maximumLength, self.keepSeen) = (users, tokens, maximumLength, keepSeen)
    (self.candidates, self.questionWords, self.headWords, self.rank) = (candidates, questionWords, headWords, rank)
    self.tiles = tiles.blocks(of: rank).map(tiles.rows)
    scans = (0..<threads).map { _ in Scans() }
  }

  /// `blocks`: those of each rank.
  func begin(_ blocks: [[(index: Int, users: [Int])]]) {
    all = blocks.flatMap { $0.flatMap(\.users) }
    first = blocks[..<rank].reduce(0) { $0 + $1.reduce(0) { $0 + $1.users.count } }
    places = blocks[rank].flatMap { block in block.users.indices.map { (block.index, $0) } }
  }

  func fill(_ batch: inout PackedBatch, with own: Range<Int>) {
    for (place, question) in own.enumerated() {
      let (history, label) = users.heldOut(of: all[first + question])
      batch.appendQuery(history: history, maximumLength: maximumLength, mask: tokens.mask, label: label, place: place)
    }
  }

  func ask(_ own: Range<Int>, _ scorer: any ShardTileScorer, into words: UnsafeMutablePointer<Float>) {
    for (instance, question) in own.enumerated() {
      var writer = WordWriter(words + instance * questionWords)
      let (block, place) = places[question]
      writer.write(scorer.score(instance: instance, token: Int(users.heldOut(of: all[first + question]).label)))
      for (_, drawn) in candidates {
        guard let drawn = drawn?[block: block, place: place] else { continue }
        writer.write(Int32(drawn.count))
        for item in drawn { writer.write(item) }
      }
    }
  }

  func find(
    _ questions: Range<Int>, _ scorer: any ShardTileScorer, thread: Int, asked: UnsafePointer<Float>,
    found: (Int) -> UnsafeMutablePointer<Float>
  ) {
    let scans = scans[thread]
    for (place, question) in questions.enumerated() { begin(&scans.scans[place], all[question], asked + place * questionWords) }
    for (index, tokens) in tiles.enumerated() {
      let tile = scorer.tile(tokens)
      for (place, question) in questions.enumerated() {
        var writer = WordWriter(found(question) + headWords + index * TileSum.words)
        // Nobody adds what is not finite.
        (scans.scans[place].look(at: tile.row(place)) ?? TileSum(maximum: 0, exponentialSum: 0)).write(to: &writer)
      }
    }
    for (place, question) in questions.enumerated() {
      var writer = WordWriter(found(question))
      scans.scans[place].writeFindings(to: &writer)
    }
    Activity.advance(by: 1)
  }

  func begin(_ scan: inout RowScan, own question: Int, _ asked: UnsafePointer<Float>) { begin(&scan, all[first + question], asked) }

  private func begin(_ scan: inout RowScan, _ user: Int, _ asked: UnsafePointer<Float>) {
    var reader = WordReader(asked)
    let (history, label) = users.heldOut(of: user)
    scan.begin(
      user: user, history: keepSeen ? UnsafeBufferPointer(rebasing: history[..<0]) : history, label: label, labelScore: reader.read(),
      listLength: RowScan.listLength(tokens), tokens)
    for (evaluationProtocol, drawn) in candidates {
      guard drawn != nil else {
        scan.rank(in: evaluationProtocol, among: nil)
        continue
      }
      // Words of another rank, of which no more are read than there are.
      let count = min(Int(reader.read(Int32.self)), evaluationProtocol.negativeCount ?? 0)
      scan.rank(in: evaluationProtocol, among: (0..<max(0, count)).map { _ in reader.read(Int32.self) }[...])
    }
  }
}
