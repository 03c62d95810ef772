import BERT4RecModel
import SystemSupport

/// Looks at the numbers of a run for what usually means that something is wrong with it, and says so, each thing once. Every rank
/// sees the same numbers; rank 0 prints.
package struct LossWatch {
  /// Steps above the loss of guessing, after the warm-up, before that is said.
  package static let patience = 200
  /// Nats that the smoothed loss may rise above its lowest.
  package static let rise = 0.5

  private let guessing: Double
  private let warmupSteps: Int
  private let warn: (String) -> Void
  private var stepsAbove = 0
  private var smoothed: Double?
  private var lowest = (loss: Double.infinity, step: 0)
  private var said: Set<Concern> = []

  private enum Concern { case guessing, vanishing, rising }

  package init(vocabularySize: Int, warmupSteps: Int, warn: @escaping (String) -> Void) {
    guessing = PortableMath.log(Double(vocabularySize))
    self.warmupSteps = warmupSteps
    self.warn = warn
  }

  /// `step`: updates done, this one included.
  package mutating func see(_ result: StepResult, step: Int) {
    if result.gradientNorm == 0 {
      say(
        .vanishing,
        "the gradient norm is 0 at step \(step): nothing can be learnt from here. Check learning_rate, initializer_range and the data.")
    }
    stepsAbove = step > warmupSteps && result.loss > guessing ? stepsAbove + 1 : 0
    if stepsAbove >= Self.patience {
      say(
        .guessing,
        "the loss has been above \(rounded(guessing, 2)), which is ln(vocabulary) and what guessing gives, for \(stepsAbove) steps up "
          + "to step \(step). A lower learning_rate (it is \(result.learningRate) now) or more num_warmup_steps may help.")
    }
    let mean = smoothed.map { 0.95 * $0 + 0.05 * result.loss } ?? result.loss
    smoothed = mean
    if mean < lowest.loss { lowest = (mean, step) }
    if mean > lowest.loss + Self.rise {
      say(
        .rising,
        "the loss has risen from \(rounded(lowest.loss, 3)) at step \(lowest.step) to \(rounded(mean, 3)) at step \(step) (smoothed): "
          + "learning_rate \(result.learningRate) is probably too high.")
    }
  }

  private mutating func say(_ concern: Concern, _ text: String) {
    if said.insert(concern).inserted { warn("warning: \(text)") }
  }
}
