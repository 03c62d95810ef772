import TestSupport

/// `ranks-probe`, with and without mpirun.
package enum Probe {
  package static let path = Command.built("ranks-probe")

  package static func mpirun(ranks: Int, _ arguments: [String], options: [String] = []) throws -> CommandResult {
    // More ranks than cores, also as root, also in containers.
    try Command.execute(
      "/usr/bin/env", ["mpirun", "-np", "\(ranks)"] + options + [path] + arguments, environment: Command.mpiEnvironment)
  }

  package static func execute(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:]
  ) throws -> CommandResult {
    try Command.execute(executable, arguments, environment: environment)
  }
}
