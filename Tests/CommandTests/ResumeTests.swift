import Foundation
import Testing

extension CommandTests {
  /// A run that is interrupted ends as one that is not.
  @Suite struct Resume {
    static let forty = settings([
      "num_train_steps": 40, "save_checkpoints_steps": 10, "report_steps": 4, "batch_size": 16, "eval_every": 20,
    ])

    /// Hash and metrics of 40 steps in one go.
    static let undisturbed = Result {
      try Program.withTemporaryFolder { folder in
        let result = try Program.run(["train", "--run", "run", "--threads", "1"] + forty, in: folder)
        try #require(result.status == 0, "\(result.errors)")
        let run = RunFiles(folder + "/run")
        return (hash: try run.hash, lines: try run.comparableLines, steps: try run.reportedSteps)
      }
    }

    private func train(_ folder: String, _ more: [String] = [], run: String = "run") throws -> CommandResult {
      try Program.run(["train", "--run", run] + Self.forty + more, in: folder)
    }

    private func expectUndisturbed(_ run: RunFiles) throws {
      let expected = try Self.undisturbed.get()
      #expect(try run.hash == expected.hash)
      #expect(try run.comparableLines == expected.lines)
    }

    @Test func oneGoReportsEveryStepThatIsDue() throws {
      let expected = try Self.undisturbed.get()
      #expect(expected.steps == [1, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40])
      #expect(expected.lines.count { $0.contains("\"validation\"") } == 2)
      #expect(expected.lines.count { $0.contains("\"test\"") } == 1)
      #expect(expected.lines.last?.contains("\"test\"") == true)
    }

    /// Step 18 is neither a report nor a checkpoint.
    @Test func stopAfterThenOnOtherRanksAndThreads() throws {
      try Program.withTemporaryFolder { folder in
        let stopped = try train(folder, ["--stop-after", "18", "--threads", "2"])
        #expect(stopped.status == 75)
        #expect(stopped.errors.contains("stopped after step 18 of 40; the state is saved, the same command resumes the run"))
        let run = RunFiles(folder + "/run")
        #expect(try run.checkpoints == ["step-00000010", "step-00000018"])
        #expect(try run.reportedSteps == [1, 4, 8, 12, 16])
        // Already there: nothing is trained.
        let again = try train(folder, ["--stop-after", "18"])
        #expect(again.status == 75 && again.errors.contains("18 of 40 steps are done already"))

        let rest = try Program.mpirun(
          ranks: 3, ["train", "--run", "run", "--threads", "1"] + Self.forty, in: folder)
        #expect(rest.status == 0, "\(rest.errors)")
        #expect(rest.count(ofErrors: "resuming from run/checkpoints/step-00000018: 18 of 40 steps are done") == 1)
        try expectUndisturbed(run)

        let finished = try train(folder)
        #expect(finished.status == 0 && finished.output.isEmpty)
        #expect(finished.errors.contains("run is finished: 40 of 40 steps are done"))
        #expect(finished.errors.contains("To start a new run, give another folder with --run."))
        try expectUndisturbed(run)
        let never = try train(folder, ["--resume", "never"])
        #expect(never.status == 64)
        #expect(never.count(ofErrors: "run has checkpoints (the newest is step-00000040) and --resume never") == 1)
      }
    }

    @Test func whatMayChangeAndWhatMayNot() throws {
      try Program.withTemporaryFolder { folder in
        #expect(try train(folder, ["--stop-after", "10"]).status == 75)
        let rate = try train(folder, settings(["learning_rate": "0.25", "hidden_dropout_prob": 0]))
        #expect(rate.status == 64)
        #expect(rate.errors.contains("learning_rate was 0.002 and is 0.25"))
        #expect(rate.errors.contains("hidden_dropout_prob was 0.1 and is 0.0"))
        #expect(rate.count(ofErrors: "error:") == 1)
        let ranks = try Program.mpirun(
          ranks: 2, ["train", "--run", "run"] + Self.forty + settings(["learning_rate": "0.25"]), in: folder)
        #expect(ranks.status == 64 && ranks.count(ofErrors: "learning_rate was 0.002 and is 0.25") == 1)

        let reports = try train(folder, settings(["report_steps": 15]))
        #expect(reports.status == 0 && reports.errors.contains("report_steps changes from 4 to 15"))
        let run = RunFiles(folder + "/run")
        #expect(try run.reportedSteps == [1, 4, 8, 15, 30, 40])
        #expect(try run.hash == Self.undisturbed.get().hash)
      }
    }

