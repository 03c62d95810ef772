import BERT4RecModel
import Communication

/// A run in a few lines, before its first step.
enum RunDescription {
  static func lines(
    _ setup: RunSetup, _ state: ModelState, _ step: TrainingStep, _ communicator: any Communicator
  ) -> [String] {
    let (configuration, dataset, instances) = (setup.configuration, setup.dataset, setup.instances)
    return [
      "\(dataset.name): \(dataset.sequences.userCount) users, \(dataset.itemCount) items, "
        + (instances.stored == nil ? "\(instances.windows.count) windows, " : "") + "\(instances.epochCount) instances per epoch",
      "model: \(state.layout.count) parameters (hidden \(configuration.hiddenSize), \(configuration.layerCount) layers, "
        + "\(configuration.headCount) heads, vocabulary \(state.configuration.vocabularySize)"
        + (state.table.map { "; table sharded: \($0.ownership.rowCount(of: 0)) rows on rank 0" } ?? "") + ")",
      "ranks: \(communicator.size), threads per rank: \(step.threadCount); backend: "
        + "\(ProgramVersion.arithmetic(configuration.backend)); gradients: \(step.reduction.methodDescription)",
    ]
  }
}
