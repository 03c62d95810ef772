import Foundation

/// What a finished command left behind.
package struct CommandResult {
  package let status: Int32
  package let output: String
  package let errors: String

  package var lines: [Substring] { output.split(separator: "\n") }

  package func occurrencesInErrors(of text: String) -> Int { errors.components(separatedBy: text).count - 1 }
}

/// `ranks-probe`, with and without mpirun.
package enum Probe {
  package static let path: String = {
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    for _ in 0..<6 {
      let candidate = folder.appendingPathComponent("ranks-probe").path
      if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
      folder.deleteLastPathComponent()
    }
    return "ranks-probe"
  }()

  package static func mpirun(ranks: Int, _ arguments: [String], options: [String] = []) throws -> CommandResult {
    try execute(
      // More ranks than cores, also as root, also in containers.
      "/bin/sh", ["-c", ". \"$0\" && exec mpirun \"$@\"", settings, "-np", "\(ranks)"] + options + [path] + arguments)
  }

  private static let settings =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path + "/cluster/mpi-environment.sh"

  package static func execute(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:]
  ) throws -> CommandResult {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let (output, errors) = (Pipe(), Pipe())
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    // Both pipes are drained while the process runs, or a full one would stop it.
    nonisolated(unsafe) var errorData = Data()
    let done = DispatchSemaphore(value: 0)
    Thread {
      errorData = errors.fileHandleForReading.readDataToEndOfFile()
      done.signal()
    }.start()
    let outputData = output.fileHandleForReading.readDataToEndOfFile()
    done.wait()
    process.waitUntilExit()
    return CommandResult(
      status: process.terminationStatus, output: String(decoding: outputData, as: UTF8.self),
      errors: String(decoding: errorData, as: UTF8.self))
  }
}
