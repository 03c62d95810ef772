import Checkpoints
import SystemSupport
import Testing

@Suite struct RunFolderTests {
  let folder: TemporaryFolder
  let run: RunFolder

  init() throws {
    folder = try TemporaryFolder()
    run = RunFolder(folder.path + "/runs/deep/run")
  }

  @Test func createsWithItsConfiguration() throws {
    try run.create(configuration: "batch_size: 3\n")
    try run.create(configuration: "batch_size: 4\n")
    #expect(try FileSystem.list(run.path) == ["checkpoints", "config.yaml"])
    #expect(String(decoding: try FileSystem.read(run.configurationPath), as: UTF8.self) == "batch_size: 4\n")
    #expect(try run.checkpoints().isEmpty)
    let none = try run.newestGood(log: { _ in })
    #expect(none?.path == nil)
  }

  @Test func otherNamesAreNotCheckpoints() throws {
    try Example.write(run, step: 7)
    for name in ["step-7", "step-000000007", "step-0000000x", "step-+0000007", "step--0000007", "step-00000008.bak"] {
      try FileSystem.createDirectories(run.checkpointsPath + "/" + name)
    }
    #expect(try run.checkpoints() == ["step-00000007"])
  }

  @Test func aDamagedCheckpointIsNamedAndTheNextOneTaken() throws {
    for step in [10, 20, 30] { try Example.write(run, step: step, shift: Float(step)) }
    try FileSystem.removeRecursively(run.checkpointsPath + "/step-00000030/items.tsv")
    try FileSystem.writeDurably(run.checkpointsPath + "/step-00000020/optimizer.safetensors", [0])
    var lines: [String] = []
    let checkpoint = try #require(try run.newestGood { lines.append($0) })
    #expect(checkpoint.state.step == 10)
    #expect(Example.parameters(of: checkpoint) == Example.parameters.map { $0 + 10 })
    #expect(lines.count == 2)
    #expect(lines[0].contains("step-00000030") && lines[0].contains("items.tsv"))
    #expect(lines[1].contains("step-00000020") && lines[1].contains("optimizer.safetensors"))
    #expect(FileSystem.kind(run.checkpointsPath + "/step-00000030") == .directory)
    #expect(try run.latest() == "step-00000010")
  }

  /// As a crash leaves it that comes between a checkpoint and its name, or a hand that edits it.
  @Test(arguments: ["step-00000010\n", "step-00000099\n", "nonsense", nil]) func latestIsMended(text: String?) throws {
    for step in [10, 20] { try Example.write(run, step: step) }
    let path = run.checkpointsPath + "/latest"
    try FileSystem.removeRecursively(path)
    if let text { try FileSystem.replaceAtomically(path, text) }
    #expect(try run.newestGood(log: { Issue.record("\($0)") })?.state.step == 20)
    #expect(try run.latest() == "step-00000020")
  }

  @Test func whereNoneIsGoodNothingStartsFromNothing() throws {
    let path = try Example.write(run, step: 10)
    try FileSystem.removeRecursively(path + "/trainer.json")
    #expect(failure { _ = try run.newestGood(log: { _ in }) }?.exitCode == .badData)
  }

  /// The path of what a run folder stands for, and what was said.
  private func taken() throws -> (name: String, lines: [String]) {
    var lines: [String] = []
    let checkpoint = try RunFolder.open(run.path, log: { lines.append($0) })
    return (FileSystem.lastComponent(of: checkpoint.path), lines)
  }

  @Test func bestThenLatestThenNewest() throws {
    for step in [10, 20, 30] { try Example.write(run, step: step) }
    let checkpoints = run.checkpointsPath
    try FileSystem.replaceAtomically(checkpoints + "/latest", "step-00000020\n")
    try run.setBest(step: 10)
    func open(_ path: String) throws -> String { try RunFolder.open(path, log: { Issue.record("\($0)") }).path }
    #expect(try open(run.path) == checkpoints + "/step-00000010")
    #expect(try open(run.path + "/") == run.path + "//checkpoints/step-00000010")
    try run.removeBest()
    #expect(try open(run.path) == checkpoints + "/step-00000020")
    try FileSystem.removeRecursively(checkpoints + "/latest")
    #expect(try open(run.path) == checkpoints + "/step-00000030")
    #expect(try open(checkpoints + "/step-00000020") == checkpoints + "/step-00000020")
  }

