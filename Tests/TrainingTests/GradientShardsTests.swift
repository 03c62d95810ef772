import BERT4RecModel
import Foundation
import InteractionData
import Masking
import Testing
import Training

@Suite struct GradientShardsTests {
  static let model = ModelConfiguration(
    vocabularySize: 30, hiddenSize: 8, layerCount: 2, headCount: 2, intermediateSize: 20, maximumSequenceLength: 40)

  /// A window per user, with 1 to 38 items.
  private func instances(users: Int, copies: Int = 2) -> MaskedInstances {
    let sequences = Sequences((0..<users).map { user in (0..<Int32(3 + user * 17 % 38)).map { 1 + $0 % 26 } })
    return MaskedInstances(
      windows: Windows(LeaveOneOut(sequences, holdout: .testAndValidation), maximumLength: 40, slidingStep: 20),
      tokens: TokenIDs(itemCount: 26),
      configuration: MaskingConfiguration(maskedProbability: 0.3, maximumPredictions: 9, duplicationFactor: copies),
      seed: 5)
  }

  private func plan(_ instances: MaskedInstances, batch: Int, shards: Int) -> GradientShards {
    GradientShards(instances, cost: InstanceCost(Self.model), batchSize: batch, shardCount: shards)
  }

  /// An epoch has 57 * 3 = 171 instances: batches of 64 cross epochs, one of 200 holds more than an epoch.
  @Test(arguments: [(64, 16), (64, 5), (13, 4), (200, 7), (1, 1)])
  func everyInstanceOfTheStreamStandsInOneShard(batchSize: Int, shards: Int) {
    let instances = instances(users: 57)
    var plan = plan(instances, batch: batchSize, shards: shards)
    var seen: [Int: Int] = [:]
    let steps = instances.epochCount
    for step in 0..<steps {
      plan.fill(step: step)
      #expect(plan.places.sorted() == Array(0..<batchSize))
      #expect(plan.offsets.first == 0 && plan.offsets.last == batchSize && plan.offsets.count == shards + 1)
      let expected = (0..<batchSize).map { place in
        let position = step * batchSize + place
        return instances.reference(at: position, order: instances.order(epoch: position / instances.epochCount))
      }
      #expect(plan.references == expected)
      #expect(plan.tokenCount == expected.reduce(0) { $0 + $1.tokenCount })
      #expect(plan.maskedCount == expected.reduce(0) { $0 + $1.maskedCount })
      #expect(plan.epoch == expected.last?.epoch)
      for reference in plan.references { seen[reference.element, default: 0] += 1 }
    }
    // As many steps as an epoch has instances are `batchSize` whole epochs.
    #expect(seen.count == instances.epochCount && seen.values.allSatisfy { $0 == batchSize })
  }

