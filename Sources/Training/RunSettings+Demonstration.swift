extension RunSettings {
  /// Small and quick, for the built-in data set.
  public static var demonstration: RunSettings {
    var settings = RunSettings()
    settings.data = DemonstrationData.path
    settings.maximumSequenceLength = 32
    settings.maskedProbability = 0.3
    settings.hiddenSize = 32
    settings.intermediateSize = 64
    settings.hiddenDropout = 0.1
    settings.attentionDropout = 0.1
    // Without bias correction Adam's first updates are up to six times the rate; far above this, or with a shorter warm-up, they
    // throw the model back to the items' frequencies, and rounding decides whether it comes out again.
    settings.learningRate = 2e-3
    settings.trainingSteps = 1500
    settings.warmupSteps = 100
    settings.batchSize = 64
    settings.checkpointInterval = 500
    settings.reportInterval = 150
    return settings
  }
}
