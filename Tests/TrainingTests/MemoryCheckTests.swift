import BERT4RecModel
import Communication
import GradientSum
import Masking
import SystemSupport
import Testing
import Training

/// What is refused, and what the message says; sizes and limits are made up.
@Suite struct MemoryCheckTests {
  private static let gibibyte = Double(1 << 30)

  private static func plan(threads: Int = 1, ranks: Int = 1, hidden: Int = 64, vocabulary: Int = 1000) -> MemoryPlan {
    let model = ModelConfiguration(vocabularySize: vocabulary, hiddenSize: hidden, intermediateSize: 2 * hidden)
    var plan = MemoryPlan(use: .training(drawnUsers: 400), model: model, backend: .auto)
    (plan.threads, plan.gradientShards, plan.ranks) = (threads, 16, ranks)
    return plan
  }

  private func record(_ plan: MemoryPlan, host: String = "a", _ limits: MemoryLimit...) -> MemoryCheck.Record {
    MemoryCheck.Record(host: host, shares: plan.shares, limits: limits)
  }

  private func machine(_ bytes: Double, inUse: Double = 0) -> MemoryLimit {
    MemoryLimit(name: "the machine has", bytes: bytes, sharedAs: "machine", inUse: inUse)
  }

  private func group(_ bytes: Double) -> MemoryLimit {
    MemoryLimit(name: "the control group /sys/fs/cgroup/job allows", bytes: bytes, sharedAs: "0:7", inUse: 0)
  }

  @Test func whatFitsIsNotRefused() {
    let plan = Self.plan()
    #expect(MemoryCheck.problem([record(plan, machine(plan.total))], plan) == nil)
    #expect(MemoryCheck.problem([record(plan, machine(plan.total - 1))], plan) != nil)
    #expect(MemoryCheck.problem([record(plan, machine(plan.total, inUse: 1))], plan) != nil)
    #expect(MemoryCheck.problem([record(plan)], plan) == nil)
  }

