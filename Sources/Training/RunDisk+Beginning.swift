import BERT4RecModel
import Checkpoints
import InteractionData
import SystemSupport

/// How a run begins from another model's parameters (`init_checkpoint`).
extension RunDisk {
  /// Makes the state that of step 0 and returns what to say about it; nil where the run begins from nothing. Writes nothing.
  ///
  /// Exit codes as `InitialModel.open` has them; 64 where the model has another shape, 65 where it knows none of the items.
  func begin() throws(ProgramFailure) -> String? {
    guard let path = configuration.initialCheckpoint else { return nil }
    let model = try InitialModel.open(path, withMoments: configuration.initialMoments == .kept, log: log)
    try requireSameShape(model)
    let rows = InitialRows(
      from: model.itemIDs, length: model.configuration.maximumSequenceLength, to: dataset.itemIDs,
      length: state.configuration.maximumSequenceLength)
    if rows.keptItems == 0 {
      throw ProgramFailure(
        .badData,
        "none of the \(dataset.itemCount) items of \(dataset.name) is known to \(model.path): give data with the same item ids, or leave "
          + "out --init-checkpoint (init_checkpoint).")
    }
    try state.begin(from: model, rows, seed: configuration.seed)
    initialModel = model.path
    var line =
      "init: \(model.step.map { "step \($0) of " } ?? "")\(model.path); \(grouped(rows.keptItems)) items kept, "
      + "\(grouped(rows.newItems)) new, \(grouped(rows.goneItems)) gone"
    if model.configuration.maximumSequenceLength != state.configuration.maximumSequenceLength {
      line += "; positions 0 to \(rows.positions - 1) kept, \(grouped(rows.newPositions)) new"
    }
    return line + (configuration.initialMoments == .kept ? "; moments kept" : "")
  }

  private func requireSameShape(_ model: InitialModel) throws(ProgramFailure) {
    let (old, new) = (model.configuration, state.configuration)
    let differences = [
      ("hidden_size", "\(old.hiddenSize)", "\(new.hiddenSize)"),
      ("num_hidden_layers", "\(old.layerCount)", "\(new.layerCount)"),
      ("num_attention_heads", "\(old.headCount)", "\(new.headCount)"),
      ("intermediate_size", "\(old.intermediateSize)", "\(new.intermediateSize)"),
      ("hidden_act", old.activation.rawValue, new.activation.rawValue),
    ].filter { $0.1 != $0.2 }
    guard !differences.isEmpty else { return }
    let text = differences.map { "\($0.0) is \($0.1) there and \($0.2) here" }.joined(separator: "; ")
    let values = differences.map { "--set \($0.0)=\($0.1)" }.joined(separator: " ")
    throw ProgramFailure(
      .usage,
      "\(model.path) has another shape than this run: \(text). Give its values (\(values)), or leave out --init-checkpoint "
        + "(init_checkpoint).")
  }
}

/// 1,234,567.
private func grouped(_ number: Int) -> String {
  let digits = Array(String(number))
  return digits.indices.map { (digits.count - $0) % 3 == 0 && $0 > 0 ? ",\(digits[$0])" : "\(digits[$0])" }.joined()
}
