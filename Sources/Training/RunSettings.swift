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

/// What Adam does in a step to rows of the table that have no gradient in it.
public enum TableAdam: String, Sendable, CaseIterable {
  /// What it does to all numbers: moments fade, and weights move by them and decay.
  case exact
  /// Nothing, as PyTorch's SparseAdam and TensorFlow's LazyAdam.
  case lazy
}

/// Where the table of the items is.
public enum TablePlacement: String, Sendable, CaseIterable {
  /// The whole of it on each rank.
  case replicated
  /// Each rank has a part of the rows, with their moments.
  case sharded
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
  /// Which columns are user, item, time, ...: the text of a `ColumnChoice` (`data_columns`).
  public var dataColumns: String?
  /// How times are written: the text of a `TimePattern` (`data_time_format`).
  public var dataTimeFormat: String?
  /// Whether any number of rows that cannot be read may be left out.
  public var skipsBadRows = false
  /// What is left out of `data` on purpose.
  public var filters = InteractionFilters()
  /// Nanoseconds since 1970: a split by time, in place of each user's last item; what comes at this time or later is tested on.
  public var splitTime: Int64?
  /// The original's TFRecord files of masked instances, patterns with commas between; nil: made from `data`.
  public var recordedInstances: String?
  /// L: tokens of the longest instance (`max_seq_length`).
  public var maximumSequenceLength = RunSettings.model.maximumSequenceLength
  /// Fraction of a window's items that is masked (`masked_lm_prob`).
  public var maskedProbability = RunSettings.masks.maskedProbability
  /// nil: L * masked_lm_prob, rounded up.
  public var maximumPredictions: Int?
  /// Probability that a chosen item becomes `[MASK]` (`mask_prob`).
  public var maskProbability = RunSettings.masks.maskProbability
  /// Instances per window and epoch, besides the one whose last item alone is masked (`dupe_factor`).
  public var duplicationFactor = RunSettings.masks.duplicationFactor
  /// Fraction of L between two windows of a long history; -1: all of it (`prop_sliding_window`).
  public var slidingWindow = 0.5
  /// Whether masks are drawn again each epoch (`masking`).
  public var masking = RunSettings.masks.isDynamic ? MaskingMode.dynamic : .static
  /// Items at the end of each history that are not trained on (`holdout`).
  public var holdout = Holdout.testAndValidation

  // Model.
  /// Rows of the embedding table that the data must have; nil: as many as they have.
  public var vocabularySize: Int?
  /// H: numbers of an item's embedding and of each layer's output (`hidden_size`).
  public var hiddenSize = RunSettings.model.hiddenSize
  /// Transformer layers (`num_hidden_layers`).
  public var layerCount = RunSettings.model.layerCount
  /// Attention heads per layer; divides H (`num_attention_heads`).
  public var headCount = RunSettings.model.headCount
  /// Width of the feed-forward blocks (`intermediate_size`).
  public var intermediateSize = RunSettings.model.intermediateSize
  /// Of the feed-forward blocks and the prediction head (`hidden_act`).
  public var activation = RunSettings.model.activation
  /// Probability that an output of embeddings or a dense layer is dropped (`hidden_dropout_prob`).
  public var hiddenDropout = RunSettings.model.hiddenDropout
  /// Probability that an attention weight is dropped (`attention_probs_dropout_prob`).
  public var attentionDropout = RunSettings.model.attentionDropout
  /// Standard deviation of the truncated normal that parameters start from (`initializer_range`).
  public var initializerRange = RunSettings.model.initializerRange

  // Loss.
  /// What training minimises (`loss` and what shapes it).
  public var loss = LossConfiguration()
  /// What Adam does to rows of the table that a step does not touch (`table_adam`).
  public var tableAdam = TableAdam.exact
  /// Whether each rank has the whole table (`table`); it shapes no bits.
  public var table = TablePlacement.replicated

  // Optimiser.
  /// The highest rate of the schedule (`learning_rate`).
  public var learningRate = 1e-3
  /// How the rate falls after the warm-up (`schedule`).
  public var schedule = LearningRateSchedule.Shape.linear
  /// Updates of the whole run (`num_train_steps`).
  public var trainingSteps = 20_000
  /// nil: `trainingSteps` counts.
  public var trainingEpochs: Double?
  /// Minutes of training after which a run ends before its last step; 0: no limit.
  public var maximumMinutes = 0.0
  /// Validations in a row without a better one after which a run ends before its last step; 0: no limit.
  public var patience = 0
  /// Updates over which the rate rises (`num_warmup_steps`).
  public var warmupSteps = 100
  /// Instances per update, over all ranks (`batch_size`).
  public var batchSize = 256
  /// Parts whose gradients are summed in a fixed tree: as many cores can work (`gradient_shards`).
  public var gradientShards = 16
  /// How gradients are summed over ranks (`reduction`).
  public var reduction = ReductionMode.exact
  /// What multiplies matrices (`backend`).
  public var backend = BackendChoice.auto
  /// Key of everything random (`seed`).
  public var seed: UInt64 = 12345

  // Beginning.
  /// The model that a new run begins from: a checkpoint, a run folder or a Hugging Face folder; nil: random parameters.
  public var initialCheckpoint: String?
  /// Adam's moments where a run begins from another model (`init_moments`).
  public var initialMoments = InitialMoments.zero

  // Run.
  /// Updates between two checkpoints (`save_checkpoints_steps`).
  public var checkpointInterval = 1000
  /// How many of the newest checkpoints stay, besides the best (`keep_checkpoints`).
  public var keepCheckpoints = 5
  /// nil: as often as checkpoints.
  public var evaluationInterval: Int?
  /// nil: all users.
  public var validationUsers: Int?
  /// What a validation measures (`validation_protocols`).
  public var validationProtocols = EvaluationProtocol.allCases
  /// The metric that decides which checkpoint is best (`monitor`).
  public var monitor = "ndcg@10[full]"
  /// Updates between two lines of metrics.jsonl (`report_steps`).
  public var reportInterval = 10
  /// Whether reports and evaluations are written for TensorBoard, too.
  public var writesTensorBoard = false
  /// nil: the cores that the rank may use, shared with the ranks on the same ones.
  public var threads: Int?

  // When things go wrong.
  /// Seconds without progress on any rank after which a run is ended (`stall_timeout`).
  public var stallTimeout = 300.0
  /// Checkpoints in a row that the disk may refuse before the run ends (`checkpoint_failures`).
  public var checkpointFailures = 3
  /// What to do when numbers are not finite (`on_nonfinite`).
  public var onNonFinite = NonFiniteMode.stop
  /// Steps that one run may skip so (`max_skipped_steps`).
  public var maximumSkippedSteps = 10
  /// Updates between two additional comparisons of the replicas (`verify_every`).
  public var verificationInterval = 500

  /// All at the program's defaults.
  public init() {}

  /// How `data` is read.
  func loadingOptions() throws(ProgramFailure) -> LoadingOptions {
    LoadingOptions(
      skipBadRows: skipsBadRows,
      format: try dataFormat.map { name throws(ProgramFailure) in try DataFormat.named(name, origin: "data_format") },
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

  /// Updates between two validations.
  public var resolvedEvaluationInterval: Int { evaluationInterval ?? checkpointInterval }

  package var maskingConfiguration: MaskingConfiguration {
    MaskingConfiguration(
      maskedProbability: maskedProbability, maximumPredictions: resolvedMaximumPredictions,
      maskProbability: maskProbability, duplicationFactor: duplicationFactor, isDynamic: masking == .dynamic)
  }
}