  /// Ranks of one host share its memory, and those of one group the group's; ranks elsewhere do not count.
  @Test func ranksOfAHostShareItsMemory() throws {
    let plan = Self.plan(ranks: 3)
    let enoughForOne = machine(plan.total * 1.5)
    let elsewhere = record(plan, host: "b", enoughForOne)
    #expect(MemoryCheck.problem([record(plan, enoughForOne), elsewhere], plan) == nil)
    let message = try #require(
      MemoryCheck.problem([record(plan, enoughForOne), record(plan, enoughForOne), elsewhere], plan))
    #expect(message.hasPrefix("not enough memory: 2 ranks on a need "), "\(message)")
    #expect(message.contains("but the machine has \(MemorySize.text(enoughForOne.bytes)); start at most 1 rank on"), "\(message)")
    // What each process has for itself.
    let own = MemoryLimit(name: "this process's limit (ulimit -v) is", bytes: plan.total * 1.5, sharedAs: nil, inUse: 0)
    #expect(MemoryCheck.problem([record(plan, own), record(plan, own)], plan) == nil)
  }

  @Test func theLimitThatIsExceededMostIsNamed() throws {
    let plan = Self.plan()
    let message = try #require(
      MemoryCheck.problem([record(plan, machine(plan.total * 0.9), group(plan.total * 0.1))], plan))
    #expect(message.contains("but the control group /sys/fs/cgroup/job allows "), "\(message)")
  }

  /// Fewer threads change no result, so they are named first; else the setting that saves most.
  @Test func whatToChange() throws {
    let many = Self.plan(threads: 8)
    let limit = machine(Self.plan(threads: 3).total)
    #expect(try #require(MemoryCheck.problem([record(many, limit)], many)).hasSuffix("; --threads 3 is the most that fits"))

    func remedy(_ plan: MemoryPlan) throws -> String {
      let message = try #require(MemoryCheck.problem([record(plan, machine(Self.gibibyte / 1024))], plan))
      return String(try #require(message.split(separator: ";").last))
    }
    #expect(try remedy(Self.plan(hidden: 4096)) == " lower hidden_size (4096)")
    #expect(try remedy(Self.plan(vocabulary: 5_000_000)) == " lower the vocabulary, by leaving out rare items (5000000)")
    var long = Self.plan()
    long.model.maximumSequenceLength = 65_536
    #expect(try remedy(long) == " lower max_seq_length (65536)")
    var deep = Self.plan()
    deep.model.layerCount = 1000
    #expect(try remedy(deep) == " lower num_hidden_layers (1000)")
    var wide = Self.plan()
    wide.model.intermediateSize = 1_000_000
    #expect(try remedy(wide) == " lower intermediate_size (1000000)")
    // Nothing helps where the program alone is too large.
    let full = try #require(
      MemoryCheck.problem([record(Self.plan(), machine(Self.gibibyte, inUse: 2 * Self.gibibyte))], Self.plan()))
    #expect(full.contains("of which 2.0 GiB for the program and its data") && full.hasSuffix("; raise that limit"), "\(full)")
  }

  @Test func theLineSaysWhatIsNeeded() {
    let plan = Self.plan(threads: 2, ranks: 2)
    let line = MemoryCheck.description([record(plan), record(Self.plan())])
    #expect(line.hasPrefix("memory per rank: \(MemorySize.text(plan.total)) besides program and data (parameters and moments "))
    for words in ["gradients ", "workspaces of 2 threads ", "their sum over ranks ", "evaluation "] {
      #expect(line.contains(words), "\(line)")
    }
  }

  @Test func recordsComeBackUnchanged() throws {
    let plan = Self.plan(threads: 2, ranks: 2)
    let own = MemoryLimit(name: "this process's limit (ulimit -v) is", bytes: 4.2e8, sharedAs: nil, inUse: 1e8)
    for sent in [record(plan, machine(1e10), group(0x1.23456789abcdp40), own), record(plan)] {
      let received: MemoryCheck.Record = try MessageReader.value(of: MessageWriter.bytes(of: sent))
      #expect(received == sent)
    }
    let rank = ThreadCount.Record(
      host: "node1", cores: [0xF0, 0x0F, 0], quotas: [ThreadCount.Record.Quota(sharedAs: "0:7", cores: 1.5)])
    let received: ThreadCount.Record = try MessageReader.value(of: MessageWriter.bytes(of: rank))
    #expect(received == rank)
  }

  /// A backend's scratch memory grows to what was foreseen, and no further.
  @Test func aBackendTakesWhatWasForeseen() throws {
    let model = ModelConfiguration(
      vocabularySize: 1500, hiddenSize: 24, layerCount: 2, headCount: 3, intermediateSize: 50, maximumSequenceLength: 40)
    let backend = NativeBackend()
    let encoder = BidirectionalEncoder(model, backend: backend)
    let parameters = [Float](repeating: 0.01, count: ParameterLayout(model).count)
    var gradients = parameters
    var batch = PackedBatch()
    for item in 1...Int32(model.maximumSequenceLength) { batch.append(token: item, label: item % 4 == 0 ? item : nil) }
    batch.endInstance(place: 0)
    _ = encoder.loss(batch, parameters: parameters, gradients: &gradients, dropout: nil)
    #expect(backend.scratchBytes == NativeBackend.scratchBytes(model))
  }

  /// Buffers that hold sums while the next shard is computed: the count is what is used, for any range.
  @Test func anAccumulatorUsesTheBuffersThatWereForeseen() throws {
    for first in 0..<9 {
      for end in first...20 {
        let shards = first..<end
        let accumulator = try ShardAccumulator(shards: shards, length: 3)
        for shard in shards { accumulator.add(shard: shard, accumulator.nextBuffer()) }
        #expect(accumulator.usedBufferCount == ShardAccumulator.bufferCount(shards: shards), "\(shards)")
      }
    }
  }
}
