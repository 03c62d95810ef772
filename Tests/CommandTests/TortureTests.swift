import BERT4RecDist
import Foundation
import TestSupport
import Testing

extension CommandTests {
  /// Ranks or mpirun killed by -9 again and again, at drawn moments, the table replicated or sharded as it comes: each run still ends as one
  /// that nobody disturbed.
  ///
  /// BERT4REC_TORTURE_ROUNDS says how often (default 25); BERT4REC_TORTURE_SEED repeats the draws of a failure, which
  /// prints its seed.
  @Suite struct Tortured {
    /// What a run must end with.
    struct End: Equatable {
      let hash: String
      let lines: [String]
      let model: Data
      let best: String

      init(_ run: RunFiles) throws {
        hash = try run.checkpointHash
        lines = try run.comparableLines(leavingOut: ["parameter_hash"])
        let model = run.path + "/checkpoints/\(Torture.lastCheckpoint)/model.safetensors"
        self.model = try Data(contentsOf: URL(fileURLWithPath: model))
        best = try run.text("checkpoints/best")
      }
    }

    static let undisturbed = Result {
      try Program.withTemporaryFolder { folder in
        let result = try Program.run(Torture.arguments + ["--threads", "1"], in: folder)
        try #require(result.status == 0, "\(result.errors)")
        return try End(RunFiles(folder + "/run"))
      }
    }

    @Test func killedAgainAndAgain() throws {
      let (rounds, seed) = Torture.fromEnvironment()
      var random = SeededGenerator(seed: seed)
      var count = TortureCount()
      let expected = try Self.undisturbed.get()
      while count.kills < rounds {
        count.runs += 1
        try Program.withTemporaryFolder { folder in
          let run = TorturedRun(folder)
          var plan = TorturePlan(using: &random, kills: true)
          while try run.attempt(plan, &count, note: "BERT4REC_TORTURE_SEED=\(seed), kill \(count.kills + 1): \(plan)") {
            plan = TorturePlan(using: &random, kills: count.kills < rounds)
          }
          try expect(run.files, expected, note: "BERT4REC_TORTURE_SEED=\(seed), run \(count.runs)")
        }
      }
      print("torture with BERT4REC_TORTURE_SEED=\(seed): \(count)")
    }

    /// Ranks outlive a killed mpirun by about a second; the first keeps the next run out for as long as it could write.
    @Test func whatIsLeftOfARunKeepsTheNextOneOut() throws {
      try Program.withTemporaryFolder { folder in
        let (run, mark) = (RunFiles(folder + "/run"), ProcessMark())
        // Nothing is printed, since a rank ends when mpirun takes no more of its words.
        let arguments =
          Torture.arguments
          + settings(["num_train_steps": 1_000_000, "report_steps": 1_000_000, "eval_every": 1_000_000])
        let program = try Program.start(arguments, ranks: 2, environment: mark.environment, in: folder)
        try program.wait(for: "step-", in: run.path + "/checkpoints/latest")
        let writer = try #require(program.children.first)
        program.send(SIGKILL)
        _ = try program.wait()
        // Not earlier: what is stopped when its parent dies is hung up.
        kill(writer, SIGSTOP)
        try #require(isRunning(writer))
        let before = RunGlimpse(run)
        let refused = try Program.run(arguments, in: folder)
        #expect(refused.status == 64 && refused.errors.contains("run is in use by another run (process \(writer) on "))
        #expect(RunGlimpse(run) == before)

        kill(writer, SIGCONT)
        let rest = mark.waitUntilGone(within: 60)
        #expect(rest.isEmpty, "these processes did not end: \(rest)")
        let next = try Program.run(arguments + ["--stop-after", "1"], in: folder)
        #expect(next.status == 75 && next.errors.contains("resuming from run/checkpoints/step-"), "\(next.errors)")
      }
    }

    private func expect(_ run: RunFiles, _ expected: End, note: String) throws {
      #expect(try run.reportedSteps == Array(1...Torture.steps), "\(note)")
      let end = try End(run)
      #expect(end.lines == expected.lines, "\(note)")
      #expect(end.hash == expected.hash, "\(note)")
      #expect(end.model == expected.model, "\(note)")
      #expect(end.best == expected.best, "\(note)")
      #expect(try run.text("checkpoints/latest") == Torture.lastCheckpoint + "\n", "\(note)")
      let glimpse = RunGlimpse(run)
      #expect(glimpse.leftovers.isEmpty, "\(note)")
      // The newest two and the best; one more where the last checkpoint's writer died just before it removed that.
      #expect(try (2...4).contains(run.checkpoints.count), "\(note)")
    }
  }
}

