import SystemSupport

/// The original's `masked_lm_loss` and `masked_lm_accuracy`: means over users of the held-out item's cross entropy
/// over the whole vocabulary, and of whether it scores highest there.
package final class MaskedItemHook: EvaluationHook {
  private var lossSum = 0.0
  private var topCount = 0
  private var userCount = 0

  package init() {}

  package func begin(_ context: EvaluationContext) {
    lossSum = 0
    topCount = 0
    userCount = 0
  }

  package func afterRun(_ block: EvaluationBlock, _ results: [UserResult]) {
    for result in results {
      lossSum += result.maskedItemLoss
      topCount += result.isTopPrediction ? 1 : 0
      userCount += 1
    }
  }

  package var metrics: [(key: String, value: Double)] {
    let users = Double(max(1, userCount))
    return [("masked_lm_loss", lossSum / users), ("masked_lm_accuracy", Double(topCount) / users)]
  }
}
