import BERT4RecModel
import Evaluation
import Masking
import SystemSupport
import Testing
import Training

@Suite struct ModelScorerTests {
  /// More tokens than two tiles, and an inner dimension that is cut into blocks.
  private static let model = ModelConfiguration(
    vocabularySize: 2 * ScoreTile.width + 77, hiddenSize: 260, layerCount: 3, headCount: 2, intermediateSize: 40,
    maximumSequenceLength: 300)

  private func batch(lengths: [Int]) -> PackedBatch {
    var batch = PackedBatch()
    for (place, length) in lengths.enumerated() {
      for position in 1..<length { batch.append(token: Int32(1 + (place * 131 + position * 37) % 5000)) }
      batch.append(token: 9, label: 1)
      batch.endInstance(place: place)
    }
    return batch
  }

  private func state(_ model: ModelConfiguration) throws -> ModelState {
    let state = try ModelState(model, withMoments: false)
    state.initialize(seed: 3)
    // Biases other than 0.
    for index in stride(from: 0, to: state.parameters.count, by: 3) { state.parameters[index] += Float(index % 17) / 100 }
    return state
  }

  /// Tiles, single scores and whole rows are the model's logits, to the bit, on each of its threads and with the memory that the
  /// queries need.
  @Test func everyWayToAScoreHasTheSameBits() throws {
    let batch = batch(lengths: [1, 40, 2, 17, 33, 40, 5])
    let state = try state(Self.model)
    let encoder = BidirectionalEncoder(Self.model, backend: NativeBackend())
    let size = Self.model.vocabularySize
    var logits = [Float](repeating: 0, count: batch.maskedCount * size)
    encoder.logits(batch, parameters: UnsafePointer(try #require(state.parameters.baseAddress)), into: &logits)
    for longest in [40, nil] {
      let scorer = try ModelScorer(state, backend: .native, threads: 3, longestQuery: longest)
      #expect(Array(try scorer.scores(batch)) == logits)
      #expect(scorer.tileScorers.count == 3)
      for tiles in scorer.tileScorers {
        try tiles.begin(batch)
        for tokens in [0..<ScoreTile.width, ScoreTile.width..<2 * ScoreTile.width, 2 * ScoreTile.width..<size, 3..<4, 100..<133] {
          let tile = tiles.tile(tokens)
          let rows = (0..<batch.instanceCount).map { instance in tokens.map { tile.row(instance)[$0] } }
          for (instance, row) in rows.enumerated() {
            #expect(row == Array(logits[(instance * size + tokens.lowerBound)..<(instance * size + tokens.upperBound)]))
            #expect(tiles.score(instance: instance, token: tokens.lowerBound) == row[0])
            #expect(tiles.score(instance: instance, token: tokens.upperBound - 1) == row[row.count - 1])
          }
        }
      }
    }
  }

  /// Where there are fewer histories than threads, these share the tiles: the same lists.
  @Test func threadsShareTiles() throws {
    let itemCount = 37 * ScoreTile.width + 5
    let model = ModelConfiguration(
      vocabularySize: itemCount + 4, hiddenSize: 4, layerCount: 1, headCount: 1, intermediateSize: 4, maximumSequenceLength: 9)
    let state = try state(model)
    let counts = [Int64](repeating: 1, count: itemCount)
    let requests = [
      RecommendationRequest(history: [5, 100_000], topK: 30), RecommendationRequest(history: [70_000], topK: 7, keepSeen: true),
      RecommendationRequest(history: [3, 4], topK: 5, candidates: CandidateItems([9, 40_000, 150_000])),
      RecommendationRequest(history: [3, 4], topK: 5, candidates: CandidateItems((0..<30_000).map { Int32(1 + 5 * $0) })),
    ]
    func lists(_ threads: Int, _ some: ArraySlice<RecommendationRequest>, _ grouping: Recommender.Grouping) throws -> [[ScoredItem]] {
      let recommender = try Recommender(
        scorer: ModelScorer(state, backend: .native, threads: threads), itemCounts: counts, maximumLength: 9)
      return try recommender.answers(to: Array(some), grouping: grouping).map { try $0.get().items }
    }
    let expected = try lists(1, requests[...], .full)
    #expect(expected.map(\.count) == [30, 7, 3, 5])
    for threads in [2, 3, 5] {
      for grouping in [Recommender.Grouping.full, .shared, .single] {
        for count in 1...requests.count {
          #expect(try lists(threads, requests.prefix(count), grouping) == Array(expected.prefix(count)), "\(threads) \(grouping) \(count)")
        }
      }
    }
    // One part's trouble is the list's.
    state.parameters[state.layout.predictionBias + 100_000] = .infinity
    let recommender = try Recommender(scorer: ModelScorer(state, backend: .native, threads: 2), itemCounts: counts, maximumLength: 9)
    #expect(throws: ProgramFailure.self) { try recommender.recommend([requests[0]]) }
  }

  /// With OpenBLAS in the encoder too an item has one score.
  @Test func openBLASInTheEncoder() throws {
    let batch = batch(lengths: [9, 4, 30])
    let state = try state(Self.model)
    let nativeScorer = try ModelScorer(state, backend: .native)
    let native = Array(try nativeScorer.scores(batch))
    let scorer = try ModelScorer(state, backend: .openblas)
    let whole = Array(try scorer.scores(batch))
    #expect(nativeScorer.vocabularySize == scorer.vocabularySize)
    #expect(zip(whole, native).allSatisfy { abs($0 - $1) < 1e-3 })
    let tile = scorer.tileScorers[0].tile(50..<90)
    for instance in 0..<3 { #expect(tile.row(instance)[77] == whole[instance * Self.model.vocabularySize + 77]) }
    #expect(scorer.tileScorers[0].score(instance: 2, token: 77) == whole[2 * Self.model.vocabularySize + 77])
  }

  /// What scores takes little that grows with the vocabulary, and attention's share follows the longest query, not the model's limit.
  @Test func memory() {
    func bytes(vocabulary: Int = 1000, limit: Int = 200, longest: Int?) -> Int {
      ModelScorer.byteCount(
        ModelConfiguration(vocabularySize: vocabulary, maximumSequenceLength: limit), backend: .native, longestQuery: longest)
    }
    #expect(bytes(vocabulary: 10_000_000, longest: nil) == bytes(vocabulary: 10_000, longest: nil))
    #expect(bytes(limit: 50_000, longest: 20) == bytes(longest: 20))
    #expect(bytes(limit: 200, longest: 5000) == bytes(longest: nil))
    #expect(bytes(limit: 50_000, longest: nil) > 1 << 30)
    #expect(bytes(longest: 200) < 12 << 20)
  }
}
