import Communication
import Evaluation
import InteractionData

extension MemoryPlan {
  /// For training or measuring with these settings.
  init(_ use: Use, _ setup: RunSetup, _ communicator: any Communicator) {
    self.init(use: use, model: setup.modelConfiguration, backend: setup.configuration.backend)
    threads = setup.threads
    gradientShards = setup.configuration.gradientShards
    reduction = setup.configuration.reduction
    loss = setup.configuration.loss
    table = setup.configuration.table
    defersUpdates = setup.configuration.tableAdam == .exact && setup.configuration.loss.readsFewRows
    batchSize = setup.configuration.batchSize
    rank = communicator.rank
    ranks = communicator.size
    longestInstance = setup.instances.longest
    longestQuery = setup.longestQuery
  }

  /// What a training run takes.
  static func training(_ setup: RunSetup, _ communicator: any Communicator) -> MemoryPlan {
    let configuration = setup.configuration
    let users = setup.dataset.sequences.userCount
    var drawnUsers = users * EvaluationProtocol.sampledCount(EvaluationProtocol.allCases)
    if configuration.holdout == .testAndValidation {
      drawnUsers +=
        min(users, configuration.validationUsers ?? users)
        * EvaluationProtocol.sampledCount(configuration.validationProtocols)
    }
    return MemoryPlan(.training(drawnUsers: drawnUsers), setup, communicator)
  }
}
