import SystemSupport
import Testing
import Tuning

@Suite struct SearchSpaceTests {
  private let text = """
    learning_rate: {from: 3e-4, to: 3e-3, scale: log}
    batch_size: [32, 64]
    num_warmup_steps: {from: 10, to: 20}
    hidden_dropout_prob: {from: 0.1, to: 0.5}
    """

  @Test func drawsStayInsideAndReachEverything() throws {
    let space = try SearchSpace(yaml: text, file: "space.yaml")
    let draws = (1...400).map { trial in
      Dictionary(uniqueKeysWithValues: space.draw(trial: trial, seed: 1).map { ($0.key, $0.value) })
    }
    let rates = draws.compactMap { Double($0["learning_rate"] ?? "") }
    #expect(rates.count == 400 && rates.allSatisfy { (3e-4...3e-3).contains($0) })
    // Half of a logarithmic range lies below the geometric mean.
    let low = rates.filter { $0 < 9.487e-4 }.count
    #expect((150...250).contains(low))
    #expect(Set(draws.compactMap { $0["batch_size"] }) == ["32", "64"])
    #expect(Set(draws.compactMap { $0["num_warmup_steps"].flatMap(Int.init) }) == Set(10...20))
    let dropouts = draws.compactMap { Double($0["hidden_dropout_prob"] ?? "") }
    #expect((160...240).contains(dropouts.filter { $0 < 0.3 }.count))
  }

  @Test func aDrawDependsOnSeedTrialAndAttemptAlone() throws {
    let space = try SearchSpace(yaml: text, file: "space.yaml")
    func draw(_ trial: Int, _ attempt: Int, _ seed: UInt64) -> [String] {
      space.draw(trial: trial, attempt: attempt, seed: seed).map { "\($0.key)=\($0.value)" }
    }
    #expect(draw(3, 0, 7) == draw(3, 0, 7))
    #expect(draw(3, 0, 7) != draw(4, 0, 7) && draw(3, 0, 7) != draw(3, 1, 7) && draw(3, 0, 7) != draw(3, 0, 8))
  }

  @Test(arguments: [
    ("", "there is none"),
    ("learning_rate", "there is none"),
    ("learning_rat: [1e-3]", "space.yaml:1: unknown key \"learning_rat\""),
    ("batch_size: [8]\nseed: [1, 2]", "space.yaml:2: \"seed\" cannot be searched"),
    ("num_train_steps: [100]", "cannot be searched"),
    ("threads: [1, 2]", "cannot be searched"),
    ("batch_size: 64", "needs a list"),
    ("batch_size: []", "must be a list of plain values"),
    ("batch_size: [[1]]", "must be a list of plain values"),
    ("batch_size: [64, many]", "batch_size is \"many\""),
    ("learning_rate: {from: 3, to: 1}", "must be {from: A, to: B}"),
    ("learning_rate: {from: 0, to: 1, scale: log}", "must be {from: A, to: B}"),
    ("learning_rate: {from: 1, to: 2, step: 1}", "must be {from: A, to: B}"),
    ("learning_rate: {from: 1, to: 99}", "learning_rate is \"99.0\""),
    ("learning_rate: [1", "not YAML"),
  ]) func whatIsNoSearchSpaceIsRefused(yaml: String, words: String) {
    let failure = #expect(throws: ProgramFailure.self) { try SearchSpace(yaml: yaml, file: "space.yaml") }
    #expect(failure?.exitCode == .usage && failure?.message.contains(words) == true, "\(failure?.message ?? "none")")
  }
}

@Suite struct HalvingPlanTests {
  @Test func everyRungCostsTheSame() {
    let plan = HalvingPlan(trials: 9, budget: 27)
    #expect(plan.rungs.map(\.trials) == [9, 3, 1])
    #expect(plan.rungs.map(\.minutes) == [1, 3, 9])
  }

  @Test(arguments: [1, 2, 3, 4, 10, 28, 100]) func itEndsWithOneTrialWithinTheBudget(trials: Int) {
    let rungs = HalvingPlan(trials: trials, budget: 60).rungs
    #expect(rungs.first?.trials == trials && rungs.last?.trials == 1)
    #expect(abs(rungs.reduce(0) { $0 + Double($1.trials) * $1.minutes } - 60) < 1e-9)
    #expect(zip(rungs, rungs.dropFirst()).allSatisfy { $1.trials < $0.trials && $1.minutes > $0.minutes })
  }
}
