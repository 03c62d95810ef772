import BERT4RecModel
import Masking
import SystemSupport

/// A gradient shard between its two halves, where ranks have to speak with each other in between: an encoder for each of its blocks, each
/// of which keeps what its backward pass needs.
final class EncodedShard {
  let configuration: ModelConfiguration
  let clock: PhaseClock
  private let backend: any Backend
  private let longestInstance: Int
  /// Of the encoders; nil where it is elsewhere.
  private let loss: LossConfiguration?
  /// As many as a step had blocks at most.
  private var encoders: [BidirectionalEncoder] = []
  private let tGradient = GrowingBuffer<Float>(for: "a thread's workspace")
  private let factors = GrowingBuffer<Float>(for: "a thread's workspace")

  init(
    _ configuration: ModelConfiguration, _ backend: BackendChoice, longestInstance: Int, loss: LossConfiguration? = nil, _ clock: PhaseClock
  ) {
    self.configuration = configuration
    self.loss = loss
    self.backend = backend.makeBackend()
    self.longestInstance = longestInstance
    self.clock = clock
  }

  /// Calls `body` with each block that has masked rows, its number in the step's plan, and its encoder.
  func forEachBlock(_ batch: PackedBatch, _ shard: Int, _ plan: LossPlan, _ body: (Block, Int, BidirectionalEncoder) -> Void) {
    let blocks = plan.blocksOfShard[shard]
    var index = blocks.lowerBound
    batch.forEachBlock(rows: BidirectionalEncoder.blockRows) { block in
      let (number, own) = (index, index - blocks.lowerBound)
      index += 1
      precondition(
        blocks.contains(number) && plan.blocks[number].rows.count == block.maskedCount
          && plan.blocks[number].tokenCount == block.tokenCount, "a block that was planned otherwise")
      if block.maskedCount == 0 { return }
      while encoders.count <= own {
        encoders.append(
          BidirectionalEncoder(
            configuration, backend: backend, purpose: loss == nil ? .encoding : .training, longestInstance: longestInstance,
            loss: loss ?? LossConfiguration(), clock: clock))
      }
      body(block, number, encoders[own])
    }
  }

  /// Leaves the masked rows' t and labels with the loss.
  func encode(_ batch: PackedBatch, _ shard: Int, _ loss: DividedLoss, parameters: UnsafePointer<Float>, dropout: DropoutKey?) {
    forEachBlock(batch, shard, loss.plan) { block, number, encoder in
      let t = encoder.encode(block, parameters: parameters, dropout: dropout)
      let place = loss.place(of: loss.plan.blocks[number])
      place.t.update(from: t.base, count: t.rows * t.columns)
      place.labels.update(from: block.labels, count: block.maskedCount)
    }
  }

  /// Once the loss knows the rows' sums: the shard's loss. Adds the gradients of what stands beside the table, and leaves those of the
  /// tokens' rows with the loss.
  func backward(
    _ batch: PackedBatch, _ shard: Int, _ loss: DividedLoss, parameters: UnsafePointer<Float>,
    gradients: UnsafeMutablePointer<Float>, dropout: DropoutKey?
  ) -> Double {
    var sum = 0.0
    forEachBlock(batch, shard, loss.plan) { block, number, encoder in
      tGradient.resize(block.maskedCount * configuration.hiddenSize)
      factors.resize(block.maskedCount)
      clock.enter(.head)
      sum += loss.finish(
        loss.plan.blocks[number], words: parameters + encoder.layout.wordEmbeddings, backend: backend, factors: factors.base,
        into: tGradient.base)
      let tokens = loss.tokens.place(ofBlock: number)
      tokens.ids.update(from: block.tokens, count: block.tokenCount)
      encoder.backward(
        block, tGradient: Matrix(tGradient.base, block.maskedCount, configuration.hiddenSize), parameters: parameters,
        gradients: gradients, dropout: dropout, tokenRows: tokens.values)
    }
    return sum
  }
}
