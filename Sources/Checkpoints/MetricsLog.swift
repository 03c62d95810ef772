import Glibc
import SystemSupport

/// A value in a line of metrics.jsonl.
package enum MetricValue: Sendable, Equatable {
  case string(String)
  case int(Int)
  /// Written with the fewest digits that read back as the same number; null where it is not finite.
  case double(Double)

  var json: JSON {
    switch self {
    case .string(let value): .string(value)
    case .int(let value): .integer(value)
    case .double(let value): .double(value)
    }
  }
}

/// metrics.jsonl: a JSON object a line, each appended by one write.
///
/// A crash may tear the last line and leave lines of steps that the resumed run does again; both go when the file is
/// opened, so that no step is given twice.
package final class MetricsLog {
  package let path: String
  /// Lines that were removed at opening, because they were torn, not readable, or of later steps.
  package let removedLines: Int
  private let file: AppendedFile

  /// Opens the file; lines of steps after `step` are removed, all lines where it is nil (a new run).
  ///
  /// Exit code 74 where the disk does not do it.
  package init(_ path: String, resumingAfter step: Int?) throws(ProgramFailure) {
    let kind = FileSystem.kind(path)
    // A pipe, for one, would be waited for.
    guard kind == nil || kind == .file else { throw ProgramFailure(.disk, "cannot write \(path): it is not a regular file") }
    let existing = kind == nil ? [] : try FileSystem.read(path)
    var kept: [UInt8] = []
    var removed = 0
    // What follows a later step's line is of the same abandoned steps, such as an evaluation of an earlier best state.
    var isPast = step == nil
    var rest = existing[...]
    while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
      let line = rest[...newline]
      let lineStep = Self.step(of: line)
      if let step, let lineStep, lineStep > step { isPast = true }
      if lineStep != nil && !isPast { kept += line } else { removed += 1 }
      rest = rest[(newline + 1)...]
    }
    if !rest.isEmpty { removed += 1 }
    if removed > 0 { try FileSystem.replaceAtomically(path, kept) }
    file = try AppendedFile(path, length: kept.count)
    self.path = path
    removedLines = removed
    if kind == nil { try FileSystem.syncDirectory(FileSystem.parent(of: path)) }
  }

  private static func step(of line: ArraySlice<UInt8>) -> Int? {
    do throws(JSONError) { return try JSON.parse(Array(line))["step"]?.int } catch { return nil }
  }

  /// Whether the file has the line of a step's evaluation on a split.
  package static func hasEvaluation(of split: String, step: Int, in path: String) -> Bool {
    guard FileSystem.kind(path) == .file, let bytes = try? FileSystem.read(path) else { return false }
    return bytes.split(separator: UInt8(ascii: "\n")).contains { line in
      guard let json = try? JSON.parse(Array(line)) else { return false }
      return json["split"]?.string == split && json["step"]?.int == step
    }
  }

  /// A metric's values in the lines of one split's evaluations; none where the file cannot be read.
  package static func values(of metric: String, split: String, in path: String) -> [(step: Int, value: Double)] {
    guard FileSystem.kind(path) == .file, let bytes = try? FileSystem.read(path) else { return [] }
    return bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
      guard let json = try? JSON.parse(Array(line)), json["split"]?.string == split, let step = json["step"]?.int, step >= 0,
        let value = json[metric]?.double, value.isFinite
      else { return nil }
      return (step, value)
    }
  }

  /// Appends a line with these keys in this order. Exit code 74 where the disk does not take it: the line is kept and
  /// written with the next one, or by `sync`, before it.
  package func append(_ line: [(key: String, value: MetricValue)]) throws(ProgramFailure) {
    try file.append(Array((JSON.object(line.map { JSON.Member($0.key, $0.value.json) }).line + "\n").utf8))
  }

  /// Forces the lines to the disk. Done before a checkpoint is written, no line up to its step can be missing after a
  /// power cut. Exit code 74 where the disk does not take them.
  package func sync() throws(ProgramFailure) { try file.sync() }
}
