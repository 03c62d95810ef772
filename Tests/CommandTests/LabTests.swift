import Foundation
import Testing

extension CommandTests {
  /// Training on several hosts with host names, addresses and files of their own.
  @Suite(.enabled(if: LabHosts.obstacle == nil, "\(LabHosts.obstacle ?? "")")) struct Lab {
    /// Data and settings as files of a folder; the hash that one process without mpirun trains to from them.
    private func writeRecipe(to folder: String) throws -> String {
      try TrainedDemo.writeData(to: folder + "/demo.txt")
      try """
      data: demo.txt
      num_train_steps: 30
      save_checkpoints_steps: 10
      batch_size: 32
      max_seq_length: 20
      hidden_size: 32
      num_hidden_layers: 1
      num_attention_heads: 2
      intermediate_size: 64
      """.write(toFile: folder + "/recipe.yaml", atomically: true, encoding: .utf8)
      let alone = try Program.run(Self.training("alone"), in: folder)
      try #require(alone.status == 0, "\(alone.errors)")
      return try RunFiles(folder + "/alone").hash
    }

    private static func training(_ run: String) -> [String] {
      ["train", "--config", "recipe.yaml", "--run", run, "--threads", "1"]
    }

    @Test(arguments: [[], ["--bandwidth", "100mbit"]])
    func threeHostsOneWithTheFilesGiveTheBitsOfOneProcess(_ options: [String]) throws {
      try LabHosts.with(hosts: 3, options: options) { lab in
        let expected = try writeRecipe(to: lab.folder)
        // The hosts are what they claim to be.
        let names = try lab.order("mpirun", LabHosts.sayHostName).split(separator: "\n").sorted()
        #expect(names == ["\(lab.name)-1", "\(lab.name)-2", "\(lab.name)-3"])
        #expect(try lab.order("exec", ["1", "cat", "recipe.yaml"]).hasPrefix("data: demo.txt"))
        for host in ["2", "\(lab.name)-3"] { #expect(try lab.order("exec", [host, "ls", "-A", lab.folder]).isEmpty) }
        // A program outside the shared part of the file system is brought to every host.
        try FileManager.default.copyItem(atPath: Program.path, toPath: lab.folder + "/program")

        let trained = try lab.command("mpirun", ["./program"] + Self.training("run"))
        #expect(trained.status == 0, "\(trained.errors)")
        #expect(trained.count(ofErrors: "ranks: 3, ") == 1, "\(trained.errors)")
        #expect(try RunFiles(lab.folder + "/run").hash == expected)
        for host in ["2", "3"] { #expect(try lab.order("exec", [host, "ls", "-A", lab.folder]) == "program\n") }
        try lab.expectNoProcesses(on: [1, 2, 3])
      }
    }

    /// As `.build/release` is a link: the other hosts are asked for the path that was given.
    @Test func aProgramBehindALinkIsBroughtToEveryHost() throws {
      try LabHosts.with(hosts: 2) { lab in
        let files = FileManager.default
        try files.createDirectory(atPath: lab.folder + "/deep/er", withIntermediateDirectories: true)
        let program = "#!/bin/sh\n\(LabHosts.sayHostName[2])\n"
        try program.write(toFile: lab.folder + "/deep/er/program", atomically: false, encoding: .utf8)
        try files.setAttributes([.posixPermissions: 0o755], ofItemAtPath: lab.folder + "/deep/er/program")
        try files.createSymbolicLink(atPath: lab.folder + "/link", withDestinationPath: "deep/er")
        for path in ["link/program", lab.folder + "/link/program"] {
          let result = try lab.command("mpirun", [path])
          #expect(result.lines.sorted() == ["\(lab.name)-1", "\(lab.name)-2"], "\(path): \(result.errors)")
        }
      }
    }

    /// An mpirun that leaves all ranks on the first host is found out before anything runs.
    @Test func ranksOnTheWrongHostAreFoundOut() throws {
      try Program.withTemporaryFolder { folder in
        // First on the PATH, and not in /tmp, which the hosts do not see; it does what Open MPI 5 does with another version's settings.
        let bin = "/var/tmp/bert4rec-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: bin) }
        let mpirun = "#!/bin/sh\n[ \"$1\" != --version ] || exec echo 'mpirun (Open MPI) 9'\nhostname; hostname\n"
        try mpirun.write(toFile: bin + "/mpirun", atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: bin + "/mpirun")
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let name = LabHosts.unusedName
        let result = try Program.execute(
          LabHosts.script, ["run", "--name", name, "--hosts", "2", "--", "touch", "ran"],
          environment: ["PATH": bin + ":" + path], in: folder)
        #expect(result.status == 70, "\(result.errors)")
        #expect(
          result.errors.contains("mpirun (Open MPI) 9 spreads ranks as \(name)-1: 2, not \(name)-1: 1, \(name)-2: 1"),
          "\(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder + "/ran"))
        #expect(!FileManager.default.fileExists(atPath: LabHosts.stateFolder(of: name)))
      }
    }

    /// What is cut off does not answer, and does again.
    @Test func aCableIsCutAndMended() throws {
      try LabHosts.with(hosts: 2) { lab in
        let ask = ["1", "bash", "-c", "exec 3<>/dev/tcp/\(lab.name)-2/9"]
        // Nobody listens there: a host that can be reached refuses at once.
        let refused = try lab.command("exec", ask)
        #expect(refused.errors.contains("Connection refused"), "\(refused.errors)")
        try lab.order("cut", ["2"])
        let silent = try lab.command("exec", ["1", "timeout", "1"] + ask.dropFirst())
        #expect(!silent.errors.contains("refused") && silent.status != 0)
        let unreachable = try lab.command("mpirun", ["hostname"])
        #expect(unreachable.status != 0)
        #expect(unreachable.errors.contains("connect to host \(lab.name)-2: No route to host"), "\(unreachable.errors)")
        try lab.order("mend", ["2"])
        #expect(try lab.command("exec", ask).errors.contains("Connection refused"))
      }
    }

    @Test func frozenThawedKilled() throws {
      try LabHosts.with(hosts: 2) { lab in
        let sleepers = try lab.start(["-np", "2", "sleep", "1000"])
        while try lab.processes.count(where: { $0.command == "sleep 1000" }) < 2 { usleep(50_000) }
        try lab.order("freeze", ["2"])
        let frozen = try lab.processes
        #expect(frozen.contains { $0.host == 2 && $0.isDaemon })
        for process in frozen { #expect(process.state.hasPrefix("T") == (process.host == 2), "\(process)") }
        try lab.order("thaw", ["2"])
        #expect(try lab.processes.allSatisfy { !$0.state.hasPrefix("T") })
        try lab.order("kill", ["2"])
        #expect(try lab.processes.allSatisfy { $0.host == 1 })
        let end = try sleepers.wait()
        #expect(end.errors.contains("\(lab.name)-2"), "\(end.errors)")
        // Open MPI 5 returns 0 when it loses a host, and now and then leaves what does not end by itself.
        if Program.openMPIVersion < 5 {
          #expect(end.status != 0)
          try lab.expectNoProcesses(on: [1, 2])
        }
      }
    }

    /// With mpirun's own host goes mpirun, and what waits for it out here.
    @Test func theFirstHostIsKilled() throws {
      try LabHosts.with(hosts: 2) { lab in
        let sleepers = try lab.start(["-np", "2", "sleep", "1000"])
        while try lab.processes.count(where: { $0.command == "sleep 1000" }) < 2 { usleep(50_000) }
        try lab.order("kill", ["1"])
        #expect(try sleepers.wait().status == 128 + SIGKILL)
        try lab.expectNoProcesses(on: [1, 2])
      }
    }

    /// By a signal to its owner, even one that leaves the owner no time to clean up.
    @Test(arguments: [SIGTERM, SIGINT, SIGHUP, SIGKILL]) func aLabGoesWithItsOwner(signal: Int32) throws {
      try Program.withTemporaryFolder { folder in
        let name = LabHosts.unusedName
        let interfaces = try FileManager.default.contentsOfDirectory(atPath: "/sys/class/net").sorted()
        let owner = try Program.start(
          executable: LabHosts.script,
          ["run", "--name", name, "--hosts", "3", "--", Program.path, "train", "--threads", "1"]
            + settings(["num_train_steps": 1_000_000, "report_steps": 5]),
          in: folder)
        try owner.wait(for: "\"step\":10,", in: folder + "/runs/demo/metrics.jsonl")
        let keeper = try #require(LabHosts.keeper(of: name))
        let namespace = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(keeper)/ns/pid")
        #expect(try LabHosts.processes(inNamespace: namespace).count >= 7)
        owner.send(signal)
        #expect(try owner.wait().status == 128 + signal)
        if signal == SIGKILL {
          // The kernel ends it; only the lab's notes stay, which hinder no further lab and go with `down`.
          let end = Date().addingTimeInterval(60)
          while try !LabHosts.processes(inNamespace: namespace).isEmpty, Date() < end { usleep(20_000) }
          let next = try LabHosts.run(["--hosts", "1", "--"] + LabHosts.sayHostName, in: folder)
          #expect(next.output == "\(name)-1\n", "\(next.errors)")
        }
        #expect(try LabHosts.processes(inNamespace: namespace).isEmpty)
        #expect(!FileManager.default.fileExists(atPath: LabHosts.stateFolder(of: name)))
        #expect(try FileManager.default.contentsOfDirectory(atPath: "/sys/class/net").sorted() == interfaces)
      }
    }

    @Test func downTakesAwayWhateverThereIs() throws {
      try Program.withTemporaryFolder { folder in
        let lab = LabHosts(name: LabHosts.unusedName, folder: folder)
        // Nothing.
        #expect(try lab.command("down").status == 0)
        try lab.order("up", ["--hosts", "2"])
        #expect(try lab.command("up", []).errors.contains("lab \(lab.name) is up already"))
        let keeper = try #require(LabHosts.keeper(of: lab.name))
        let namespace = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(keeper)/ns/pid")
        // Hosts that run, that are frozen together with mpirun, that are cut off.
        let sleepers = try lab.start(["sleep", "1000"])
        while try lab.processes.count(where: { $0.command == "sleep 1000" }) < 2 { usleep(50_000) }
        try lab.order("freeze", ["1"])
        try lab.order("cut", ["2"])
        #expect(try lab.command("down").status == 0)
        #expect(try sleepers.wait().status != 0)
        #expect(try LabHosts.processes(inNamespace: namespace).isEmpty)
        #expect(!FileManager.default.fileExists(atPath: LabHosts.stateFolder(of: lab.name)))
        #expect(try lab.command("processes").errors.contains("no lab of the name \(lab.name) is up"))
        // Notes of one that the machine's restart has ended.
        try FileManager.default.createDirectory(
          atPath: LabHosts.stateFolder(of: lab.name), withIntermediateDirectories: true)
        try "1 12345\n".write(
          toFile: LabHosts.stateFolder(of: lab.name) + "/switch", atomically: true, encoding: .utf8)
        #expect(try lab.command("down").status == 0)
        #expect(!FileManager.default.fileExists(atPath: LabHosts.stateFolder(of: lab.name)))
      }
    }

    @Test func wrongUsageIsRefused() throws {
      try Program.withTemporaryFolder { folder in
        for (arguments, words) in [
          (["--hosts", "0", "hostname"], "--hosts 0: a number from 1 to 200"),
          (["--hosts", "two", "hostname"], "--hosts two: a number from 1 to 200"),
          (["--bandwidth", "fast", "hostname"], "--bandwidth fast: a whole number with kbit, mbit or gbit"),
          (["--delay", "3", "hostname"], "--delay 3: a number with us, ms or s"),
          (["--folder", "/no/such", "hostname"], "there is no folder /no/such"),
          (["--folder", "/usr", "hostname"], "folder /usr holds mpirun"),
          (["--hosts"], "--hosts needs a value"),
          ([], "what is to be run?"),
        ] {
          let result = try LabHosts.run(arguments, in: folder)
          #expect(result.status == 64 && result.errors.contains(words), "\(arguments): \(result.errors)")
          #expect(!FileManager.default.fileExists(atPath: LabHosts.stateFolder(of: LabHosts.unusedName)))
        }
        let badName = try Program.execute(LabHosts.script, ["up", "--name", "../x"], in: folder)
        #expect(badName.status == 64 && badName.errors.contains("--name ../x: "))
      }
    }

    /// Kernels without sch_netem cannot delay, and a lab without the delay would be another one than was asked for.
    @Test func aDelayIsHeldOrRefused() throws {
      try Program.withTemporaryFolder { folder in
        let result = try LabHosts.run(["--hosts", "2", "--delay", "20ms", "--"] + LabHosts.sayHostName, in: folder)
        if result.status == 0 {
          #expect(result.lines.count == 2)
        } else {
          #expect(result.status == 69 && result.output.isEmpty)
          #expect(result.errors.contains("--delay takes the kernel module sch_netem"), "\(result.errors)")
        }
      }
    }
  }
}
