import Foundation
import Testing

extension CommandTests {
  /// cluster/train-over-ssh.sh on the lab's hosts, whose agent stands for ssh.
  @Suite(.enabled(if: LabHosts.obstacle == nil, "\(LabHosts.obstacle ?? "")")) struct OverSSH {
    static let script = Program.root + "/cluster/train-over-ssh.sh"

    private static func arguments(steps: Int) -> [String] {
      ["train", "--run", "run", "--threads", "1"]
        + settings(["num_train_steps": steps, "save_checkpoints_steps": 20, "report_steps": 10, "eval_every": steps])
    }

    /// The script's words on host 1.
    private func command(_ lab: LabHosts, _ arguments: [String]) throws -> [String] {
      // Hosts have a /tmp of their own, where the checkout may be; the lab's folder they see.
      let script = lab.folder + "/train-over-ssh.sh"
      if !FileManager.default.fileExists(atPath: script) { try FileManager.default.copyItem(atPath: Self.script, toPath: script) }
      let state = LabHosts.stateFolder(of: lab.name)
      return [
        "exec", "--name", lab.name, "1", "env", "AGENT=bash \(state)/agent.sh \(state)",
        // Each host believes that all cores are its own.
        "MPIRUN_OPTIONS=--bind-to none --mca mpi_yield_when_idle 1", script, "--hostfile", state + "/hostfile",
        "--interface", "eth0", "--container", "--program", Program.path,
      ] + arguments
    }

    private func run(_ lab: LabHosts, _ arguments: [String]) throws -> CommandResult {
      try Program.execute(LabHosts.script, command(lab, arguments), in: lab.folder)
    }

    private func start(_ lab: LabHosts, _ arguments: [String]) throws -> RunningProgram {
      let program = try Program.start(executable: LabHosts.script, command(lab, arguments), in: lab.folder)
      try program.wait(for: "\"step\":50,", in: lab.folder + "/run/metrics.jsonl")
      return program
    }

    private func expectNothingLeft(_ lab: LabHosts) throws {
      try lab.expectNoProcesses(on: [1, 2, 3])
      let rest = try lab.order("exec", ["1", "ls", "-A", "/tmp"])
      #expect(!rest.contains("bert4rec-mark"), "\(rest)")
    }

    @Test func threeHostsGiveTheBitsOfOneProcess() throws {
      try LabHosts.with(hosts: 3) { lab in
        let trained = try run(lab, Self.arguments(steps: 60))
        #expect(trained.status == 0 && trained.count(ofErrors: "ranks: 3, ") == 1, "\(trained.errors)")
        #expect(trained.output.contains("next: bert4rec-dist evaluate"))
        #expect(try RunFiles(lab.folder + "/run").hash == Backends.hashOfSixtySteps)
        try expectNothingLeft(lab)
        // The host is named that cannot take part, and nothing starts.
        let missing = try run(lab, ["--program", lab.folder + "/program", "train"])
        #expect(missing.status == 66 && missing.errors.contains("there is no program at "), "\(missing.errors)")
        try FileManager.default.copyItem(atPath: Program.path, toPath: lab.folder + "/program")
        let lonely = try run(lab, ["--program", lab.folder + "/program", "train", "--run", "other"])
        #expect(lonely.status == 64 && lonely.count(ofErrors: "or cannot run \(lab.folder)/program") == 2, "\(lonely.errors)")
        #expect(!FileManager.default.fileExists(atPath: lab.folder + "/other"))
      }
    }

    /// As in a hostfile of Kubernetes' MPI operator: nobody has to reach the first host over ssh, from itself.
    @Test func theFirstHostMayHaveALongerName() throws {
      try LabHosts.with(hosts: 2) { lab in
        let names = try FileHandle(forWritingTo: URL(fileURLWithPath: LabHosts.stateFolder(of: lab.name) + "/hosts"))
        try names.seekToEnd()
        try names.write(contentsOf: Data("10.77.0.1 launcher.job.default.svc\n".utf8))
        try names.close()
        let hostfile = lab.folder + "/hostfile"
        try "launcher.job.default.svc slots=1\n\(lab.name)-2 slots=1\n".write(toFile: hostfile, atomically: true, encoding: .utf8)
        // As the operator does; else Open MPI cuts names at their first dot. Version 4, then 5.
        let trained = try Program.execute(
          LabHosts.script, command(lab, ["--hostfile", hostfile] + Self.arguments(steps: 60)),
          environment: ["OMPI_MCA_orte_keep_fqdn_hostnames": "true", "PRTE_MCA_prte_keep_fqdn_hostnames": "true"], in: lab.folder)
        #expect(trained.status == 0 && trained.count(ofErrors: "ranks: 2, ") == 1, "\(trained.errors)")
        #expect(!trained.errors.contains("not here"), "\(trained.errors)")
        #expect(try RunFiles(lab.folder + "/run").hash == Backends.hashOfSixtySteps)
      }
    }

    @Test func termSavesAndTheSameCommandResumes() throws {
      try LabHosts.with(hosts: 3) { lab in
        let arguments = Self.arguments(steps: 60) + settings(["num_train_steps": 100_000])
        let program = try start(lab, arguments)
        let shell = try #require(try lab.processes.first { $0.command.contains("bash \(lab.folder)/train-over-ssh.sh ") })
        kill(shell.id, SIGTERM)
        let end = try program.wait()
        #expect(end.status == 75 && end.count(ofErrors: "the state is saved") == 1, "\(end.status): \(end.errors)")
        try expectNothingLeft(lab)
        let further = try run(lab, arguments + ["--stop-after", "1"])
        #expect(further.status == 75 && further.errors.contains("resuming from run/checkpoints/step-"), "\(further.errors)")
      }
    }

    /// Open MPI 4 returns another code than 0 when it loses a host; version 5 returns 0.
    @Test func aLostHostIsNoSuccess() throws {
      try LabHosts.with(hosts: 3) { lab in
        let program = try start(lab, Self.arguments(steps: 1_000_000))
        try lab.order("kill", ["3"])
        let end = try program.wait()
        #expect(end.status != 0 && end.status != 75, "\(end.errors)")
        if Program.openMPIVersion >= 5 {
          #expect(end.status == 70 && end.errors.contains("train-over-ssh: mpirun returned 0, but rank 0 on \(lab.name)-1"))
        }
        try expectNothingLeft(lab)
      }
    }
  }
}
