import BERT4RecModel
import InteractionData
import Masking
import SystemSupport
import Training

/// One update on the first four instances, by hand: the losses per masked item before and after it.
func oneStep(_ dataset: Dataset) throws(ProgramFailure) -> (before: Double, after: Double) {
  // Histories without the last two items, cut into windows; a window gives several instances, each with masks of its own.
  let tokens = TokenIDs(itemCount: dataset.itemCount)
  let windows = Windows(LeaveOneOut(dataset.sequences, holdout: .testAndValidation), maximumLength: 32, slidingStep: 16)
  let instances = MaskedInstances(windows: windows, tokens: tokens, configuration: MaskingConfiguration(), seed: 1)

  // The first four of epoch 0's order, one after the other without padding: tokens, masked rows, labels.
  var batch = PackedBatch()
  let order = instances.order(epoch: 0)
  for place in 0..<4 { instances.append(instances.reference(at: place, order: order), place: place, to: &batch) }

  // Parameters, moments and gradient are flat buffers with the same offsets.
  let state = try ModelState(
    ModelConfiguration(
      vocabularySize: tokens.vocabularySize, hiddenSize: 32, layerCount: 2, headCount: 2, intermediateSize: 128,
      maximumSequenceLength: 32))
  state.initialize(seed: 1)
  let encoder = BidirectionalEncoder(state.configuration)
  guard let parameters = UnsafePointer(state.parameters.baseAddress) else { preconditionFailure("a model has parameters") }
  var gradient = [Float](repeating: 0, count: state.layout.count)
  let loss = encoder.loss(
    batch, parameters: parameters, gradients: &gradient, overwrites: true, dropout: DropoutKey(seed: 1, step: 0))

  // Here a run adds the shards' gradients in the order of a tree, over threads and ranks. Then the update, whose norm and
  // division by the number of masked items are those of the whole batch.
  var adam = Adam(state.layout)
  adam.addSquares(gradient)
  adam.begin(rate: 1e-3, norm: adam.norm(maskedCount: batch.maskedCount), maskedCount: batch.maskedCount)
  adam.update(state, gradients: gradient)

  let after = encoder.loss(batch, parameters: parameters, gradients: nil, dropout: DropoutKey(seed: 1, step: 0))
  return (loss / Double(batch.maskedCount), after / Double(batch.maskedCount))
}