    /// More steps continue from the end, and are evaluated again.
    @Test func aFinishedRunCanBeGivenMoreSteps() throws {
      try Program.withTemporaryFolder { folder in
        #expect(try train(folder).status == 0)
        let longer = settings(["num_train_steps": 60])
        let stopped = try train(folder, longer + ["--stop-after", "50"])
        #expect(stopped.status == 75 && stopped.errors.contains("num_train_steps changes from 40 to 60"))
        let rest = try train(folder, longer)
        #expect(rest.status == 0 && rest.output.contains("test split"))
        #expect(try RunFiles(folder + "/run").lines.count { $0["split"] as? String == "test" } == 2)
        #expect(try train(folder, longer).errors.contains("run is finished: 60 of 60 steps are done"))
      }
    }

    @Test func otherDataIsRefused() throws {
      try Program.withTemporaryFolder { folder in
        try TrainedDemo.writeData(to: folder + "/data.txt")
        let small = settings([
          "max_seq_length": 16, "hidden_size": 8, "intermediate_size": 8, "batch_size": 16, "num_train_steps": 6,
          "num_warmup_steps": 0,
        ])
        let arguments = ["train", "--run", "run", "--data", "data.txt"] + small
        #expect(try Program.run(arguments + ["--stop-after", "3"], in: folder).status == 75)
        // Another path to the same data is no matter.
        try FileManager.default.moveItem(atPath: folder + "/data.txt", toPath: folder + "/moved.txt")
        let moved = try Program.run(
          ["train", "--run", "run", "--data", "moved.txt", "--stop-after", "4"] + small, in: folder)
        #expect(moved.status == 75, "\(moved.errors)")
        let text = try String(contentsOfFile: folder + "/moved.txt", encoding: .utf8)
        try (text + "user0 ring0-item0\n").write(toFile: folder + "/data.txt", atomically: true, encoding: .utf8)
        let refused = try Program.run(arguments, in: folder)
        #expect(refused.status == 64 && refused.count(ofErrors: "was trained on other data (moved, fingerprint ") == 1)
        // Nothing of the run was touched.
        #expect(try RunFiles(folder + "/run").checkpoints == ["step-00000003", "step-00000004"])
      }
    }

    @Test func fromACheckpointIntoANewFolder() throws {
      try Program.withTemporaryFolder { folder in
        #expect(try train(folder).status == 0)
        let source = "run/checkpoints/step-00000020"
        let copy = try train(folder, ["--resume", source], run: "second")
        #expect(copy.status == 0 && copy.errors.contains("resuming from \(source): 20 of 40 steps are done"))
        let second = RunFiles(folder + "/second")
        #expect(try second.hash == Self.undisturbed.get().hash)
        #expect(try second.reportedSteps == [24, 28, 32, 36, 40])
        #expect(try second.text("checkpoints/best") == "step-00000040\n")
        // Where the source's later steps are, going back would mix two runs.
        let back = try train(folder, ["--resume", source])
        #expect(back.status == 64 && back.errors.contains("later checkpoints (the newest is step-00000040)"))
        let absent = try train(folder, ["--resume", "absent"], run: "third")
        #expect(absent.status == 66 && absent.errors.contains("absent: no such folder"))
      }
    }

    // MARK: By its name

