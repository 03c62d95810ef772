import Glibc
import SystemSupport

/// A run's curves for TensorBoard: `tensorboard/` in the run folder, one file of events per start of the program.
///
/// A start's file tells that earlier ones' events after the step it begins from are void, so no step is shown twice. TensorBoard reads
/// a folder's files in the order of their names, which begin with the time.
package final class TensorBoardLog {
  private static let prefix = "events.out.tfevents."
  private let file: AppendedFile
  private let now: () -> Double

  /// Makes this start's file. Exit code 74 where the disk does not do it.
  ///
  /// - Parameters:
  ///   - folder: made where it is not there.
  ///   - step: updates done: events of later steps in earlier files are void.
  ///   - now: seconds since 1970.
  package init(_ folder: String, resumingAfter step: Int, now: @escaping () -> Double = TensorBoardLog.secondsSince1970)
    throws(ProgramFailure)
  {
    try FileSystem.createDirectories(folder)
    let earlier = try FileSystem.list(folder).filter { $0.hasPrefix(Self.prefix) }
    // Later than all that are there, whatever has happened to the clock.
    let last = earlier.compactMap { Int($0.dropFirst(Self.prefix.count).prefix { $0 != "." }) }.filter { $0 < 1 << 40 }.max()
    let seconds = "\(max(Int(max(0, now())), (last ?? 0) + 1))"
    let name = Self.prefix + String(repeating: "0", count: max(0, 10 - seconds.count)) + seconds + ".bert4rec-dist"
    file = try AppendedFile(folder + "/" + name, length: 0, isNew: true)
    self.now = now
    var events = TensorBoardEvent(time: now(), step: 0, content: .version).record
    if !earlier.isEmpty { events += TensorBoardEvent(time: now(), step: step + 1, content: .start).record }
    try file.append(events)
    try FileSystem.syncDirectory(folder)
  }

  /// Appends scalars of a step; those that are not finite are left out. Exit code 74 where the disk does not take them: they are kept
  /// and written with the next ones.
  package func append(_ scalars: [(tag: String, value: Double)], step: Int) throws(ProgramFailure) {
    try file.append(TensorBoardEvent(time: now(), step: step, content: .scalars(scalars.filter { $0.value.isFinite })).record)
  }

  /// Forces all events to the disk. Exit code 74 where it does not take them.
  package func sync() throws(ProgramFailure) { try file.sync() }

  package static func secondsSince1970() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

extension TensorBoardLog {
  /// Appends a line of metrics.jsonl: a report's numbers as `train/loss` and so on, an evaluation's as `validation/ndcg@10[full]`.
  package func append(_ line: [(key: String, value: MetricValue)]) throws(ProgramFailure) {
    var (group, step) = ("train", 0)
    var scalars: [(tag: String, value: Double)] = []
    for (key, value) in line {
      switch (key, value) {
      case ("step", .int(let value)): step = value
      case ("split", .string(let value)): group = value
      case (_, .double(let value)): scalars.append((key, value))
      case ("epoch", .int(let value)): scalars.append((key, Double(value)))
      case (_, .int), (_, .string): break
      }
    }
    try append(scalars.map { ("\(group)/\($0.tag)", $0.value) }, step: step)
  }
}