  @Test(arguments: [(64, 16), (256, 16), (100, 7), (30, 30)]) func shardsAreBalanced(batchSize: Int, shards: Int) {
    let instances = instances(users: 57)
    let cost = InstanceCost(Self.model)
    var plan = plan(instances, batch: batchSize, shards: shards)
    for step in 0..<20 {
      plan.fill(step: step)
      let costs = plan.references.map { cost(tokens: $0.tokenCount, masked: $0.maskedCount) }
      let loads = (0..<shards).map { shard in
        plan.places[plan.offsets[shard]..<plan.offsets[shard + 1]].reduce(UInt64(0)) { $0 + costs[$1] }
      }
      // Whatever is put last on the fullest shard was put on what was then the emptiest.
      let gap = (loads.max() ?? 0) - (loads.min() ?? 0)
      #expect(gap <= (costs.max() ?? 0))
      if batchSize >= 8 * shards { #expect(Double(gap) < 0.05 * Double(loads.max() ?? 0)) }
    }
  }

  @Test func theCutDoesNotDependOnWhatCameBefore() {
    let instances = instances(users: 41)
    var (one, other) = (plan(instances, batch: 48, shards: 6), plan(instances, batch: 48, shards: 6))
    for step in 0..<9 { one.fill(step: step) }
    other.fill(step: 30)
    other.fill(step: 8)
    #expect(one.places == other.places && one.offsets == other.offsets && one.references == other.references)
  }

  @Test func aTinyBatchLeavesShardsEmpty() {
    let instances = instances(users: 9)
    var plan = plan(instances, batch: 3, shards: 8)
    plan.fill(step: 4)
    let counts = (0..<8).map { plan.offsets[$0 + 1] - plan.offsets[$0] }
    #expect(counts == [1, 1, 1, 0, 0, 0, 0, 0])
    var batch = PackedBatch()
    plan.makeBatch(shard: 7, into: &batch)
    #expect(batch.instanceCount == 0 && batch.tokens.isEmpty)
  }

  @Test func batchesHoldTheInstances() {
    let instances = instances(users: 23)
    var plan = plan(instances, batch: 20, shards: 3)
    plan.fill(step: 2)
    var (tokens, masked, batch) = (0, 0, PackedBatch())
    for shard in 0..<3 {
      plan.makeBatch(shard: shard, into: &batch)
      let places = plan.places[plan.offsets[shard]..<plan.offsets[shard + 1]]
      #expect(batch.instanceCount == places.count)
      var expected = PackedBatch()
      for place in places { instances.append(plan.references[place], place: place, to: &expected) }
      #expect(batch.tokens == expected.tokens && batch.labels == expected.labels)
      tokens += batch.tokens.count
      masked += batch.maskedCount
    }
    #expect(tokens == plan.tokenCount && masked == plan.maskedCount)
  }
}

@Suite struct InstanceCostTests {
  /// H 8, I 20, V 30, two layers, n 7, m 2, by hand: first layer 7 * 2 * (256 + 320) + 32 * 49 = 9632; last layer
  /// 7 * 256 + 2 * 2 * (128 + 320) + 32 * 14 = 4032; head 2 * (128 + 480) = 1216.
  @Test func theFormulaByHand() {
    let cost = InstanceCost(GradientShardsTests.model)
    #expect(cost.flop(tokens: 7, masked: 2) == 9632 + 4032 + 1216)
    #expect(cost(tokens: 7, masked: 2) == 14_880)
    #expect(cost.flop(tokens: 0, masked: 0) == 0)
  }

  @Test func enormousInstancesStayBelowTheLimit() {
    let model = ModelConfiguration(
      vocabularySize: 30_000_000, hiddenSize: 4096, layerCount: 100, headCount: 2, intermediateSize: 20_000,
      maximumSequenceLength: 65_536)
    #expect(InstanceCost(model)(tokens: 65_536, masked: 13_000) == InstanceCost.limit - 1)
  }

  static let data = RecipeTests.root.deletingLastPathComponent().appendingPathComponent("shared/data")

  static func has(_ file: String) -> Bool {
    FileManager.default.fileExists(atPath: data.appendingPathComponent(file).path)
  }

  /// Forward and backward, 256 instances, in GFLOP; counted over a whole epoch.
  private func work(_ file: String, _ recipe: String) throws -> Double {
    let dataset = try DatasetLoader.load([Self.data.appendingPathComponent(file).path], log: { _ in }).dataset
    let configuration = try RecipeTests.recipe(recipe)
    let instances = MaskedInstances(
      windows: Windows(
        LeaveOneOut(dataset.sequences, holdout: configuration.holdout),
        maximumLength: configuration.maximumSequenceLength, slidingStep: configuration.slidingStep),
      tokens: TokenIDs(itemCount: dataset.itemCount), configuration: configuration.maskingConfiguration, seed: 1)
    let cost = InstanceCost(configuration.modelConfiguration(vocabularySize: instances.tokens.vocabularySize))
    let order = instances.order(epoch: 0)
    var sum = 0.0
    for position in 0..<instances.epochCount {
      let reference = instances.reference(at: position, order: order)
      sum += cost.flop(tokens: reference.tokenCount, masked: reference.maskedCount)
    }
    return 3 * 256 * sum / Double(instances.epochCount) / 1e9
  }

  @Test(.enabled(if: has("ml-1m.txt"), "../shared/data/ml-1m.txt is not there")) func aStepOfMovieLens() throws {
    #expect(abs(try work("ml-1m.txt", "ml-1m-64") - 29.8) < 0.05)
  }

  @Test(.enabled(if: has("beauty.txt"), "../shared/data/beauty.txt is not there")) func aStepOfBeauty() throws {
    #expect(abs(try work("beauty.txt", "beauty-64") - 28.0) < 0.05)
  }
}
