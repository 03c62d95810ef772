import SystemSupport

/// Whether a run ends before its last step.
extension RunDisk {
  /// Why the run ends before its last step, if it does: at the present step, whose validation is done.
  var earlyEnd: String? {
    if isOutOfTime {
      return "\(DecimalText.rounded(time.seconds / 60, 1)) minutes of training are over (max_minutes)"
    }
    guard configuration.patience > 0 && configuration.holdout == .testAndValidation else { return nil }
    // Validations are at multiples of the interval: how many have passed since the best one follows from its step alone.
    let interval = configuration.resolvedEvaluationInterval
    let since = state.step / interval - (best?.step ?? 0) / interval
    return since >= configuration.patience ? "\(since) validations in a row without a better \(configuration.monitor) (patience)" : nil
  }

  /// On rank 0; false elsewhere, since nothing is open there.
  var isOutOfTime: Bool {
    configuration.maximumMinutes > 0 && isOpen && time.seconds >= configuration.maximumMinutes * 60
  }

  /// Until `max_minutes` are over; on rank 0.
  var secondsLeft: Double { configuration.maximumMinutes > 0 ? configuration.maximumMinutes * 60 - time.seconds : .infinity }
}
