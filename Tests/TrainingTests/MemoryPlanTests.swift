import BERT4RecModel
import Testing
import Training

@Suite struct MemoryPlanTests {
  private let model = ModelConfiguration(
    vocabularySize: 1500, hiddenSize: 24, layerCount: 3, headCount: 3, intermediateSize: 50, maximumSequenceLength: 40)

  /// What is foreseen is what an encoder then takes, since the same initialiser says it.
  @Test func anEncoderTakesWhatWasForeseen() throws {
    for purpose in [BidirectionalEncoder.Purpose.training, .scoring] {
      let encoder = try BidirectionalEncoder.withMemory(for: purpose, model, backend: .auto)
      #expect(encoder.workspaceBytes == BidirectionalEncoder.workspaceBytes(for: purpose, model))
    }
    #expect(
      BidirectionalEncoder.workspaceBytes(for: .scoring, model) < BidirectionalEncoder.workspaceBytes(for: .training, model))
  }

  /// What a thread takes for the loss: a constant number of exponentials for the full one, nothing that grows with the catalogue for
  /// the others.
  @Test func lossesOfLargeCatalogues() {
    func bytes(_ kind: LossKind, _ vocabulary: Int) -> Int {
      var large = model
      large.vocabularySize = vocabulary
      return BidirectionalEncoder.workspaceBytes(for: .training, large, loss: LossConfiguration(kind))
    }
    // The maxima of each tile are what is left: 256 rows of 480 items have one each.
    #expect(bytes(.full, 2_000_000) - bytes(.full, 1_000_000) < 4 * 1_000_000)
    #expect(bytes(.full, 1_000_000) < 100 << 20)
    for kind in LossKind.allCases where kind != .full {
      #expect(bytes(kind, 10_000_000) == bytes(kind, 1_000_000), "\(kind)")
      #expect(bytes(kind, 1_000_000) < bytes(.full, 1_000_000))
    }
    var plan = MemoryPlan(use: .training(drawnUsers: 40), model: model, backend: .auto)
    let full = plan.total
    plan.loss = LossConfiguration(.sampled)
    let uniform = plan.total
    plan.loss.sampling = .popularity
    #expect(uniform < full && plan.total == uniform + Double(12 * model.vocabularySize))
  }

  /// What is foreseen for each loss is what an encoder then takes.
  @Test(arguments: LossKind.allCases) func anEncoderOfEachLoss(_ kind: LossKind) throws {
    var loss = LossConfiguration(kind)
    loss.negatives = 1 << 16
    let sampler = RowSampler(loss, counts: [], vocabularySize: model.vocabularySize)
    let encoder = try BidirectionalEncoder.withMemory(for: .training, model, backend: .auto, loss: loss, sampler: sampler)
    #expect(encoder.workspaceBytes == BidirectionalEncoder.workspaceBytes(for: .training, model, loss: loss))
  }

  @Test func sharesGrowWithWhatTheyDependOn() {
    func plan(threads: Int) -> MemoryPlan {
      var plan = MemoryPlan(use: .training(drawnUsers: 40), model: model, backend: .auto)
      (plan.threads, plan.gradientShards) = (threads, 16)
      return plan
    }
    #expect(plan(threads: 1).total > Double(ParameterLayout(model).count * 12))
    #expect(plan(threads: 4).total > plan(threads: 1).total)
  }

  /// A sharded table takes a rank's own rows, in whole blocks, and a bounded amount for those of others.
  @Test func aShardedTable() {
    var large = model
    large.vocabularySize = 1_000_000
    func total(_ ranks: Int, _ table: TablePlacement) -> Double {
      var plan = MemoryPlan(use: .training(drawnUsers: 40), model: large, backend: .auto)
      (plan.loss, plan.table, plan.ranks, plan.gradientShards, plan.batchSize) = (LossConfiguration(.sampled), table, ranks, 16, 64)
      return plan.total
    }
    let (alone, four) = (total(4, .replicated), total(4, .sharded))
    let table = Double(12 * 1_000_000 * (large.hiddenSize + 1))
    #expect(four > alone - table * 3 / 4 && four < alone - table * 3 / 4 + Double(200 << 20))
    #expect(total(1, .sharded) == total(1, .replicated))
    #expect(total(8, .sharded) < four)
  }

  /// No configuration that the keys allow makes the count overflow.
  @Test func absurdSizesAreCounted() {
    var huge = model  // one head, since heads must divide the width
    (huge.vocabularySize, huge.hiddenSize, huge.headCount, huge.intermediateSize) = (1 << 31, 65_536, 1, 1 << 20)
    let plan = MemoryPlan(use: .training(drawnUsers: 40), model: huge, backend: .auto)
    #expect(plan.total.isFinite && plan.total > 1e15)
  }

  /// Ranks that share cores, or a quota, share them; a quota of one and a half cores is two threads.
  @Test func threadsRespectQuotas() {
    func record(_ host: String, cores: [UInt8], quota: Double?) -> ThreadCount.Record {
      ThreadCount.Record(
        host: host, cores: cores, quotas: quota.map { [ThreadCount.Record.Quota(sharedAs: "box", cores: $0)] } ?? [])
    }
    #expect(ThreadCount.counts([record("a", cores: [0xFF], quota: nil)]) == [8])
    #expect(ThreadCount.counts([record("a", cores: [0xFF], quota: 1.5)]) == [2])
    #expect(ThreadCount.counts([record("a", cores: [0xFF], quota: 0.1)]) == [1])
    #expect(ThreadCount.counts([record("a", cores: [0xFF], quota: 4), record("a", cores: [0xFF], quota: 4)]) == [2, 2])
    #expect(ThreadCount.counts([record("a", cores: [0xF0], quota: nil), record("b", cores: [0xFF], quota: 3)]) == [4, 3])
  }
}
