import Foundation
import Testing

/// All tests that run the program; one after the other, since several use mpirun on few cores.
@Suite(.serialized) enum CommandTests {}

/// What a finished command left behind.
struct CommandResult {
  let status: Int32
  let output: String
  let errors: String
}

/// The program as its users run it.
enum Program {
  /// The executable beside the test bundle.
  static let path: String = {
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    for _ in 0..<6 {
      let candidate = folder.appendingPathComponent("bert4rec-dist").path
      if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
      folder.deleteLastPathComponent()
    }
    return "bert4rec-dist"
  }()

  /// What Open MPI needs to start more ranks than cores, also as root.
  static let mpiEnvironment = [
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
  ]

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
      "/usr/bin/env", ["mpirun", "-np", "\(ranks)"] + options + [path] + arguments,
      environment: mpiEnvironment.merging(environment) { $1 }, input: nil, in: folder)
  }

  static func execute(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:], input: String? = nil,
    in folder: String? = nil
  ) throws -> CommandResult {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
    let (output, errors, standardInput) = (Pipe(), Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    process.standardInput = input == nil ? FileHandle.nullDevice : standardInput
    try process.run()
    if let input {
      standardInput.fileHandleForWriting.write(Data(input.utf8))
      try standardInput.fileHandleForWriting.close()
    }
    // Both pipes are drained while the process runs, or a full one would stop it.
    nonisolated(unsafe) var errorData = Data()
    let done = DispatchSemaphore(value: 0)
    let drained = Thread {
      errorData = errors.fileHandleForReading.readDataToEndOfFile()
      done.signal()
    }
    drained.start()
    let outputData = output.fileHandleForReading.readDataToEndOfFile()
    done.wait()
    process.waitUntilExit()
    return CommandResult(
      status: process.terminationStatus, output: String(decoding: outputData, as: UTF8.self),
      errors: String(decoding: errorData, as: UTF8.self))
  }

  /// A new empty folder, removed when `body` is done.
  static func withTemporaryFolder<R>(_ body: (String) throws -> R) throws -> R {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("bert4rec-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder.path)
  }
}
