import Foundation
import TestSupport
import Testing

/// All tests that run the program; one after the other, since several use mpirun on few cores.
@Suite(.serialized) enum CommandTests {}

typealias CommandResult = TestSupport.CommandResult

/// The program as its users run it.
enum Program {
  static let path = Command.built("bert4rec-dist")
  static let root = Command.root
  static let mpiEnvironment = Command.mpiEnvironment

  /// Open MPI's major version, as its mpirun says it; 0 where there is none.
  static let openMPIVersion: Int = {
    let output = (try? execute("/usr/bin/env", ["mpirun", "--version"]))?.output ?? ""
    return output.firstMatch(of: /\(Open MPI\) (\d+)\./).flatMap { Int($0.1) } ?? 0
  }()

  /// Runs one process without mpirun.
  static func run(
    _ arguments: [String], environment: [String: String] = [:], input: String? = nil, in folder: String? = nil
  ) throws -> CommandResult {
    try execute(path, arguments, environment: environment, input: input, in: folder)
  }

  /// Runs `ranks` processes under mpirun.
  static func mpirun(
    ranks: Int, _ arguments: [String], options: [String] = [], environment: [String: String] = [:],
    in folder: String? = nil
  ) throws -> CommandResult {
    try execute(
      "/usr/bin/env", mpirunArguments(ranks, options) + arguments,
      environment: mpiEnvironment.merging(environment) { $1 }, input: nil, in: folder)
  }

  private static func mpirunArguments(_ ranks: Int, _ options: [String] = []) -> [String] {
    ["mpirun", "-np", "\(ranks)"] + options + [path]
  }

  static func execute(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:], input: String? = nil,
    in folder: String? = nil
  ) throws -> CommandResult {
    try Command.execute(executable, arguments, environment: environment, input: input, in: folder)
  }

  /// Starts the program, under mpirun with `ranks`, and returns while it runs.
  static func start(
    _ arguments: [String], ranks: Int? = nil, environment: [String: String] = [:], in folder: String
  ) throws -> RunningProgram {
    let process = Command.process(
      ranks == nil ? path : "/usr/bin/env", (ranks.map { mpirunArguments($0) } ?? []) + arguments,
      environment: mpiEnvironment.merging(environment) { $1 }, in: folder)
    return try RunningProgram(process, folder: folder)
  }

  /// Starts any program, and returns while it runs.
  static func start(
    executable: String, _ arguments: [String], environment: [String: String] = [:], in folder: String
  ) throws -> RunningProgram {
    try RunningProgram(Command.process(executable, arguments, environment: environment, in: folder), folder: folder)
  }

  /// A new empty folder, removed when `body` is done.
  static func withTemporaryFolder<R>(_ body: (String) throws -> R) throws -> R { try TemporaryFolder.with(body) }
}

/// Whether a process that was told to end does so, within ten seconds.
func ends(_ process: Int32) -> Bool {
  for _ in 0..<1000 {
    if !isRunning(process) { return true }
    usleep(10_000)
  }
  return false
}

/// Whether a process is there and not merely waiting to be buried by its parent.
func isRunning(_ process: Int32) -> Bool {
  guard let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else { return false }
  let state = status[(status.lastIndex(of: ")") ?? status.startIndex)...].dropFirst(2).first
  return state != "Z" && state != "X"
}

/// A program that runs beside the test; killed when this object goes before it has ended.
final class RunningProgram {
  private let process: Process
  private let output, errors: String

  fileprivate init(_ process: Process, folder: String) throws {
    self.process = process
    let name = folder + "/.output-\(UUID().uuidString)"
    (output, errors) = (name, name + "-errors")
    for path in [output, errors] { try Data().write(to: URL(fileURLWithPath: path)) }
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
    try Command.launch(process)
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  var identifier: Int32 { process.processIdentifier }

  var isRunning: Bool { process.isRunning }

  /// What stands on standard error so far.
  var errorText: String { (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "" }

  /// Processes that this one has started.
  var children: [Int32] {
    let id = process.processIdentifier
    let text = (try? String(contentsOfFile: "/proc/\(id)/task/\(id)/children", encoding: .utf8)) ?? ""
    return text.split(separator: " ").compactMap { Int32($0.filter(\.isNumber)) }
  }

  /// Waits until a file holds some words; an issue when the program ends before, or after a minute.
  func wait(for words: String, in path: String) throws {
    let end = Date().addingTimeInterval(60)
    while Date() < end, process.isRunning {
      if let text = try? String(contentsOfFile: path, encoding: .utf8), text.contains(words) { return }
      usleep(3000)
    }
    let said = try String(contentsOfFile: errors, encoding: .utf8)
    try #require(Bool(false), "\(words) is not in \(path): \(said)")
  }

  /// Waits until standard error holds some words.
  func waitForMessage(_ words: String) throws { try wait(for: words, in: errors) }

  /// Waits for the end, two minutes at most. A death by signal n has the status 128 + n, as in a shell.
  func wait() throws -> CommandResult {
    let end = Date().addingTimeInterval(120)
    while process.isRunning, Date() < end { usleep(3000) }
    if process.isRunning {
      let processes = (try? Program.execute("/bin/ps", ["-e", "-o", "pid,ppid,stat,wchan:20,etimes,args"], in: "/").output) ?? ""
      Issue.record("it has not ended after two minutes: \(errorText)\n\(processes)")
      send(SIGKILL)
    }
    process.waitUntilExit()
    let status = process.terminationStatus
    return CommandResult(
      status: process.terminationReason == .uncaughtSignal ? 128 + status : status,
      outputBytes: try Data(contentsOf: URL(fileURLWithPath: output)),
      errorBytes: try Data(contentsOf: URL(fileURLWithPath: errors)))
  }
}
