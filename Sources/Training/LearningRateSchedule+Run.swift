import SystemSupport

extension LearningRateSchedule {
  init(_ configuration: RunConfiguration) {
    self.init(
      configuration.schedule, peak: configuration.learningRate, warmupSteps: configuration.warmupSteps,
      totalSteps: configuration.trainingSteps)
  }

  /// For the end of a message, where a key was another: what that makes of the rate after `step` updates; empty where it stays.
  func change(of key: ConfigurationKey, from recorded: String, at step: Int) -> String {
    guard key.name == "num_train_steps", let steps = Int(recorded) else { return "" }
    let old = LearningRateSchedule(shape, peak: peak, warmupSteps: warmupSteps, totalSteps: steps)
    let (before, after) = (DecimalText.rounded(old.rate(step: step), 7), DecimalText.rounded(rate(step: step), 7))
    return before == after ? "" : ", which takes the learning rate after step \(step) from \(before) to \(after)"
  }
}