    /// A run is resumed by its folder's name alone, or with some of its settings; what is not said is as it was.
    @Test(arguments: [nil, 2]) func itsNameIsEnough(ranks: Int?) throws {
      func resume(_ arguments: [String], in folder: String) throws -> CommandResult {
        let train = ["train"] + arguments
        return try ranks.map { try Program.mpirun(ranks: $0, train, in: folder) } ?? Program.run(train, in: folder)
      }
      try Program.withTemporaryFolder { folder in
        #expect(try train(folder, ["--stop-after", "18"]).status == 75)
        let partly = try resume(["--run", "run", "--stop-after", "25", "--set", "batch_size=16"], in: folder)
        #expect(partly.status == 75, "\(partly.errors)")
        let rest = try resume(["--run", "run"], in: folder)
        #expect(rest.status == 0, "\(rest.errors)")
        #expect(rest.count(ofErrors: "not given here, so as run/config.yaml says: data builtin:demo, max_seq_length 32, ") == 1)
        try expectUndisturbed(RunFiles(folder + "/run"))
        let finished = try resume(["--run", "run"], in: folder)
        #expect(finished.status == 0 && finished.count(ofErrors: "run is finished: 40 of 40 steps are done") == 1)
        let other = try resume(["--run", "run", "--set", "batch_size=17"], in: folder)
        #expect(other.status == 64 && other.count(ofErrors: "batch_size was 16 and is 17") == 1, "\(other.errors)")
        let more = try resume(["--run", "run", "--set", "num_train_steps=44"], in: folder)
        #expect(more.status == 0 && more.count(ofErrors: "num_train_steps changes from 40 to 44") == 1, "\(more.errors)")
        #expect(try RunFiles(folder + "/run").reportedSteps.suffix(2) == [40, 44])
      }
    }

    /// The data's name leads to the default folder as well; a checkpoint has the settings of its run.
    @Test func theDefaultFolderAndACheckpointsSettings() throws {
      try Program.withTemporaryFolder { folder in
        try TrainedDemo.writeData(to: folder + "/rings.txt")
        let small = settings([
          "max_seq_length": 16, "hidden_size": 8, "intermediate_size": 8, "batch_size": 16, "num_train_steps": 20,
          "num_warmup_steps": 4,
        ])
        let first = try Program.run(["train", "--data", "rings.txt", "--threads", "2"] + small, in: folder)
        #expect(first.status == 0, "\(first.errors)")
        let again = try Program.run(["train", "--data", "rings.txt"], in: folder)
        #expect(again.status == 0 && again.errors.contains("runs/rings is finished: 20 of 20 steps are done"))
        // All but the threads, which are the machine's.
        let line = again.errors.split(separator: "\n").first { $0.hasPrefix("not given here") } ?? ""
        #expect(line.contains("hidden_size 8, ") && line.contains("batch_size 16"), "\(again.errors)")
        #expect(!line.contains("threads") && !line.contains("data "))

        let source = "runs/rings/checkpoints/step-00000020"
        let copy = try Program.run(
          ["train", "--run", "second", "--resume", source, "--set", "num_train_steps=24"], in: folder)
        #expect(copy.status == 0, "\(copy.errors)")
        #expect(copy.count(ofErrors: "not given here, so as \(source)/trainer.json says: data rings.txt, max_seq_length 16, ") == 1)
        #expect(try RunFiles(folder + "/second").reportedSteps == [24])
        let rates = "num_train_steps changes from 20 to 24, which takes the learning rate after step 20 from 0.0 to 0.0001667\n"
        #expect(copy.count(ofErrors: rates) == 1, "\(copy.errors)")
        // Without config.yaml the checkpoints say it.
        try FileManager.default.removeItem(atPath: folder + "/second/config.yaml")
        let third = try Program.run(["train", "--run", "second"], in: folder)
        #expect(third.status == 0 && third.errors.contains("second is finished: 24 of 24 steps are done"), "\(third.errors)")
      }
    }

