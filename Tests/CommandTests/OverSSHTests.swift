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

    /// The script's first process; it has further ones.
    private func shell(_ lab: LabHosts) throws -> LabHosts.HostProcess {
      let shells = try lab.processes.filter { $0.command.contains("bash \(lab.folder)/train-over-ssh.sh ") }
      return try #require(shells.min { $0.id < $1.id })
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
        kill(try shell(lab).id, SIGTERM)
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

    /// A run on hosts 2 and 3 whose mpirun is on host 1, in the middle of training.
    private func startWithoutRanksHere(
      _ lab: LabHosts, stallTimeout: Int, environment: [String: String] = [:]
    ) throws -> RunningProgram {
      let hostfile = lab.folder + "/hostfile"
      try "\(lab.name)-2 slots=1\n\(lab.name)-3 slots=1\n".write(toFile: hostfile, atomically: true, encoding: .utf8)
      let arguments =
        ["--hostfile", hostfile] + Self.arguments(steps: 1_000_000) + settings(["eval_every": 20, "stall_timeout": stallTimeout])
      let program = try Program.start(
        executable: LabHosts.script, command(lab, arguments), environment: environment, in: lab.folder)
      try program.waitForMessage("validation of step 40: ")
      return program
    }

    /// mpirun of Open MPI 4 waits without a limit for a host that does not answer. On a host with ranks one of them ends it.
    @Test(arguments: ["freeze", "cut"]) func mpirunEndsOnAHostWithoutRanks(fault: String) throws {
      try LabHosts.with(hosts: 3) { lab in
        let program = try startWithoutRanksHere(lab, stallTimeout: 5)
        try lab.order(fault, ["3"])
        let end = try program.wait()
        #expect(end.status == 70, "\(end.errors)")
        let accused = "error: rank 1 on host \(lab.name)-3 has not been heard from for "
        #expect(end.count(ofErrors: accused) == 1 && end.count(ofErrors: "error: ") == 1, "\(end.errors)")
        let killed = end.count(ofErrors: "train-over-ssh: the run has ended, but mpirun does not end")
        #expect(killed == 1 || Program.openMPIVersion >= 5 && killed == 0, "\(end.errors)")
        try lab.expectNoProcesses(on: [1, 2])
        try lab.order(fault == "freeze" ? "thaw" : "mend", ["3"])
        try expectNothingLeft(lab)
      }
    }

    /// The ranks train on until Open MPI gives up the connections, here after 20 s; mpirun has then lost one of their hosts and may
    /// wait for the other.
    @Test func everythingEndsWhenAHostWithoutRanksIsCutOff() throws {
      try LabHosts.with(hosts: 3) { lab in
        var patience: [String: String] = [:]
        for (name, value) in [("time", "10"), ("intvl", "5"), ("probes", "2")] {
          patience["OMPI_MCA_oob_tcp_keepalive_" + name] = value
          patience["PRTE_MCA_oob_tcp_keepalive_" + name] = value
        }
        let program = try startWithoutRanksHere(lab, stallTimeout: 5, environment: patience)
        try lab.order("cut", ["1"])
        let end = try program.wait()
        #expect(end.status != 0 && end.status != 75 && end.status != 137, "\(end.status): \(end.errors)")
        // The mark is on a host that cannot be reached.
        try lab.expectNoProcesses(on: [1, 2, 3])
      }
    }

    /// An mpirun that has lost one host and waits for another, which the real one does only now and then.
    @Test func mpirunThatWaitsAfterALossIsEnded() throws {
      try LabHosts.with(hosts: 2) { lab in
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let mpirun = lab.folder + "/bin/mpirun"
        try FileManager.default.createDirectory(atPath: lab.folder + "/bin", withIntermediateDirectories: true)
        try """
        #!/bin/bash
        [ "$1" != --version ] || PATH=${PATH#*:} exec mpirun --version
        trap '' INT TERM USR1
        echo "ORTE has lost communication with a remote daemon." >&2
        while :; do sleep 1; done
        """.write(toFile: mpirun, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: mpirun)
        let end = try Program.start(
          executable: LabHosts.script, command(lab, Self.arguments(steps: 10)), environment: ["PATH": lab.folder + "/bin:" + path],
          in: lab.folder
        ).wait()
        #expect(end.status == 70, "\(end.status): \(end.errors)")
        #expect(end.count(ofErrors: "train-over-ssh: a host is lost, but mpirun does not end") == 1, "\(end.errors)")
        try expectNothingLeft(lab)
      }
    }

    /// Ctrl-C twice, before anybody has found out that a host is frozen.
    @Test func anInterruptedMpirunEndsOnAHostWithoutRanks() throws {
      try LabHosts.with(hosts: 3) { lab in
        let program = try startWithoutRanksHere(lab, stallTimeout: 600)
        try lab.order("freeze", ["3"])
        let shell = try shell(lab)
        kill(shell.id, SIGINT)
        try program.waitForMessage("Ctrl-C again ends the run at once")
        kill(shell.id, SIGINT)
        let end = try program.wait()
        #expect(end.status != 0 && end.status != 75 && end.count(ofErrors: "error: ") == 0, "\(end.status): \(end.errors)")
        try lab.expectNoProcesses(on: [1, 2])
        try lab.order("thaw", ["3"])
        try expectNothingLeft(lab)
      }
    }
  }
}
