import Foundation
import Testing

extension CommandTests {
  /// cluster/slurm/train.sbatch in a real Slurm, which Tests/Slurm/run.sh starts for the occasion.
  @Suite struct Slurm {
    static let canRun =
      getuid() == 0
      && ["munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel", "sinfo", "mpirun"].allSatisfy { name in
        let folders = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return (folders + ":/usr/sbin").split(separator: ":").contains {
          FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
        }
      }

    static let short = settings([
      "num_train_steps": 800, "save_checkpoints_steps": 40, "report_steps": 5, "batch_size": 16, "eval_every": 400,
    ])
    static let long = settings([
      "num_train_steps": 1_000_000, "save_checkpoints_steps": 1000, "report_steps": 1, "batch_size": 256,
      "validation": false,
    ])

    @Test(
      .enabled(if: canRun, "needs root, mpirun, and Slurm with munged (Debian: slurm-wlm, munge) on the PATH"))
    func aBatchJobGoesOnWhereItsTimeWasOver() throws {
      try Program.withTemporaryFolder { folder in
        let jobs = try Program.execute(
          Program.root + "/Tests/Slurm/run.sh", [Program.path, folder],
          environment: [
            "SHORT": Self.short.joined(separator: " "), "LONG": Self.long.joined(separator: " "),
            "PATH": (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin",
          ])
        try #require(jobs.status == 0, "\(jobs.errors)")
        try #require(jobs.lines.count == 3)
        #expect(jobs.lines[0] == "signalled COMPLETED, restarts 1, exit 0:0")
        // How mpirun ends when it is cancelled is its own affair.
        #expect(jobs.lines[1].hasPrefix("limited CANCELLED, restarts 1, exit "))
        #expect(jobs.lines[2] == "failing FAILED, restarts 0, exit 64:0")

        // Signalled, put back, gone on, done: as a run that nobody disturbed.
        let undisturbed = try Program.run(["train", "--run", "undisturbed"] + Self.short, in: folder)
        #expect(undisturbed.status == 0, "\(undisturbed.errors)")
        let (signalled, expected) = (RunFiles(folder + "/signalled"), RunFiles(folder + "/undisturbed"))
        #expect(try signalled.hash == expected.hash)
        #expect(try signalled.comparableLines == expected.comparableLines)
        let signalledLog = try String(contentsOfFile: folder + "/signalled.log", encoding: .utf8)
        #expect(signalledLog.contains("train.sbatch: saved, and put back into the queue"))
        #expect(signalledLog.contains("resuming from signalled/checkpoints/step-"))

        // Its time was over, it was resumed, and no step is missing; cancelled, it was not put back.
        let limitedLog = try String(contentsOfFile: folder + "/limited.log", encoding: .utf8)
        #expect(limitedLog.components(separatedBy: "put back into the queue").count == 2)
        #expect(limitedLog.contains("the state is saved, the same command resumes the run"))
        let steps = try RunFiles(folder + "/limited").reportedSteps
        #expect(steps == Array(1...steps.count))

        let failingLog = try String(contentsOfFile: folder + "/failing.log", encoding: .utf8)
        #expect(failingLog.contains("no_such_key"))
      }
    }

    @Test func theBatchScriptSaysWhatItIsOutsideOfSlurm() throws {
      let result = try Program.execute(
        "/usr/bin/env", ["-u", "SLURM_JOB_ID", Program.root + "/cluster/slurm/train.sbatch"])
      #expect(result.status == 64 && result.errors.contains("sbatch cluster/slurm/train.sbatch"))
    }
  }
}
