import BERT4RecModel
import Communication
import Evaluation
import InteractionData
import SystemSupport

/// The settings of a training run, checked: every key is within its range, the keys fit together, and the data set is named. A
/// configuration for which that does not hold cannot exist. Its keys are read as those of `RunSettings`: `configuration.batchSize`.
@dynamicMemberLookup
public struct RunConfiguration: Sendable, Equatable {
  /// In the form in which files have them.
  public let settings: RunSettings
  /// A path, or several, a line each.
  public let data: String
  /// How `data` is read.
  package let loadingOptions: LoadingOptions

  /// Exit code 64 where the settings cannot be a run's; the message names the keys.
  public init(_ settings: RunSettings) throws(ProgramFailure) { try self.init(settings, origin: "the configuration") }

  /// `origin`: where the data set might have been named, for the message.
  package init(_ settings: RunSettings, origin: String) throws(ProgramFailure) {
    var checked = settings
    for key in ConfigurationKey.all {
      let value = key.read(settings)
      if let expected = key.write(&checked, value) {
        throw ProgramFailure(.usage, "\(key.name) is \"\(value)\", but must be \(expected).")
      }
    }
    try Self.requireFit(checked)
    loadingOptions = try checked.loadingOptions()
    guard let data = checked.data else {
      throw ProgramFailure(.usage, "no data set: give --data PATH, or `data:` in \(origin).")
    }
    self.data = data
    self.settings = checked
  }

  public static func == (a: RunConfiguration, b: RunConfiguration) -> Bool { a.settings == b.settings }

  /// Each setting by its name.
  public subscript<Value>(dynamicMember key: KeyPath<RunSettings, Value>) -> Value { settings[keyPath: key] }

  /// The model's shape for a vocabulary.
  public func modelConfiguration(vocabularySize: Int) -> ModelConfiguration {
    ModelConfiguration(
      vocabularySize: vocabularySize, hiddenSize: settings.hiddenSize, layerCount: settings.layerCount,
      headCount: settings.headCount, intermediateSize: settings.intermediateSize,
      maximumSequenceLength: settings.maximumSequenceLength, hiddenDropout: settings.hiddenDropout,
      attentionDropout: settings.attentionDropout, activation: settings.activation,
      initializerRange: settings.initializerRange)
  }

  /// Relations between keys that no single key can check.
  private static func requireFit(_ settings: RunSettings) throws(ProgramFailure) {
    if settings.hiddenSize % settings.headCount != 0 {
      throw ProgramFailure(
        .usage,
        "hidden_size \(settings.hiddenSize) is not a multiple of num_attention_heads \(settings.headCount): each head takes an equal "
          + "part of the hidden vector. Change one of the two.")
    }
    if settings.slidingStep < 1 {
      throw ProgramFailure(
        .usage,
        "prop_sliding_window \(settings.slidingWindow) of max_seq_length \(settings.maximumSequenceLength) gives windows that do not move: "
          + "use at least \(1 / Double(settings.maximumSequenceLength)), or -1 for windows side by side.")
    }
    if settings.gradientShards > settings.batchSize {
      throw ProgramFailure(
        .usage,
        "gradient_shards \(settings.gradientShards) is more than batch_size \(settings.batchSize): a shard would have no instance. "
          + "Lower gradient_shards or raise batch_size.")
    }
    if settings.tableAdam == .lazy && settings.loss.kind == .full {
      throw ProgramFailure(
        .usage, "table_adam lazy is for losses that touch some items in a step, and loss is full, which touches all: change one of the two."
      )
    }
    if let misfit = ConfigurationKey.misfit(settings.loss) { throw ProgramFailure(.usage, misfit) }
    if settings.splitTime != nil && settings.holdout == .none {
      throw ProgramFailure(
        .usage,
        "split_time (--split-time) holds out what comes later, and holdout is none: leave one of the two out, or use holdout test, which "
          + "trains on everything before the split.")
    }
    if settings.patience > 0 && settings.holdout != .testAndValidation {
      throw ProgramFailure(
        .usage,
        "patience \(settings.patience) needs validations, and holdout is \(settings.holdout.rawValue): use holdout test+validation, or "
          + "patience 0.")
    }
    if settings.initialMoments == .kept && settings.initialCheckpoint == nil {
      throw ProgramFailure(
        .usage,
        "--keep-moments (init_moments kept) needs --init-checkpoint (init_checkpoint): without it there are no moments to keep.")
    }
    let known = EvaluationProtocol.allCases.flatMap { kind in Metrics.names.map { kind.key($0) } }
    let isValidated = settings.validationProtocols.contains { settings.monitor.hasSuffix("[\($0.rawValue)]") }
    if known.contains(settings.monitor) && !isValidated {
      throw ProgramFailure(
        .usage,
        "monitor \(settings.monitor) is of a protocol that validations leave out: validation_protocols is "
          + "\(settings.validationProtocols.map(\.rawValue).joined(separator: ",")). Change one of the two.")
    }
    if !known.contains(settings.monitor) {
      // Most people mean the ranking among all items.
      let meant = EvaluationProtocol.full.key(settings.monitor.lowercased())
      throw ProgramFailure(
        .usage,
        "monitor \"\(settings.monitor)\" is not a metric of the evaluation; "
          + (known.contains(meant) ? "do you mean \"\(meant)\"? " : "") + "known are \(known.joined(separator: ", ")).")
    }
  }
}

/// Sent as text, key by key.
extension RunConfiguration: Communicable {
  package func write(to message: inout MessageWriter) { message.write(settings.values) }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    var settings = RunSettings()
    for (key, value) in try message.read([String: String].self) { try settings.set(key, value, origin: "rank 0's configuration") }
    try self.init(settings)
  }
}