  /// Of the checkpoints that are whole, the one with the best validation; of equal ones the earliest; without any, the newest.
  @Test func aDamagedBestIsNamedAndTheNextBestTaken() throws {
    let best = TrainerState.Best(step: 20, score: 0.5, metric: "ndcg@10[full]")
    for step in [10, 20, 30, 40, 50] { try Example.write(run, step: step, best: best) }
    try run.setBest(step: 20)
    let scores = [(10, 0.2), (20, 0.5), (25, 0.45), (30, 0.4), (40, 0.4), (50, 0.3)]
    let lines = scores.map {
      "{\"step\":\($0.0),\"split\":\"validation\",\"ndcg@10[full]\":\($0.1),\"mrr[full]\":\($0.0)}\n"
    }
    try FileSystem.replaceAtomically(run.metricsPath, lines.joined() + "{\"step\":50,\"split\":\"test\",\"ndcg@10[full]\":0.9}\n{")
    #expect(try taken() == ("step-00000020", []))

    var damaged = ["step-00000020"]
    for next in ["step-00000030", "step-00000040", "step-00000050", "step-00000010"] {
      try FileSystem.writeDurably("\(run.checkpointsPath)/\(damaged[damaged.count - 1])/model.safetensors", [0])
      let (name, lines) = try taken()
      #expect(name == next && lines.count == damaged.count + 1, "\(lines)")
      for (line, folder) in zip(lines, damaged) {
        #expect(line.hasPrefix("checkpoint \(folder) cannot be used and is left untouched: ") && line.contains("model.safetensors"))
      }
      #expect(lines.last == "\(run.checkpointsPath)/\(next) is taken instead")
      damaged.append(next)
    }
    #expect(try FileSystem.read(run.checkpointsPath + "/best") == Array("step-00000020\n".utf8))
    try FileSystem.removeRecursively(run.metricsPath)
    #expect(try taken().name == "step-00000010")
    try FileSystem.writeDurably("\(run.checkpointsPath)/step-00000010/model.safetensors", [0])
    #expect(failure { _ = try taken() }?.exitCode == .badData)
  }

  @Test func openSaysWhatItLookedFor() throws {
    try run.create()
    for path in [run.path, folder.path, folder.path + "/none"] {
      let error = failure { _ = try RunFolder.open(path, log: { Issue.record("\($0)") }) }
      #expect(error?.exitCode == .unreadable)
      #expect(error?.message.contains("run folder") == true)
      #expect(error?.message.contains(path) == true)
    }
    try Example.write(run, step: 10)
    try FileSystem.replaceAtomically(run.checkpointsPath + "/best", "step-00000099\n")
    let (name, lines) = try taken()
    #expect(name == "step-00000010" && lines.count == 2)
    #expect(lines[0].hasPrefix("checkpoint step-00000099 cannot be used: ") && lines[0].contains("no such folder"))
  }

  @Test(arguments: [
    "../../etc", "/etc", "..", ".", "", "\n", "step-00000010/../../..", "step-00000010\n\n", "step-00000010/",
    " step-00000010", "step-10", "step-٠٠٠٠٠٠١٠", "step-00000010\0",
  ])
  func aNameFromAFileLeadsNowhereElse(text: String) throws {
    try Example.write(run, step: 10)
    for file in ["latest", "best"] {
      try FileSystem.replaceAtomically(run.checkpointsPath + "/" + file, text)
      let (name, lines) = try taken()
      #expect(name == "step-00000010" && lines.count == 1)
      #expect(lines[0].hasPrefix("\(run.checkpointsPath)/\(file) is damaged"))
      try FileSystem.replaceAtomically(run.checkpointsPath + "/latest", "step-00000010\n")
      try run.removeBest()
    }
  }

  @Test func theBestMustBeThere() throws {
    try run.create()
    #expect(failure { try run.setBest(step: 3) }?.exitCode == .disk)
    #expect(try run.best() == nil)
  }

  @Test func oneRunAtATime() throws {
    try run.create()
    var lock: RunLock? = try RunLock(run, log: { Issue.record("\($0)") })
    let error = failure { _ = try RunLock(run, log: { Issue.record("\($0)") }) }
    #expect(error?.exitCode == .usage)
    #expect(error?.message.contains(run.path) == true)
    #expect(error?.message.contains("process ") == true, "\(error?.message ?? "")")
    withExtendedLifetime(lock) {}
    lock = nil
    _ = try RunLock(run, log: { Issue.record("\($0)") })
  }
}
