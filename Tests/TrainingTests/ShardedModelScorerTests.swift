import BERT4RecModel
import Communication
import Evaluation
import Foundation
import InteractionData
import SystemSupport
import TableSharding
import TestSupport
import Testing
import Training

/// Evaluation of a model whose table's rows belong to several ranks. What a rank does not own and has not fetched is not a number, so
/// that nobody reads it unseen.
@Suite struct ShardedModelScorerTests {
  private static let itemCount = 2 * ScoreTile.width + 77
  private static let model = ModelConfiguration(
    vocabularySize: itemCount + 4, hiddenSize: 20, layerCount: 2, headCount: 2, intermediateSize: 24, maximumSequenceLength: 12)

  private static func state() throws(ProgramFailure) -> ModelState {
    let state = try ModelState(model, withMoments: false)
    state.initialize(seed: 3)
    for index in stride(from: 0, to: state.parameters.count, by: 3) { state.parameters[index] += Float(index % 17) / 100 }
    return state
  }

  private static func data() -> Dataset {
    var random = SeededGenerator(seed: 8)
    let sequences = (0..<150).map { _ in
      (0..<Int.random(in: 1...20, using: &random)).map { _ in Int32.random(in: 1...Int32(itemCount), using: &random) }
    }
    var counts = [Int64](repeating: 0, count: itemCount)
    for item in sequences.joined() { counts[Int(item) - 1] += 1 }
    return Dataset(
      name: "test", itemIDs: ExternalIDs((0..<itemCount).map { Array("i\($0)".utf8) }), itemCounts: counts,
      userIDs: ExternalIDs((0..<sequences.count).map { Array("u\($0)".utf8) }), sequences: Sequences(sequences), fingerprint: "")
  }

  /// A rank's part of the table, and what it has fetched from the whole.
  private final class Part: @unchecked Sendable {
    let state: ModelState
    private let whole: ModelState
    private let ownership: RowOwnership
    private let rank: Int
    private var fetched: [Int32] = []

    init(_ whole: ModelState, rank: Int, size: Int) throws(ProgramFailure) {
      self.whole = whole
      self.rank = rank
      state = try ModelState(whole.configuration, withMoments: false)
      ownership = RowOwnership(rowCount: whole.configuration.vocabularySize, size: size)
      _ = state.parameters.update(fromContentsOf: whole.parameters)
      for row in 0..<ownership.rowCount { forget(row) }
    }

    private func forget(_ row: Int) {
      guard ownership.owner(ofRow: row) != rank else { return }
      let (layout, hidden) = (state.layout, state.configuration.hiddenSize)
      for column in 0..<hidden { state.parameters[layout.wordEmbeddings + row * hidden + column] = .nan }
      state.parameters[layout.predictionBias + row] = .nan
    }

    func fetch(_ tokens: [Int32]) {
      for row in fetched { forget(Int(row)) }
      fetched = tokens
      let (layout, hidden) = (state.layout, state.configuration.hiddenSize)
      for row in tokens.map({ Int($0) }) {
        for place in (layout.wordEmbeddings + row * hidden..<layout.wordEmbeddings + (row + 1) * hidden) {
          state.parameters[place] = whole.parameters[place]
        }
        state.parameters[layout.predictionBias + row] = whole.parameters[layout.predictionBias + row]
      }
    }
  }

  private static func report(
    _ evaluator: Evaluator, _ scorer: RankScorer, _ data: Dataset, _ communicator: any Communicator
  ) throws(CollectiveFailure) -> [String] {
    var texts: [String] = []
    if let report = try evaluator.evaluate(scorer, split: .test, step: 1) { texts.append(report.json) }
    let source = try communicator.onEveryRank { () throws(ProgramFailure) in
      try scorer.makeListSource(itemCounts: data.itemCounts, maximumLength: model.maximumSequenceLength)
    }
    try RecommendationRounds(source: source, communicator: communicator).run(
      count: data.sequences.userCount, longestList: 7,
      request: { RecommendationRequest(history: Array(data.sequences[$0]), topK: 7) }
    ) { (_, list) throws(ProgramFailure) in
      texts.append("\(list)")
      return true
    }
    return texts
  }

  @Test(arguments: [BackendChoice.native, .openblas])
  func sameDigitsAsAReplica(backend: BackendChoice) throws {
    let data = Self.data()
    let whole = try Self.state()
    let communicator = SoloCommunicator()
    let evaluator = Evaluator(dataset: data, maximumLength: Self.model.maximumSequenceLength, communicator: communicator)
    let expected = try Self.report(evaluator, .replicas(ModelScorer(whole, backend: backend)), data, communicator)
    #expect(expected.count == 151 && !expected[0].contains("nan"))
    for (size, threads) in [(1, 1), (2, 2), (3, 1), (4, 1)] {
      let results = ThreadRanks.run(size) { communicator -> Result<[String], CollectiveFailure> in
        do throws(CollectiveFailure) {
          let part = try alike { () throws(ProgramFailure) in try Part(whole, rank: communicator.rank, size: size) }
          let scorer = try alike { () throws(ProgramFailure) in
            try ShardedModelScorer(
              part.state, backend: backend, threads: backend == .openblas ? 1 : threads, longestQuery: 12, fetch: { part.fetch($0) })
          }
          let evaluator = Evaluator(dataset: data, maximumLength: Self.model.maximumSequenceLength, communicator: communicator)
          return .success(try Self.report(evaluator, .sharded(scorer), data, communicator))
        } catch { return .failure(error) }
      }
      // With OpenBLAS a history's scores depend on what else the encoder has at once: blocks of users are the same, requests are not.
      let count = backend == .openblas ? 1 : expected.count
      #expect(try results[0].get().prefix(count) == expected.prefix(count), "\(size) ranks")
      for result in results[1...] { #expect(try result.get().isEmpty) }
    }
  }
}
