import BERT4RecModel
import Checkpoints
import Collectives
import InteractionData
import SystemSupport

/// A checkpoint's model on every rank, read by rank 0 alone.
public final class CheckpointModel {
  public let state: ModelState
  /// On rank 0; empty elsewhere.
  public let itemIDs: ExternalIDs
  public let itemCounts: [Int64]
  /// What it was trained with, where this processor can run that: so that its scores have the same digits.
  public let backend: BackendChoice
  /// The folder that was used, and the data set's name and fingerprint.
  public let path: String
  public let dataName: String
  public let dataFingerprint: String
  /// How the data that it was trained on was read; on rank 0.
  private let recorded: RunConfiguration

  /// Collective. `path`: a checkpoint folder or a run folder (its best checkpoint that is whole, else its latest); `log` is told, on
  /// rank 0, which of a run folder's are damaged.
  public init(_ path: String, communicator: any Communicator, log: (String) -> Void) throws(Failure) {
    var reader: CheckpointReader?
    var shape: [Int] = []
    var (texts, rates) = (["", "", ""], [0.0, 0.0])
    var recorded = RunConfiguration()
    try communicator.onRankZero { () throws(Failure) in
      let opened = try RunFolder.open(path, log: log)
      let model = opened.configuration
      shape = [
        model.vocabularySize, model.hiddenSize, model.layerCount, model.headCount, model.intermediateSize,
        model.maximumSequenceLength, Activation.allCases.firstIndex(of: model.activation) ?? 0, opened.state.step,
        opened.state.configuration["backend"] == BackendChoice.openblas.rawValue ? 1 : 0,
      ]
      rates = [model.hiddenDropout, model.attentionDropout]
      for key in ["data", "data_format", "data_columns", "data_time_format"] {
        if let value = opened.state.configuration[key] { try recorded.set(key, value, origin: opened.path) }
      }
      texts = [opened.path, opened.state.dataName, opened.state.dataFingerprint]
      reader = opened
    }
    shape = try communicator.broadcastArray(shape)
    rates = try communicator.broadcastArray(rates)
    let configuration = ModelConfiguration(
      vocabularySize: shape[0], hiddenSize: shape[1], layerCount: shape[2], headCount: shape[3],
      intermediateSize: shape[4], maximumSequenceLength: shape[5], hiddenDropout: rates[0],
      attentionDropout: rates[1], activation: Activation.allCases[shape[6]])
    backend = shape[8] == 1 ? .openblas : .auto
    var plan = MemoryPlan(use: .scoring, model: configuration, backend: backend)
    (plan.rank, plan.ranks) = (communicator.rank, communicator.size)
    _ = try MemoryCheck.run(plan, communicator)
    state = try communicator.onEveryRank { () throws(Failure) in try ModelState(configuration, withMoments: false) }
    state.step = shape[7]
    reader?.copyParameters(into: state.parameters)
    try communicator.broadcast(UnsafeMutableRawBufferPointer(state.parameters))
    itemCounts = try communicator.broadcastArray(reader?.itemCounts ?? [])
    itemIDs = reader?.itemIDs ?? ExternalIDs()
    self.recorded = recorded
    self.path = texts[0]
    dataName = texts[1]
    dataFingerprint = texts[2]
  }

  /// The data set in this model's item ids. Items that the model does not know are left out and counted; on rank 0.
  public func translate(_ dataset: Dataset, log: (String) -> Void) throws(Failure) -> Dataset {
    if dataset.fingerprint == dataFingerprint { return dataset }
    let index = ItemIndex(itemIDs)
    let translation = (0..<dataset.itemIDs.count).map { index.item(dataset.itemIDs[$0]) ?? 0 }
    var (offsets, values, unknown) = ([Int64(0)], [Int32](), 0)
    for user in 0..<dataset.sequences.userCount {
      for item in dataset.sequences[user] {
        let known = translation[Int(item) - 1]
        if known == 0 { unknown += 1 } else { values.append(known) }
      }
      offsets.append(Int64(values.count))
    }
    let unknownItems = translation.count { $0 == 0 }
    if unknownItems == translation.count {
      throw Failure(
        .badData,
        "none of the \(translation.count) items of \(dataset.name) is known to \(path), which was trained on \(dataName): "
          + "give the data that it was trained on, with the same item ids.")
    }
    log(
      "\(dataset.name) is not what \(path) was trained on (\(dataName)); \(unknownItems) items in \(unknown) interactions "
        + "are unknown to the model and left out")
    return Dataset(
      name: dataset.name, itemIDs: itemIDs, itemCounts: itemCounts, userIDs: dataset.userIDs,
      sequences: Sequences(offsets: offsets, values: values))
  }
}

extension CheckpointModel {
  /// On rank 0. Data in this model's item ids. Without options, the file that the model was trained on is read as it was then.
  public func dataset(
    _ path: String, options: LoadingOptions?, log: (String) -> Void
  ) throws(Failure) -> Dataset {
    let asTrained = path == recorded.data ? try recorded.loadingOptions() : LoadingOptions()
    return try translate(loadDataset(path, options: options ?? asTrained, log: log), log: log)
  }

  /// Collective. Rank 0's data in this model's item ids, on every rank.
  public func sharedDataset(
    _ path: String, options: LoadingOptions? = nil, communicator: any Communicator, log: (String) -> Void
  ) throws(Failure) -> Dataset {
    var own: Dataset?
    try communicator.onRankZero { () throws(Failure) in
      own = try dataset(path, options: options, log: log)
      try own?.requireUsable()
    }
    return try Dataset.shared(own, communicator)
  }
}
