/// A data set with what was found out about it.
package struct LoadedDataset: Sendable {
  package var dataset: Dataset
  package var statistics: DatasetStatistics
  /// What users did from the split's time on, a data set of its own; nil without a split.
  package var targets: Dataset?

  package init(dataset: Dataset, statistics: DatasetStatistics, targets: Dataset? = nil) {
    self.dataset = dataset
    self.statistics = statistics
    self.targets = targets
  }
}