    /// Before the first checkpoint there is nothing to resume, unless a name is all that is given.
    @Test func settingsOfARunWithoutACheckpoint() throws {
      try Program.withTemporaryFolder { folder in
        #expect(try train(folder, ["--stop-after", "3"]).status == 75)
        try FileManager.default.removeItem(atPath: folder + "/run/checkpoints")
        let byName = try Program.run(["train", "--run", "run", "--stop-after", "2"], in: folder)
        #expect(byName.status == 75 && byName.errors.contains("step 1/40 "), "\(byName.errors)")
        try FileManager.default.removeItem(atPath: folder + "/run/checkpoints")
        let new = try Program.run(["train", "--run", "run", "--data", "builtin:demo", "--stop-after", "2"], in: folder)
        #expect(new.status == 75 && new.errors.contains("step 1/20000 "), "\(new.errors)")
        #expect(!new.errors.contains("not given here"))
      }
    }

    @Test func aDamagedConfigurationIsRefused() throws {
      try Program.withTemporaryFolder { folder in
        #expect(try train(folder, ["--stop-after", "10"]).status == 75)
        try "batch_size: [\n".write(toFile: folder + "/run/config.yaml", atomically: true, encoding: .utf8)
        for ranks in [1, 2] {
          let result = try Program.mpirun(ranks: ranks, ["train", "--run", "run"], in: folder)
          #expect(result.status == 64 && result.count(ofErrors: "error: run/config.yaml:") == 1, "\(result.errors)")
          #expect(result.errors.contains("mend it, or remove it and give all settings again"))
        }
        // It may be a pipe, which is read once.
        try FileManager.default.removeItem(atPath: folder + "/run/config.yaml")
        let piped = try Program.run(
          ["train", "--run", "run", "--config", "/dev/stdin"], input: "num_train_steps: 12\n", in: folder)
        #expect(piped.status == 0 && piped.errors.contains("num_train_steps changes from 40 to 12"), "\(piped.errors)")
      }
    }

    @Test(arguments: Damage.allCases) func aDamagedCheckpointIsNamedAndAnOlderOneUsed(_ damage: Damage) throws {
      try Program.withTemporaryFolder { folder in
        #expect(try train(folder).status == 0)
        let run = RunFiles(folder + "/run")
        let file = damage == .cutShort ? "optimizer.safetensors" : "model.safetensors"
        try damage.apply(to: "\(run.path)/checkpoints/step-00000040/\(file)")
        let again = try train(folder)
        #expect(again.status == 0, "\(again.errors)")
        #expect(again.errors.contains("checkpoint step-00000040 cannot be used and is left untouched"))
        #expect(again.errors.contains(file))
        #expect(again.errors.contains("resuming from run/checkpoints/step-00000030"))
        try expectUndisturbed(run)

        for name in try run.checkpoints { try damage.apply(to: "\(run.path)/checkpoints/\(name)/\(file)") }
        let none = try train(folder)
        #expect(none.status == 65)
        #expect(none.count(ofErrors: "error: none of the 4 checkpoints in run/checkpoints can be used") == 1)
      }
    }
  }
}

extension CommandTests {
  /// config.yaml of a run folder is the whole run.
  @Suite struct Repeat {
    @Test func configurationRepeatsTheRun() throws {
      try Program.withTemporaryFolder { folder in
        try TrainedDemo.writeData(to: folder + "/data.txt")
        let small = settings([
          "max_seq_length": 9, "hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 7, "batch_size": 20,
          "num_train_epochs": 0.05, "num_warmup_steps": 2, "masking": "static", "mask_prob": 0.8, "gradient_shards": 3,
          "seed": 99,
        ])
        let first = try Program.run(["train", "--data", "data.txt", "--run", "one"] + small, in: folder)
        #expect(first.status == 0, "\(first.errors)")
        let second = try Program.mpirun(
          ranks: 2, ["train", "--config", "one/config.yaml", "--run", "two"], in: folder)
        #expect(second.status == 0, "\(second.errors)")
        let (one, two) = (RunFiles(folder + "/one"), RunFiles(folder + "/two"))
        #expect(try one.comparableLines == two.comparableLines)
        #expect(try one.text("config.yaml") == two.text("config.yaml"))
        #expect(first.output.contains("next: bert4rec-dist evaluate --checkpoint one --data data.txt"))
      }
    }
  }
}
