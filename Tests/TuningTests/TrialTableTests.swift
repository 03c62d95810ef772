import Foundation
import SystemSupport
import Testing
import Tuning

@Suite struct TrialTableTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("trials-\(UUID().uuidString)").path

  private func filled() throws -> TrialTable {
    try FileSystem.createDirectories(folder)
    var table = try TrialTable(folder: folder, question: "q")
    try table.put(Trial(rung: 0, number: 0, steps: 8, settings: [], curve: [(4, 0.25), (8, 0.125)], isDone: true))
    try table.put(
      Trial(rung: 0, number: 1, steps: 8, settings: [("learning_rate", "0.01"), ("batch_size", "8")], curve: [(8, 0.5)], isDone: true))
    try table.put(Trial(rung: 0, number: 2, steps: 8, settings: [("batch_size", "9")], isDone: true))
    try table.put(Trial(rung: 0, number: 3, steps: 9, settings: [("batch_size", "7")], curve: [(9, 0.25)], isDone: true))
    try table.put(Trial(rung: 1, number: 1, steps: 24, settings: [("batch_size", "8")]))
    return table
  }

  @Test func whatWasWrittenIsReadAgain() throws {
    defer { try? FileSystem.removeRecursively(folder) }
    let table = try filled()
    let again = try TrialTable(folder: folder, question: "q")
    #expect(again.trials == table.trials && again.trials.count == 5)
    #expect(again.trial(rung: 0, number: 0)?.score == 0.25 && again.trial(rung: 1, number: 1)?.isDone == false)
  }

  @Test func theBestAreChosenTheEarlierOfEquals() throws {
    defer { try? FileSystem.removeRecursively(folder) }
    let table = try filled()
    #expect(table.best(ofRung: 0, count: 2) == [1, 0])
    // The one whose numbers were not finite is never among them.
    #expect(table.best(ofRung: 0, count: 9) == [1, 0, 3])
    #expect(table.best(ofRung: 1, count: 1) == [])
  }

  @Test func aLaterLineTakesThePlaceOfTheEarlier() throws {
    defer { try? FileSystem.removeRecursively(folder) }
    var table = try filled()
    try table.put(Trial(rung: 1, number: 1, steps: 24, settings: [("batch_size", "8")], curve: [(24, 0.75)], isDone: true))
    #expect(try TrialTable(folder: folder, question: "q").trials.count == 5)
    #expect(table.best(ofRung: 1, count: 1) == [1])
  }

  @Test func anotherQuestionAndDamageAreRefused() throws {
    defer { try? FileSystem.removeRecursively(folder) }
    _ = try filled()
    let other = #expect(throws: ProgramFailure.self) { try TrialTable(folder: folder, question: "other") }
    #expect(other?.exitCode == .usage && other?.message.contains("another search") == true)
    let path = folder + "/trials.tsv"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    for damaged in [text.replacingOccurrences(of: "0.5", with: "x"), text + "1\t2\n", "", "# q\n"] {
      try damaged.write(toFile: path, atomically: true, encoding: .utf8)
      let failure = #expect(throws: ProgramFailure.self) { try TrialTable(folder: folder, question: "q") }
      #expect(failure?.exitCode == .badData && failure?.message.contains(path) == true)
    }
  }
}
