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

  @Test func resolvesBestThenLatestThenNewest() throws {
    for step in [10, 20, 30] { try Example.write(run, step: step) }
    let checkpoints = run.checkpointsPath
    try FileSystem.replaceAtomically(checkpoints + "/latest", "step-00000020\n")
    try run.setBest(step: 10)
    #expect(try RunFolder.resolve(run.path) == checkpoints + "/step-00000010")
    #expect(try RunFolder.resolve(run.path + "/") == run.path + "//checkpoints/step-00000010")
    try FileSystem.removeRecursively(checkpoints + "/best")
    #expect(try RunFolder.resolve(run.path) == checkpoints + "/step-00000020")
    try FileSystem.removeRecursively(checkpoints + "/latest")
    #expect(try RunFolder.resolve(run.path) == checkpoints + "/step-00000030")
    #expect(try RunFolder.resolve(checkpoints + "/step-00000020") == checkpoints + "/step-00000020")
  }

  @Test func resolveSaysWhatItLookedFor() throws {
    try run.create()
    for path in [run.path, folder.path, folder.path + "/none"] {
      let error = failure { _ = try RunFolder.resolve(path) }
      #expect(error?.exitCode == .unreadable)
      #expect(error?.message.contains("run folder") == true)
      #expect(error?.message.contains(path) == true)
    }
    try Example.write(run, step: 10)
    try FileSystem.replaceAtomically(run.checkpointsPath + "/best", "step-00000099\n")
    #expect(failure { _ = try RunFolder.resolve(run.path) }?.exitCode == .unreadable)
  }

  @Test(arguments: [
    "../../etc", "/etc", "..", ".", "", "\n", "step-00000010/../../..", "step-00000010\n\n", "step-00000010/",
    " step-00000010", "step-10", "step-٠٠٠٠٠٠١٠", "step-00000010\0",
  ])
  func aNameFromAFileLeadsNowhereElse(text: String) throws {
    try Example.write(run, step: 10)
    for file in ["latest", "best"] {
      try FileSystem.replaceAtomically(run.checkpointsPath + "/" + file, text)
      let error = failure { _ = try RunFolder.resolve(run.path) }
      #expect(error?.exitCode == .badData)
      #expect(error?.message.contains(run.checkpointsPath + "/" + file) == true)
      try FileSystem.removeRecursively(run.checkpointsPath + "/" + file)
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
