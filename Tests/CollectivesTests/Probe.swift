import TestSupport

typealias CommandResult = TestSupport.CommandResult

/// `collectives-probe`, with and without mpirun.
enum Probe {
  static let path = Command.built("collectives-probe")

  static func mpirun(ranks: Int, _ arguments: [String], options: [String] = []) throws -> CommandResult {
    // More ranks than cores, also as root, also in containers.
    try Command.execute(
      "/usr/bin/env", ["mpirun", "-np", "\(ranks)"] + options + [path] + arguments, environment: Command.mpiEnvironment)
  }

  static func execute(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:]
  ) throws -> CommandResult {
    try Command.execute(executable, arguments, environment: environment)
  }
}
