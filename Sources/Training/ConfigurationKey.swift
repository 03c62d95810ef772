import BERT4RecModel
import Evaluation
import InteractionData
import SystemSupport

/// One key of a configuration: how it is read, written, checked and explained.
package struct ConfigurationKey: Sendable {
  package let name: String
  package let help: String
  /// Whether a run that is resumed may have another value than the one that it began with.
  package let mayChangeOnResume: Bool
  let read: @Sendable (RunSettings) -> String
  /// Returns what is expected when the text is not it.
  let write: @Sendable (inout RunSettings, String) -> String?

  package static func named(_ name: String) -> ConfigurationKey? { all.first { $0.name == name } }

  /// The known key that is most like a misspelt one, where one is; for the end of an error.
  static func suggestion(for name: String) -> String {
    if let meant = ForeignKeys.meaning(of: name) { return "; \(meant)" }
    let distances = all.map { ($0.name, editDistance($0.name, name)) }
    guard let nearest = distances.min(by: { $0.1 < $1.1 }), nearest.1 <= max(2, name.count / 2) else {
      return "; `bert4rec-dist train --help` lists all keys"
    }
    return "; the nearest known one is \"\(nearest.0)\""
  }

  package static let all = ofTheData + ofTheFilters + ofTheModel + ofTheLoss + ofTheRun

  /// What is read, and how.
  static let ofTheData: [ConfigurationKey] = [
    text(
      "data", \.data,
      "data set: a prepared folder, or any file (or pattern of files) that `prepare` reads; --data overrides", mayChange: true),

    text("data_format", \.dataFormat, "layout of the data, where it should not be recognised; see prepare --help", mayChange: true),
    text(
      "data_columns", \.dataColumns, "which column is what, such as user=customer,item=3,time=none; see prepare --help",
      mayChange: true),
    text("data_time_format", \.dataTimeFormat, "how times are written, in strptime's letters", mayChange: true),
  ]

  private static let ofTheModel: [ConfigurationKey] = [
    text(
      "tfrecord", \.recordedInstances,
      "the original's TFRecord files of masked instances, as patterns with commas between, in place of windows and masks made from data; "
        + "items.tsv stands beside them; --tfrecord overrides", mayChange: false),
    integer("max_seq_length", \.maximumSequenceLength, 2...65_536, "longest sequence in tokens (L)"),
    real("masked_lm_prob", \.maskedProbability, 1e-9...1, "fraction of a window's items to mask and predict"),
    optionalInteger(
      "max_predictions_per_seq", \.maximumPredictions, 1...65_536,
      "maximum masked positions per instance; auto: L * masked_lm_prob, rounded up"),
    real(
      "mask_prob", \.maskProbability, 0...1,
      "fraction of the chosen items replaced by [MASK]; of the rest, half keep their item and half get a random one"),
    integer(
      "dupe_factor", \.duplicationFactor, 0...1_000_000,
      "masked copies of each window per epoch; one more copy masks only the last item"),
    real(
      "prop_sliding_window", \.slidingWindow, -1...1, "stride between windows of a long sequence, as a fraction of L; -1: no overlap"),
    choice("masking", \.masking, "dynamic: fresh masks each epoch; static: the same ones, as the original"),
    choice(
      "holdout", \.holdout,
      "items of each user that training does not see; test: the last one; test+validation: the one before it too, and the "
        + "model is validated on it; none: train on all, for production; with split_time, test is what lies behind the split and "
        + "validation the last item before it"),

    optionalInteger(
      "vocab_size", \.vocabularySize, 5...2_147_483_647,
      "items + 4, as the data must have it: others are refused; auto: as many as they have", mayChange: true),
    integer("hidden_size", \.hiddenSize, 1...65_536, "width of the model (H)"),
    integer("num_hidden_layers", \.layerCount, 1...1_000, "encoder layers"),
    integer("num_attention_heads", \.headCount, 1...65_536, "attention heads; divides hidden_size"),
    integer("intermediate_size", \.intermediateSize, 1...1_048_576, "width of the feed-forward blocks"),
    choice("hidden_act", \.activation, "activation: gelu (exact, by erf), relu, tanh or linear"),
    real("hidden_dropout_prob", \.hiddenDropout, 0...0.99, "dropout of embeddings and block outputs"),
    real("attention_probs_dropout_prob", \.attentionDropout, 0...0.99, "dropout of attention probabilities"),
    real(
      "initializer_range", \.initializerRange, 0...10,
      "standard deviation of the truncated normal that weights start from"),
  ]

  private static let ofTheRun: [ConfigurationKey] = [
    real("learning_rate", \.learningRate, 0...10, "peak learning rate"),
    choice(
      "schedule", \.schedule,
      "learning rate after the warm-up; linear: falls to 0 at num_train_steps, as the original's; cosine: the same along half "
        + "a cosine; constant: stays"),
    integer(
      "num_train_steps", \.trainingSteps, 1...1_000_000_000, "optimiser steps",
      mayChange: true),
    optionalReal(
      "num_train_epochs", \.trainingEpochs, 1e-6...1e9,
      "passes over all instances instead of num_train_steps; auto: num_train_steps counts", mayChange: true),
    real(
      "max_minutes", \.maximumMinutes, 0...1e7,
      "minutes of training, over all starts of the run, after which it ends as at its last step; the schedule still counts "
        + "num_train_steps; 0: no limit", mayChange: true),
    integer(
      "patience", \.patience, 0...1_000_000,
      "validations in a row without a better monitor after which the run ends; 0: no limit", mayChange: true),
    integer("num_warmup_steps", \.warmupSteps, 0...1_000_000_000, "steps over which the learning rate rises from 0"),
    integer("batch_size", \.batchSize, 1...1_048_576, "instances per step, over all ranks"),
    integer(
      "gradient_shards", \.gradientShards, 1...65_536,
      "parts that a step's batch is split into for summation, and so the maximum of ranks * threads that can work; results depend on this value, not on the number of ranks"
    ),
    choice(
      "backend", \.backend,
      "what multiplies matrices; native: our own code, the same bits on every processor with FMA; openblas: its "
        + "library, the same bits on one type of processor; auto: native where there is FMA"),
    choice(
      "reduction", \.reduction, "exact: the same bits on any number of ranks; fast: MPI_Allreduce in its own order"),
    seed("seed", \.seed, "seeds every random draw"),

    ConfigurationKey(
      name: "init_checkpoint",
      help: "the model whose parameters a new run begins with: a checkpoint, a run folder, a Hugging Face folder with items.tsv or the "
        + "prefix of a TensorFlow checkpoint; none: random ones; --init-checkpoint overrides",
      mayChangeOnResume: false, read: { $0.initialCheckpoint ?? "none" }
    ) {
      // An empty one is a variable that was not set; to begin with random parameters instead would be a guess.
      if $1.isEmpty { return "a folder, or none" }
      $0.initialCheckpoint = $1 == "none" ? nil : $1
      return nil
    },
    choice(
      "init_moments", \.initialMoments, "Adam's moments at the beginning from init_checkpoint; zero, or kept: those of the rows it knows"),

    integer(
      "save_checkpoints_steps", \.checkpointInterval, 1...1_000_000_000, "steps between checkpoints", mayChange: true),
    integer(
      "keep_checkpoints", \.keepCheckpoints, 1...1_000_000, "newest checkpoints kept, besides the best", mayChange: true
    ),
    optionalInteger(
      "eval_every", \.evaluationInterval, 1...1_000_000_000, "steps between validations; auto: save_checkpoints_steps",
      mayChange: true),
    optionalInteger(
      "validation_users", \.validationUsers, 1...1_000_000_000,
      "number of users that validations rank, drawn by the seed, the same each time; auto: all"),
    protocols(
      "validation_protocols", \.validationProtocols,
      "protocols of validations, with commas between: full, pop100, uniform100; the test always has all"),
    string("monitor", \.monitor, "validation metric that chooses the best checkpoint"),
    integer("report_steps", \.reportInterval, 1...1_000_000_000, "steps between reports", mayChange: true),
    flag(
      "tensorboard", \.writesTensorBoard,
      "true: reports and evaluations go into tensorboard/ of the run folder, too; --tensorboard sets it", mayChange: true),
    optionalInteger(
      "threads", \.threads, 1...1_024, "threads per rank; auto: the available cores, divided among the ranks of the host",
      mayChange: true),

    real(
      "stall_timeout", \.stallTimeout, 1...1e6,
      "seconds without progress on any rank after which the run is aborted and the stalled rank named", mayChange: true),
    integer(
      "checkpoint_failures", \.checkpointFailures, 1...1_000_000,
      "consecutive failed checkpoint writes after which the run stops with 74", mayChange: true),
    choice(
      "on_nonfinite", \.onNonFinite, "a loss or gradient that is not finite: stop with 70, or skip the step",
      mayChange: true),
    integer(
      "max_skipped_steps", \.maximumSkippedSteps, 0...1_000_000, "maximum number of steps that one run may skip this way",
      mayChange: true),
    integer(
      "verify_every", \.verificationInterval, 1...1_000_000_000,
      "steps between additional comparisons of the ranks' replicas; each update and each checkpoint compares them anyway", mayChange: true),
  ]

  static func integer(
    _ name: String, _ path: WritableKeyPath<RunSettings, Int> & Sendable, _ range: ClosedRange<Int>,
    _ help: String, mayChange: Bool = false
  ) -> ConfigurationKey { number("a whole number", name, path, range, help, mayChange) }

  static func optionalInteger(
    _ name: String, _ path: WritableKeyPath<RunSettings, Int?> & Sendable, _ range: ClosedRange<Int>,
    _ help: String, mayChange: Bool = false
  ) -> ConfigurationKey { optionalNumber("a whole number", name, path, range, help, mayChange) }

  static func real(
    _ name: String, _ path: WritableKeyPath<RunSettings, Double> & Sendable, _ range: ClosedRange<Double>,
    _ help: String, mayChange: Bool = false
  ) -> ConfigurationKey { number("a number", name, path, range, help, mayChange) }

  private static func optionalReal(
    _ name: String, _ path: WritableKeyPath<RunSettings, Double?> & Sendable, _ range: ClosedRange<Double>,
    _ help: String, mayChange: Bool
  ) -> ConfigurationKey { optionalNumber("a number", name, path, range, help, mayChange) }

  private static func number<T: LosslessStringConvertible & Comparable & Sendable>(
    _ kind: String, _ name: String, _ path: WritableKeyPath<RunSettings, T> & Sendable, _ range: ClosedRange<T>,
    _ help: String, _ mayChange: Bool
  ) -> ConfigurationKey {
    ConfigurationKey(name: name, help: help, mayChangeOnResume: mayChange, read: { "\($0[keyPath: path])" }) {
      guard let value = T($1), range.contains(value) else {
        return "\(kind) from \(range.lowerBound) to \(range.upperBound)"
      }
      $0[keyPath: path] = value
      return nil
    }
  }

  private static func optionalNumber<T: LosslessStringConvertible & Comparable & Sendable>(
    _ kind: String, _ name: String, _ path: WritableKeyPath<RunSettings, T?> & Sendable, _ range: ClosedRange<T>,
    _ help: String, _ mayChange: Bool
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, help: help, mayChangeOnResume: mayChange, read: { $0[keyPath: path].map { "\($0)" } ?? "auto" }
    ) {
      if $1 == "auto" {
        $0[keyPath: path] = nil
        return nil
      }
      guard let value = T($1), range.contains(value) else {
        return "auto or \(kind) from \(range.lowerBound) to \(range.upperBound)"
      }
      $0[keyPath: path] = value
      return nil
    }
  }

  static func choice<T: RawRepresentable<String> & CaseIterable & Sendable>(
    _ name: String, _ path: WritableKeyPath<RunSettings, T> & Sendable, _ help: String, mayChange: Bool = false
  ) -> ConfigurationKey {
    ConfigurationKey(name: name, help: help, mayChangeOnResume: mayChange, read: { $0[keyPath: path].rawValue }) {
      guard let value = T(rawValue: $1) else {
        return "one of " + T.allCases.map(\.rawValue).joined(separator: ", ")
      }
      $0[keyPath: path] = value
      return nil
    }
  }

  private static func protocols(
    _ name: String, _ path: WritableKeyPath<RunSettings, [EvaluationProtocol]> & Sendable, _ help: String
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, help: help, mayChangeOnResume: false,
      read: { $0[keyPath: path].map(\.rawValue).joined(separator: ",") }
    ) {
      // In their own order, so that one set of protocols has one text.
      let wanted = $1.split(separator: ",").map { $0.filter { $0 != " " } }
      let known = EvaluationProtocol.allCases.filter { wanted.contains($0.rawValue) }
      if known.isEmpty || known.count != wanted.count {
        return "some of \(EvaluationProtocol.allCases.map(\.rawValue).joined(separator: ", ")), each once, with commas between"
      }
      $0[keyPath: path] = known
      return nil
    }
  }

  private static func string(
    _ name: String, _ path: WritableKeyPath<RunSettings, String> & Sendable, _ help: String
  ) -> ConfigurationKey {
    ConfigurationKey(name: name, help: help, mayChangeOnResume: false, read: { $0[keyPath: path] }) {
      $0[keyPath: path] = $1
      return nil
    }
  }

  private static func text(
    _ name: String, _ path: WritableKeyPath<RunSettings, String?> & Sendable, _ help: String, mayChange: Bool
  ) -> ConfigurationKey {
    ConfigurationKey(name: name, help: help, mayChangeOnResume: mayChange, read: { $0[keyPath: path] ?? "" }) {
      $0[keyPath: path] = $1.isEmpty ? nil : $1
      return nil
    }
  }

  private static func flag(
    _ name: String, _ path: WritableKeyPath<RunSettings, Bool> & Sendable, _ help: String, mayChange: Bool
  ) -> ConfigurationKey {
    ConfigurationKey(name: name, help: help, mayChangeOnResume: mayChange, read: { "\($0[keyPath: path])" }) {
      guard let value = Bool($1) else { return "true or false" }
      $0[keyPath: path] = value
      return nil
    }
  }

  private static func seed(
    _ name: String, _ path: WritableKeyPath<RunSettings, UInt64> & Sendable, _ help: String
  ) -> ConfigurationKey {
    ConfigurationKey(name: name, help: help, mayChangeOnResume: false, read: { "\($0[keyPath: path])" }) {
      guard let value = UInt64($1) else { return "a whole number from 0 to 2^64 - 1" }
      $0[keyPath: path] = value
      return nil
    }
  }
}

/// Levenshtein's distance in characters.
func editDistance(_ a: String, _ b: String) -> Int {
  let (a, b) = (Array(a), Array(b))
  var previous = Array(0...b.count)
  for (i, x) in a.enumerated() {
    var current = [i + 1]
    for (j, y) in b.enumerated() {
      current.append(min(previous[j] + (x == y ? 0 : 1), previous[j + 1] + 1, current[j] + 1))
    }
    previous = current
  }
  return previous[b.count]
}
