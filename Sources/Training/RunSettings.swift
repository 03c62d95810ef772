import BERT4RecModel
import Evaluation
import GradientSum
import InteractionData
import Masking
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

/// Everything that a training run may be told, besides the data: a draft, which may say what cannot work. `RunConfiguration` is made of
/// it, and checks it. Keys, ranges and meanings: `ConfigurationKey.all`, which is also the one place that reads, writes and explains them.
public struct RunSettings: Sendable, Equatable {
  // Where other types have defaults, these are them.
  private static let model = ModelConfiguration(vocabularySize: 0)
  private static let masks = MaskingConfiguration()

  // Data and masked instances.
  /// A path, or several, a line each.
  public var data: String?
  /// What `data` is, where its contents should not decide: a `DataFormat`'s name, a `ColumnChoice`'s and a `TimePattern`'s text.
  public var dataFormat: String?
  public var dataColumns: String?
  public var dataTimeFormat: String?
  /// Whether any number of rows that cannot be read may be left out.
  public var skipsBadRows = false
  /// What is left out of `data` on purpose.
  public var filters = InteractionFilters()
  /// Nanoseconds since 1970: a split by time, in place of each user's last item; what comes at this time or later is tested on.
  public var splitTime: Int64?
  public var maximumSequenceLength = RunSettings.model.maximumSequenceLength
  public var maskedProbability = RunSettings.masks.maskedProbability
  /// nil: L * masked_lm_prob, rounded up.
  public var maximumPredictions: Int?
  public var maskProbability = RunSettings.masks.maskProbability
  public var duplicationFactor = RunSettings.masks.duplicationFactor
  public var slidingWindow = 0.5
  public var masking = RunSettings.masks.isDynamic ? MaskingMode.dynamic : .static
  public var holdout = Holdout.testAndValidation

  // Model.
  public var hiddenSize = RunSettings.model.hiddenSize
  public var layerCount = RunSettings.model.layerCount
  public var headCount = RunSettings.model.headCount
  public var intermediateSize = RunSettings.model.intermediateSize
  public var activation = RunSettings.model.activation
  public var hiddenDropout = RunSettings.model.hiddenDropout
  public var attentionDropout = RunSettings.model.attentionDropout
  public var initializerRange = RunSettings.model.initializerRange

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
  func loadingOptions() throws(ProgramFailure) -> LoadingOptions {
    LoadingOptions(
      skipBadRows: skipsBadRows, format: try dataFormat.map { name throws(ProgramFailure) in try DataFormat.named(name, origin: "data_format") },
      columns: try ColumnChoice(dataColumns ?? "", origin: "data_columns"),
      timePattern: try dataTimeFormat.map { text throws(ProgramFailure) in try TimePattern(text, origin: "data_time_format") },
      filters: filters, splitTime: splitTime)
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

  package var maskingConfiguration: MaskingConfiguration {
    MaskingConfiguration(
      maskedProbability: maskedProbability, maximumPredictions: resolvedMaximumPredictions,
      maskProbability: maskProbability, duplicationFactor: duplicationFactor, isDynamic: masking == .dynamic)
  }
}
