import Checkpoints
import Evaluation
import InteractionData
import SystemSupport

/// metrics.jsonl, and events for TensorBoard.
extension RunDisk {
  /// Opens metrics.jsonl, and TensorBoard's events where they are wanted; what they say of steps after `step` is void.
  func openLogs(resumingAfter step: Int?) throws(ProgramFailure) {
    metrics = try MetricsLog(run.metricsPath, resumingAfter: step)
    if configuration.writesTensorBoard { events = try TensorBoardLog(run.tensorBoardPath, resumingAfter: step ?? 0) }
  }

  /// A line of metrics.jsonl, and TensorBoard's events.
  func append(_ line: [(key: String, value: MetricValue)]) {
    tryToWrite { () throws(ProgramFailure) in try metrics?.append(line) }
    tryToWrite { () throws(ProgramFailure) in try events?.append(line) }
  }

  /// What the disk refuses is said loudly and kept until the next line or checkpoint.
  private func tryToWrite(_ lines: () throws(ProgramFailure) -> Void) {
    do throws(ProgramFailure) { try lines() } catch {
      log("warning: \(error.message). Training continues; these lines are kept in memory and written as soon as the disk accepts them.")
    }
  }

  /// A line per evaluation.
  func append(_ report: EvaluationReport) {
    var line: [(key: String, value: MetricValue)] = [
      ("step", .int(report.step)), ("split", .string(report.split.rawValue)), ("users", .int(report.users)),
    ]
    if let all = report.sampledFrom { line.append(("users_of", .int(all))) }
    line += report.metrics.map { ($0.key, .double($0.value)) }
    append(line)
  }

  /// The test of a split by time.
  func append(_ report: TargetReport) {
    var line: [(key: String, value: MetricValue)] = [
      ("step", .int(report.step ?? state.step)), ("split", .string(EvaluationSplit.test.rawValue)), ("users", .int(report.users)),
    ]
    line += report.counts.map { ($0.key, .int($0.value)) }
    line += report.metrics.map { ($0.key, .double($0.value)) }
    append(line)
  }

  /// Forces metrics.jsonl and TensorBoard's events to the disk, at the end of a run.
  func finish() throws(ProgramFailure) {
    try metrics?.sync()
    try events?.sync()
  }

  /// Whether metrics.jsonl lacks the validation of the present step, which is that of one of this folder's checkpoints.
  var lacksValidation: Bool {
    savedStep == state.step && isOwn
      && !MetricsLog.hasEvaluation(of: EvaluationSplit.validation.rawValue, step: state.step, in: run.metricsPath)
  }

  /// Whether the run's last evaluation was the final one.
  func hasTestEvaluation() -> Bool {
    // The last line: an earlier one may be of a run that has since been given more steps.
    guard let bytes = try? FileSystem.read(run.metricsPath), bytes.last == UInt8(ascii: "\n") else { return false }
    let last = String(decoding: bytes, as: UTF8.self).split(separator: "\n").last ?? ""
    return last.contains("\"split\"") && last.contains("\"test\"")
  }
}
