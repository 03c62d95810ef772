import Foundation

/// What a finished command left behind.
package struct CommandResult: Sendable {
  /// The exit code, or 128 and the number of the signal that ended it, as shells say it.
  package let status: Int32
  package let outputBytes: Data
  package let errorBytes: Data

  package init(status: Int32, outputBytes: Data, errorBytes: Data) {
    (self.status, self.outputBytes, self.errorBytes) = (status, outputBytes, errorBytes)
  }

  package var output: String { String(decoding: outputBytes, as: UTF8.self) }
  package var errors: String { String(decoding: errorBytes, as: UTF8.self) }

  /// Lines of standard output.
  package var lines: [Substring] { output.split(separator: "\n") }

  /// Whether this is what mpirun may return of a run that its watchdog has ended: the watchdog's 70. On a busy machine mpirun itself
  /// hangs while it ends, and is killed, or crashes then (Open MPI 4.1.4, in PMIx_server_finalize).
  package var isOfAStandstill: Bool { [70, 128 + SIGKILL, 128 + SIGSEGV].contains(status) }

  /// How often these words stand on standard error.
  package func count(ofErrors words: String) -> Int { errors.components(separatedBy: words).count - 1 }
}

/// Programs that tests start.
package enum Command {
  /// The package's folder.
  package static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  /// A program of the package, which is built into the folder of the test bundle.
  package static func built(_ name: String) -> String {
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    for _ in 0..<6 {
      let candidate = folder.appendingPathComponent(name).path
      if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
      folder.deleteLastPathComponent()
    }
    return name
  }

  /// What Open MPI needs to start more ranks than cores, also as root: the lines `export NAME=VALUE` that users read, too.
  package static let mpiEnvironment: [String: String] = {
    let text = (try? String(contentsOfFile: root + "/cluster/mpi-environment.sh", encoding: .utf8)) ?? ""
    let pairs = text.matches(of: /(?m)^export (\w+)=(.*)$/).map { (String($0.1), String($0.2)) }
    precondition(!pairs.isEmpty, "no settings in cluster/mpi-environment.sh")
    return Dictionary(uniqueKeysWithValues: pairs)
  }()

  /// Runs a program to its end. Where no input is given there is none.
  package static func execute(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:], input: String? = nil,
    in folder: String? = nil
  ) throws -> CommandResult {
    let process = process(executable, arguments, environment: environment, in: folder)
    let (output, errors, standardInput) = (Pipe(), Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    if input != nil { process.standardInput = standardInput }
    try launch(process)
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
    let status = process.terminationStatus
    return CommandResult(
      status: process.terminationReason == .uncaughtSignal ? 128 + status : status, outputBytes: outputData, errorBytes: errorData)
  }

  /// A process that is not started yet, without input.
  package static func process(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:], in folder: String? = nil
  ) -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
    return process
  }

  /// Tests run on threads that block signals, and what they start would inherit that.
  package static func launch(_ process: Process) throws {
    var (none, blocked) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &blocked)
    defer { pthread_sigmask(SIG_SETMASK, &blocked, nil) }
    try process.run()
  }
}
