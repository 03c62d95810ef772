import Foundation
import Testing

/// Several hosts on this machine: cluster/lab/lab.sh as a user calls it.
struct LabHosts {
  static let script = Program.root + "/cluster/lab/lab.sh"

  /// Tried out once: whether this machine can have a lab, and why not.
  static let obstacle: String? = {
    do {
      return try Program.withTemporaryFolder { folder in
        let probe = try LabHosts.run(["--hosts", "2", "--"] + sayHostName, in: folder)
        return probe.status == 0 ? nil : "no lab of several hosts here: \(probe.errors)"
      }
    } catch {
      return "no lab of several hosts here: \(error)"
    }
  }()

  /// A command that prints its host's name, and stays for a moment: the daemons of Open MPI 5.0.7 now and then miss the end of what
  /// ends at once, and wait for it.
  static let sayHostName = ["sh", "-c", "hostname; sleep 0.3"]

  /// A name that no other process of this machine uses.
  static let unusedName = "lab\(ProcessInfo.processInfo.processIdentifier)"

  let name: String
  let folder: String

  /// `lab.sh run`: a lab that goes with its command.
  static func run(_ arguments: [String], in folder: String) throws -> CommandResult {
    try Program.execute(script, ["run", "--name", unusedName] + arguments, in: folder)
  }

  /// A lab for `body`; host 1 alone sees the new empty folder that `body` is given.
  static func with<R>(hosts: Int, options: [String] = [], _ body: (LabHosts) throws -> R) throws -> R {
    try Program.withTemporaryFolder { folder in
      let lab = LabHosts(name: unusedName, folder: folder)
      let up = try lab.command("up", ["--hosts", "\(hosts)"] + options)
      try #require(up.status == 0, "\(up.errors)")
      defer { _ = try? lab.command("down") }
      return try body(lab)
    }
  }

  /// Any subcommand of lab.sh.
  func command(_ command: String, _ arguments: [String] = []) throws -> CommandResult {
    try Program.execute(Self.script, [command, "--name", name] + arguments, in: folder)
  }

  /// The same, which must succeed; its standard output.
  @discardableResult
  func order(_ command: String, _ arguments: [String]) throws -> String {
    let result = try self.command(command, arguments)
    try #require(result.status == 0, "lab.sh \(command) \(arguments): \(result.errors)")
    return result.output
  }

  /// mpirun, which continues while the test does.
  func start(_ arguments: [String]) throws -> RunningProgram {
    try Program.start(executable: Self.script, ["mpirun", "--name", name, "--"] + arguments, in: folder)
  }

  /// Whatever is on its way out gets half a minute; what stays is an issue.
  func expectNoProcesses(on hosts: [Int]) throws {
    let end = Date().addingTimeInterval(30)
    var left: [HostProcess] = []
    repeat {
      left = try processes.filter { hosts.contains($0.host) }
      if left.isEmpty { return }
      usleep(100_000)
    } while Date() < end
    #expect(left.isEmpty)
  }

  struct HostProcess {
    let host: Int
    let id: Int32
    let state: Substring
    let command: Substring

    /// A rank, rather than mpirun or Open MPI's daemon of a host.
    var isRank: Bool { command.hasPrefix(Program.path) }

    /// What the user has called, on host 1; Open MPI 5 calls it prterun.
    var isMpirun: Bool { ["mpirun", "prterun"].contains(name) }

    /// Open MPI's own process on another host, of version 4 or 5.
    var isDaemon: Bool { ["orted", "prted"].contains(name) }

    private var name: Substring {
      let path = command.prefix { $0 != " " }
      return path.split(separator: "/").last ?? path
    }
  }

  /// What runs on the hosts now.
  var processes: [HostProcess] {
    get throws {
      try order("processes", []).split(separator: "\n").map { line in
        let words = line.split(separator: " ", maxSplits: 3)
        try #require(words.count == 4, "\(line)")
        return HostProcess(
          host: try #require(Int(words[0].dropFirst(name.count + 1))), id: try #require(Int32(words[1])),
          state: words[2], command: words[3])
      }
    }
  }

  /// The process that keeps a lab alive, once it is up.
  static func keeper(of name: String) -> Int32? {
    let text = (try? String(contentsOfFile: stateFolder(of: name) + "/switch", encoding: .utf8)) ?? ""
    return text.split(separator: " ").first.flatMap { Int32($0) }
  }

  static func stateFolder(of name: String) -> String { "/run/bert4rec-lab/" + name }

  /// Processes of this machine in the process namespace that `link` names, as /proc/ID/ns/pid does.
  static func processes(inNamespace link: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { Int($0) != nil }.filter {
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/ns/pid")) == link
    }
  }
}