/// A run that is started over and over in one folder.
private final class TorturedRun {
  let files: RunFiles
  private let folder: String
  private let mark = ProcessMark()
  private var isHurried = false

  init(_ folder: String) {
    self.folder = folder
    files = RunFiles(folder + "/run")
  }

  /// One try. Returns whether there is something left to do.
  func attempt(_ plan: TorturePlan, _ count: inout TortureCount, note: String) throws -> Bool {
    let before = RunGlimpse(files)
    let program = try Program.start(
      Torture.arguments + ["--threads", "\(plan.threads)", "--set", "table=\(plan.table)"], ranks: plan.ranks, environment: environment,
      in: folder)
    var struck: Date?
    if let victim = plan.victim, waitForMoment(of: plan, program) {
      strike(victim, plan, program)
      struck = Date()
    }
    let result = try program.wait()
    // It may have ended just before the kill.
    let victim = struck == nil || result.status == 0 ? nil : plan.victim
    // Nothing of this try has to be over before the next one; the lock keeps them apart.
    let wasHurried = isHurried
    isHurried = victim != nil && plan.hurries
    if !isHurried {
      let rest = mark.waitUntilGone(within: 60)
      #expect(rest.isEmpty, "these processes did not end: \(rest.joined(separator: "\n")); \(note)")
      inspect(note)
    }
    if let victim, let struck {
      if !isHurried { count.noteEnd(victim, seconds: Date().timeIntervalSince(struck)) }
      count.victims[victim, default: 0] += 1
      let place = TortureCount.place(before: before, after: RunGlimpse(files), errors: result.errors)
      count.places[place, default: 0] += 1
      return true
    }
    if result.status == 0 { return false }
    let isRefused = result.status == 64 && result.errors.contains("run is in use by another run (process ")
    try #require(isRefused && wasHurried, "status \(result.status): \(result.errors); \(note)")
    count.refused += 1
    return true
  }

  /// Open MPI's files in the run's own folder: a killed mpirun leaves them behind.
  private var environment: [String: String] {
    mark.environment.merging([
      "OMPI_MCA_orte_tmpdir_base": folder, "OMPI_MCA_btl_vader_backing_directory": folder,
      // The same of version 5.
      "PRTE_MCA_prte_tmpdir_base": folder, "OMPI_MCA_btl_sm_backing_directory": folder,
    ]) { $1 }
  }

  /// False where the program ends before.
  private func waitForMoment(of plan: TorturePlan, _ program: RunningProgram) -> Bool {
    let start = Date()
    var armed: RunGlimpse?
    // RunningProgram.wait ends a program that hangs.
    while program.isRunning, Date().timeIntervalSince(start) < 60 {
      if plan.moment == .time {
        if Date().timeIntervalSince(start) >= plan.delay { return true }
      } else if let armed {
        if plan.hasCome(since: armed, now: RunGlimpse(files)) {
          usleep(UInt32(plan.delay * 1e6))
          return true
        }
      } else if program.errorText.components(separatedBy: "\nstep ").count > plan.reports {
        armed = RunGlimpse(files)
      }
      usleep(200)
    }
    return false
  }

  private func strike(_ victim: TorturePlan.Victim, _ plan: TorturePlan, _ program: RunningProgram) {
    let ranks = plan.ranks == nil ? [] : program.children
    switch victim {
    case .rank where !ranks.isEmpty: kill(ranks[plan.victimRank % ranks.count], SIGKILL)
    case .rank, .mpirun: program.send(SIGKILL)
    case .all:
      program.send(SIGKILL)
      for rank in ranks { kill(rank, SIGKILL) }
    }
  }

  /// Whatever has a checkpoint's name is one, and `latest` and `best` name such.
  private func inspect(_ note: String) {
    let glimpse = RunGlimpse(files)
    for name in glimpse.names where name.hasPrefix("step-") {
      do { _ = try CheckpointReader.open("\(files.path)/checkpoints/\(name)", withMoments: true) } catch {
        Issue.record("\(name): \(error); \(note)")
      }
    }
    for name in [glimpse.latest, glimpse.best] {
      if let name { #expect(glimpse.names.contains(name), "\(note)") }
    }
  }
}
