import BERT4RecModel
import Collectives
import Evaluation
import InteractionData
import MaskedInstances
import SystemSupport

/// Whether masks are drawn again each epoch.
public enum MaskingMode: String, Sendable, CaseIterable {
  case dynamic
  /// One mask per instance for the whole run, as the original's stored files have.
  case `static`
}

/// What to do when a step's loss or gradient is not finite.
public enum NonFiniteMode: String, Sendable, CaseIterable {
  case stop
  /// Go on with the next batch, leaving the parameters as they are.
  case skip
}

/// What Adam's moments are where a run begins from another model.
public enum InitialMoments: String, Sendable, CaseIterable {
  case zero
  /// The model's own for all rows that it keeps, zero for new ones.
  case kept
}

/// Everything a training run depends on, besides the data. Keys, meanings and defaults: `ConfigurationKey.all`, which is also the
/// one place that reads, writes and explains them.
public struct RunConfiguration: Sendable, Equatable {
  // Data and masked instances.
  /// A path, or several, a line each.
  public var data: String?
  /// What `data` is, where its contents should not decide: a `DataFormat`'s name, a `ColumnChoice`'s and a `TimePattern`'s text.
  public var dataFormat: String?
  public var dataColumns: String?
  public var dataTimeFormat: String?
  public var maximumSequenceLength = 200
  public var maskedProbability = 0.2
  /// nil: L * masked_lm_prob, rounded up.
  public var maximumPredictions: Int?
  public var maskProbability = 1.0
  public var duplicationFactor = 10
  public var slidingWindow = 0.5
  public var masking = MaskingMode.dynamic
  public var holdout = Holdout.testAndValidation

  // Model.
  public var hiddenSize = 64
  public var layerCount = 2
  public var headCount = 2
  public var intermediateSize = 256
  public var activation = Activation.gelu
  public var hiddenDropout = 0.2
  public var attentionDropout = 0.2
  public var initializerRange = 0.02

  // Optimiser.
  public var learningRate = 1e-3
  public var schedule = LearningRateSchedule.Shape.linear
  public var trainingSteps = 20_000
  /// nil: `trainingSteps` counts.
  public var trainingEpochs: Double?
  /// Minutes of training after which a run ends before its last step; 0: no limit.
  public var maximumMinutes = 0.0
  /// Validations in a row without a better one after which a run ends before its last step; 0: no limit.
  public var patience = 0
  public var warmupSteps = 100
  public var batchSize = 256
  public var gradientShards = 16
  public var reduction = ReductionMode.exact
  public var backend = BackendChoice.auto
  public var seed: UInt64 = 12345

  // Beginning.
  /// The model that a new run begins from: a checkpoint, a run folder or a Hugging Face folder; nil: random parameters.
  public var initialCheckpoint: String?
  public var initialMoments = InitialMoments.zero

  // Run.
  public var checkpointInterval = 1000
  public var keepCheckpoints = 5
  /// nil: as often as checkpoints.
  public var evaluationInterval: Int?
  /// nil: all users.
  public var validationUsers: Int?
  public var validationProtocols = EvaluationProtocol.allCases
  public var monitor = "ndcg@10[full]"
  public var reportInterval = 10
  /// Whether reports and evaluations are written for TensorBoard, too.
  public var writesTensorBoard = false
  /// nil: the cores that the rank may use, shared with the ranks on the same ones.
  public var threads: Int?

  // When things go wrong.
  public var stallTimeout = 300.0
  public var checkpointFailures = 3
  public var onNonFinite = NonFiniteMode.stop
  public var maximumSkippedSteps = 10
  public var verificationInterval = 500

  public init() {}

  /// How `data` is read.
  func loadingOptions() throws(Failure) -> LoadingOptions {
    LoadingOptions(
      format: try dataFormat.map { name throws(Failure) in try DataFormat.named(name, origin: "data_format") },
      columns: try ColumnChoice(dataColumns ?? "", origin: "data_columns"),
      timePattern: try dataTimeFormat.map { text throws(Failure) in try TimePattern(text, origin: "data_time_format") })
  }

  /// Positions that an instance may have masked, `auto` resolved.
  public var resolvedMaximumPredictions: Int {
    maximumPredictions ?? Int((Double(maximumSequenceLength) * maskedProbability).rounded(.up))
  }

  /// Items between two windows of a long sequence: int(prop_sliding_window * L), or L for -1.
  public var slidingStep: Int {
    slidingWindow == -1 ? maximumSequenceLength : Int(slidingWindow * Double(maximumSequenceLength))
  }

  public var resolvedEvaluationInterval: Int { evaluationInterval ?? checkpointInterval }

  public var maskingConfiguration: MaskingConfiguration {
    MaskingConfiguration(
      maskedProbability: maskedProbability, maximumPredictions: resolvedMaximumPredictions,
      maskProbability: maskProbability, duplicationFactor: duplicationFactor, isDynamic: masking == .dynamic)
  }

  public func modelConfiguration(vocabularySize: Int) -> ModelConfiguration {
    ModelConfiguration(
      vocabularySize: vocabularySize, hiddenSize: hiddenSize, layerCount: layerCount, headCount: headCount,
      intermediateSize: intermediateSize, maximumSequenceLength: maximumSequenceLength, hiddenDropout: hiddenDropout,
      attentionDropout: attentionDropout, activation: activation, initializerRange: initializerRange)
  }

  /// Relations between keys that no single key can check.
  public func validate() throws(Failure) {
    if hiddenSize % headCount != 0 {
      throw Failure(
        .usage,
        "hidden_size \(hiddenSize) is not a multiple of num_attention_heads \(headCount): each head takes an equal part of "
          + "the hidden vector. Change one of the two.")
    }
    if slidingStep < 1 {
      throw Failure(
        .usage,
        "prop_sliding_window \(slidingWindow) of max_seq_length \(maximumSequenceLength) gives windows that do not move: "
          + "use at least \(1 / Double(maximumSequenceLength)), or -1 for windows side by side.")
    }
    if gradientShards > batchSize {
      throw Failure(
        .usage,
        "gradient_shards \(gradientShards) is more than batch_size \(batchSize): a shard would have no instance. "
          + "Lower gradient_shards or raise batch_size.")
    }
    if patience > 0 && holdout != .testAndValidation {
      throw Failure(
        .usage,
        "patience \(patience) needs validations, and holdout is \(holdout.rawValue): use holdout test+validation, or patience 0.")
    }
    if initialMoments == .kept && initialCheckpoint == nil {
      throw Failure(
        .usage,
        "--keep-moments (init_moments kept) needs --init-checkpoint (init_checkpoint): without it there are no moments to keep.")
    }
    _ = try loadingOptions()
    let known = EvaluationProtocol.allCases.flatMap { kind in Metrics.names.map { kind.key($0) } }
    if known.contains(monitor) && !validationProtocols.contains(where: { monitor.hasSuffix("[\($0.rawValue)]") }) {
      throw Failure(
        .usage,
        "monitor \(monitor) is of a protocol that validations leave out: validation_protocols is "
          + "\(validationProtocols.map(\.rawValue).joined(separator: ",")). Change one of the two.")
    }
    if !known.contains(monitor) {
      // Most people mean the ranking among all items.
      let meant = EvaluationProtocol.full.key(monitor.lowercased())
      throw Failure(
        .usage,
        "monitor \"\(monitor)\" is not a metric of the evaluation; \(known.contains(meant) ? "do you mean \"\(meant)\"? " : "")"
          + "known are \(known.joined(separator: ", ")).")
    }
  }
}
