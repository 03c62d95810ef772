import BERT4RecModel
import SystemSupport

/// Looks at the numbers of a run for what usually means that something is wrong with it, and says so, each thing once.
///
/// A loss that is not the full one cannot be held against what popularity gives: the estimate of `sampled` lies below the full loss, the
/// more so the fewer its negatives, and those of `gbce` and `sce` have scales of their own. What a rise of half a nat means is known for
/// the first two alone.
package final class LossWatch: TrainingHook {
  /// Steps after the warm-up in which the loss is to fall below what popularity gives, at the least. Adam moves a weight by about the
  /// rate in a step, so where the rate is low it takes longer: until the rates add up to 1.
  package static let patience = 1_000
  /// Nats that the smoothed loss may rise above its lowest.
  package static let rise = 0.5
  /// Steps that the smoothed loss needs to be one.
  private static let window = 100

  /// The loss of a model that knows how often each item occurs, and nothing else: the entropy of the counts.
  private let popularity: Double
  private let judgedFrom: Double
  private let loss: LossKind
  private let warn: (String) -> Void
  private var seen = 0
  private var smoothed = 0.0
  private var lowest = (loss: Double.infinity, step: 0)
  private var said: Set<Concern> = []

  private enum Concern { case popularity, vanishing, rising }

  package init(itemCounts: [Int64], schedule: LearningRateSchedule, loss: LossKind = .full, warn: @escaping (String) -> Void) {
    let total = Double(itemCounts.reduce(0, +))
    popularity = itemCounts.reduce(0) { sum, count in
      count > 0 ? sum - Double(count) / total * PortableMath.log(Double(count) / total) : sum
    }
    judgedFrom = Double(schedule.warmupSteps) + max(Double(Self.patience), 1 / schedule.peak)
    self.loss = loss
    self.warn = warn
  }

  package func afterStep(_ result: StepResult, step: Int) -> TrainingAnswer {
    if result.gradientNorm == 0 {
      say(
        .vanishing,
        "the gradient norm is 0 at step \(step): nothing can be learnt from here. Check learning_rate, initializer_range and the data.")
    }
    smoothed = seen == 0 ? result.loss : 0.95 * smoothed + 0.05 * result.loss
    seen += 1
    if smoothed < lowest.loss { lowest = (smoothed, step) }
    if loss == .full || loss == .sampled, smoothed > lowest.loss + Self.rise {
      say(
        .rising,
        "the loss has risen from \(DecimalText.rounded(lowest.loss, 3)) at step \(lowest.step) to \(DecimalText.rounded(smoothed, 3)) at step \(step) (smoothed): "
          + "learning_rate \(result.learningRate) is probably too high.")
    }
    if loss == .full && seen >= Self.window && Double(step) >= judgedFrom && smoothed > 0.99 * popularity {
      say(
        .popularity,
        "at step \(step) the model knows nothing but how often items occur, which alone gives a loss of \(DecimalText.rounded(popularity, 3)): its "
          + "own is \(DecimalText.rounded(smoothed, 3)) (smoothed). If that stays so, start a new run with a lower learning_rate (it is "
          + "\(DecimalText.rounded(result.learningRate, 6)) now) or more num_warmup_steps.")
    }
    return .proceed
  }

  private func say(_ concern: Concern, _ text: String) {
    if said.insert(concern).inserted { warn("warning: \(text)") }
  }
}
