import Communication
import Evaluation
import Foundation
import InteractionData
import SystemSupport
import Testing

/// Writes down what it is shown.
final class RecordingHook: EvaluationHook {
  private(set) var calls: [String] = []
  private(set) var results: [UserResult] = []
  private(set) var context: EvaluationContext?
  var failAtBlock: Int?

  func begin(_ context: EvaluationContext) {
    calls.append("begin")
    self.context = context
  }
  func beforeRun(_ block: EvaluationBlock) { calls.append("before \(block.index) \(block.users.count)") }
  func afterRun(_ block: EvaluationBlock, _ results: [UserResult]) throws(ProgramFailure) {
    if block.index == failAtBlock { throw ProgramFailure(.disk, "hook fails at \(block.index)") }
    calls.append("after \(block.index) \(results.map(\.user) == block.users)")
    self.results += results
  }
  func end(_ context: EvaluationContext) { calls.append("end") }
  var metrics: [(key: String, value: Double)] { [("recorded_users", Double(results.count))] }
}

struct EvaluatorTests {
  /// Every number against a slow and obvious computation.
  @Test(arguments: EvaluationSplit.allCases)
  func agreesWithPlainComputation(split: EvaluationSplit) throws {
    let data = randomDataset(users: 201, itemCount: 117, longest: 19, seed: 5)
    let evaluator = Evaluator(dataset: data, maximumLength: 9, communicator: solo())
    let scorer = FunctionScorer(itemCount: 117, score: mixedScore)
    let hook = RecordingHook()
    let report = try #require(try evaluator.evaluate(scorer, split: split, step: 7, hooks: [hook]))
    var (expectedUsers, losses, tops): ([Int], Double, Double) = ([], 0, 0)
    var sums = [EvaluationProtocol: MetricSums]()
    for user in 0..<data.sequences.userCount where data.sequences[user].count >= 3 {
      let items = Array(data.sequences[user])
      let place = items.count - (split == .test ? 1 : 2)
      let (history, label) = (items[..<place], Int(items[place]))
      let scores = (0..<121).map { mixedScore(history.suffix(8), $0) }
      let result = try #require(hook.results.first { $0.user == user })
      expectedUsers.append(user)
      #expect(result.label == Int32(label))
      #expect(result.outcomes.map(\.evaluationProtocol) == [.full, .pop100, .uniform100])
      let full = (1...117).filter { $0 != label && !history.contains(Int32($0)) }
      for outcome in result.outcomes {
        let name = outcome.evaluationProtocol
        let samples = NegativeSampler.draw(
          name, sequences: data.sequences, itemCounts: data.itemCounts, split: split)
        let others = samples.map { $0[user].map { Int($0) } } ?? full
        let rank =
          1 + Double(others.count { scores[$0] > scores[label] })
          + Double(others.count { scores[$0] == scores[label] }) / 2
        #expect(outcome.rank == rank, "user \(user), \(name)")
        #expect(outcome.candidateCount == others.count + 1)
        #expect(result.rank(name) == rank)
        sums[name, default: MetricSums()].add(rank: rank)
      }
      let loss = log(scores.reduce(0.0) { $0 + exp(Double($1)) }) - Double(scores[label])
      #expect(abs(result.maskedItemLoss - loss) < 1e-6)
      let best = scores.firstIndex(of: scores.max() ?? 0)
      #expect(result.isTopPrediction == (best == label))
      let top = (full + [label]).sorted { (-scores[$0], $0) < (-scores[$1], $1) }.prefix(10)
      #expect(result.topItems.map { Int($0) } == Array(top))
      losses += result.maskedItemLoss
      tops += best == label ? 1 : 0
    }
    #expect(hook.results.map(\.user) == expectedUsers)
    #expect(report.users == expectedUsers.count)
    for (name, sums) in sums {
      for (metric, mean) in zip(Metrics.names, sums.means) { #expect(report.value(name.key(metric)) == mean) }
    }
    #expect(report.value("masked_lm_loss") == losses / Double(expectedUsers.count))
    #expect(report.value("masked_lm_accuracy") == tops / Double(expectedUsers.count))
    #expect(report.value("coverage@10[full]") == Double(Set(hook.results.flatMap(\.topItems)).count) / 117)
    #expect(report.value("recorded_users") == Double(expectedUsers.count))
    #expect(hook.context?.step == 7)
    #expect(hook.context?.userCount == expectedUsers.count)
  }

  /// The baseline's shortcut gives what a model with the counts as scores gets.
  @Test(arguments: EvaluationSplit.allCases)
  func baselineIsAModelOfCounts(split: EvaluationSplit) throws {
    let data = randomDataset(users: 90, itemCount: 131, longest: 30, seed: 8)
    let counts = data.itemCounts
    let scorer = FunctionScorer(itemCount: 131) { _, token in
      token == 0 || token > 131 ? 0 : Float(counts[token - 1])
    }
    let evaluator = Evaluator(dataset: data, maximumLength: 20, communicator: solo())
    let report = try #require(try evaluator.evaluate(scorer, split: split, step: 0))
    let keys = report.metrics.map(\.key).filter { $0.hasSuffix("]") && !$0.hasPrefix("popularity/") }
    #expect(keys.count == 3 * 7 + 2)
    for key in keys { #expect(report.value(key) == report.value("popularity/" + key), "\(key)") }
    #expect((report.value("ndcg@10[full]") ?? 0) > 0)
  }

  @Test func constantModelGetsTheMiddleRank() throws {
    let data = randomDataset(users: 40, itemCount: 60, longest: 12, seed: 3)
    let hook = RecordingHook()
    let report = try #require(
      try Evaluator(dataset: data, maximumLength: 5, communicator: solo()).evaluate(
        FunctionScorer(itemCount: 60) { _, _ in 0.5 }, split: .test, step: 0, hooks: [hook]))
    for outcome in hook.results.flatMap(\.outcomes) { #expect(outcome.rank == Double(outcome.candidateCount + 1) / 2) }
    #expect(report.value("hit@10[full]") == 0)
    #expect(report.value("masked_lm_accuracy") == 0)
    #expect(abs((report.value("masked_lm_loss") ?? 0) - log(64)) < 1e-6)
  }

  /// Ten items: all protocols still give their numbers, and say what is special.
  @Test func tinyCatalogue() throws {
    let sequences: [[Int32]] = [[1, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [4, 4, 4], [9, 10], [2, 1, 2, 8]]
    let data = dataset(sequences, itemCount: 10)
    let hook = RecordingHook()
    let report = try #require(
      try Evaluator(dataset: data, maximumLength: 4, communicator: solo()).evaluate(
        FunctionScorer(itemCount: 10) { _, token in Float(token) }, split: .test, step: 3, hooks: [hook]))
    #expect(report.users == 4)
    #expect(
      hook.results.map { $0.outcomes.map(\.candidateCount) }
        == [[8, 8, 101], [1, 1, 1], [10, 10, 101], [8, 8, 101]])
    // The label stays a candidate where the history holds it, and stands in the list.
    #expect(hook.results[2].topItems == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    #expect(hook.results[2].rank(.full) == 7)
    #expect(hook.results[1].topItems == [10])
    #expect(hook.results.map { $0.rank(.full) } == [8, 1, 7, 3])
    #expect(report.notes.count == 4)
    #expect(
      report.notes[3] == "1 of 4 held-out items are in their user's history, where `recommend` hides them (unless --keep-seen)")
    #expect(
      report.notes[0] == "pop100: 4 of 4 users have fewer than 100 unrated items, all of which are their candidates")
    #expect(report.notes[2].hasPrefix("uniform100: 1 of 4 users have no unrated item at all"))
  }

  @Test func hooksAreCalledInOrder() throws {
    // Users 64 to 127 have no held-out item: their block does not appear.
    let sequences = (0..<140).map { user -> [Int32] in (64..<128).contains(user) || user == 3 ? [1] : [1, 2, 3, 2] }
    let data = dataset(sequences, itemCount: 3)
    let expected = ["begin", "before 0 63", "after 0 true", "before 2 12", "after 2 true", "end"]
    for size in [1, 2, 4] {
      let calls = onRanks(size) { communicator throws(CollectiveFailure) in
        let hook = RecordingHook()
        _ = try Evaluator(dataset: data, maximumLength: 4, communicator: communicator).evaluate(
          FunctionScorer(itemCount: 3, score: mixedScore), split: .validation, protocols: [.full], step: 0,
          hooks: [hook])
        return hook.calls
      }
      #expect(try calls.map { try $0.get() } == [expected] + [[String]](repeating: [], count: size - 1))
    }
  }

  /// Several rounds, ranks without a block, the second evaluation from kept negatives: always the same bytes.
  @Test func anyNumberOfRanksGivesTheSame() throws {
    let data = randomDataset(users: 64 * 37 + 11, itemCount: 113, longest: 6, seed: 1)
    func run(_ size: Int) throws -> [[String]?] {
      try onRanks(size) { communicator throws(CollectiveFailure) -> [String]? in
        let evaluator = Evaluator(dataset: data, maximumLength: 5, communicator: communicator)
        let scorer = FunctionScorer(itemCount: 113, score: mixedScore)
        var texts: [String] = []
        for split in [EvaluationSplit.test, .validation, .test] {
          let hook = RecordingHook()
          guard let report = try evaluator.evaluate(scorer, split: split, step: 4, hooks: [hook]) else { continue }
          texts += [report.json, report.table, "\(report.lines)", "\(hook.results)", "\(hook.calls)"]
        }
        return communicator.rank == 0 ? texts : nil
      }.map { try $0.get() }
    }
    let alone = try #require(try run(1)[0])
    #expect(alone.count == 15)
    #expect(Array(alone[..<5]) == Array(alone[10...]))
    #expect(alone[0] != alone[5])
    for size in [2, 3, 8] {
      let results = try run(size)
      #expect(results[0] == alone)
      #expect(results[1...].allSatisfy { $0 == nil })
    }
  }

  /// One rank's trouble stops all of them with the same failure: that of the first user in order.
  @Test(arguments: [1, 2, 3])
  func nonFiniteScoresStopEveryRank(size: Int) {
    let data = dataset((0..<300).map { [Int32($0 + 1), 301, 302] }, itemCount: 302)
    let failures = onRanks(size) { communicator throws(CollectiveFailure) in
      let scorer = FunctionScorer(itemCount: 302) { query, token in
        ((query.first == 200 && token == 17) || (query.first == 71 && token == 301)) ? .infinity : 0
      }
      return try Evaluator(dataset: data, maximumLength: 9, communicator: communicator).evaluate(
        scorer, split: .test, protocols: [.full], step: 0)
    }
    expectNotFinite(failures, ranks: size, user: 70)
  }

  @Test func hookFailuresStopEveryRank() {
    let data = dataset([[Int32]](repeating: [1, 2, 3], count: 130), itemCount: 3)
    let failures = onRanks(2) { communicator throws(CollectiveFailure) in
      let hook = RecordingHook()
      hook.failAtBlock = 1
      return try Evaluator(dataset: data, maximumLength: 9, communicator: communicator).evaluate(
        FunctionScorer(itemCount: 3, score: mixedScore), split: .test, step: 0, hooks: [hook])
    }
    for failure in failures {
      #expect(throws: CollectiveFailure.onEveryRank(.disk, "hook fails at 1")) { try failure.get() }
    }
  }

  /// A scorer sees at most 64 users, and fewer with a big catalogue, so that scores stay within 2^22 numbers.
  @Test func bigCataloguesAreScoredInSmallerParts() throws {
    let data = dataset([[Int32]](repeating: [1, 2, 3], count: 66), itemCount: 100_000)
    let big = FunctionScorer(itemCount: 100_000) { _, token in Float(token) }
    _ = try Evaluator(dataset: data, maximumLength: 9, communicator: solo()).evaluate(
      big, split: .test, protocols: [.full], step: 0)
    #expect(big.calls == [41, 23, 2])
    let small = FunctionScorer(itemCount: 3) { _, token in Float(token) }
    let few = dataset([[Int32]](repeating: [1, 2, 3], count: 66), itemCount: 3)
    _ = try Evaluator(dataset: few, maximumLength: 9, communicator: solo()).evaluate(
      small, split: .test, protocols: [.full], step: 0)
    #expect(small.calls == [64, 2])
  }

  /// More tokens than a tile has: ranks, lists and losses as if there were one.
  @Test func severalTilesAreOneVocabulary() throws {
    let itemCount = 2 * ScoreTile.width + 500
    let sequences: [[Int32]] = (0..<70).map { user in
      [1, Int32(1 + user * 119 % itemCount), Int32(itemCount - user), Int32(1 + user * 7919 % itemCount)]
    }
    let data = dataset(sequences, itemCount: itemCount)
    let hook = RecordingHook()
    _ = try Evaluator(dataset: data, maximumLength: 9, communicator: solo()).evaluate(
      FunctionScorer(itemCount: itemCount, score: mixedScore), split: .test, protocols: [.full, .uniform100], step: 0,
      hooks: [hook])
    let negatives = try #require(
      NegativeSampler.draw(.uniform100, sequences: data.sequences, itemCounts: data.itemCounts, split: .test))
    for (user, result) in hook.results.enumerated() {
      let (history, label) = (sequences[user].dropLast(), Int(sequences[user][3]))
      let scores = (0..<(itemCount + 4)).map { mixedScore(history, $0) }
      let unseen = (1...itemCount).filter { $0 == label || !history.contains(Int32($0)) }
      for (name, others) in [(EvaluationProtocol.full, unseen.filter { $0 != label }), (.uniform100, negatives[user].map { Int($0) })] {
        let greater = others.count { scores[$0] > scores[label] }
        #expect(result.rank(name) == 1 + Double(greater) + Double(others.count { scores[$0] == scores[label] }) / 2)
      }
      #expect(result.topItems.map { Int($0) } == Array(unseen.sorted { (-scores[$0], $0) < (-scores[$1], $1) }.prefix(10)))
      let loss = log(scores.reduce(0.0) { $0 + exp(Double($1)) }) - Double(scores[label])
      #expect(abs(result.maskedItemLoss - loss) < 1e-6)
      #expect(result.isTopPrediction == (scores.firstIndex(of: scores.max() ?? 0) == label))
    }
    #expect(hook.results.count == 70)
  }

  /// A sample is the same users every time, each asked as in an evaluation of these alone.
  @Test func aSampleOfTheUsers() throws {
    let data = randomDataset(users: 500, itemCount: 150, longest: 8, seed: 4)
    let scorer = FunctionScorer(itemCount: 150, score: mixedScore)
    func run(
      _ sample: UserSample?, on communicator: any Communicator = solo()
    ) throws(CollectiveFailure) -> (EvaluationReport?, [UserResult]) {
      let hook = RecordingHook()
      let report = try Evaluator(dataset: data, maximumLength: 9, communicator: communicator).evaluate(
        scorer, split: .validation, sample: sample, step: 0, hooks: [hook])
      return (report, hook.results)
    }
    let (_, all) = try run(nil)
    let (report, sampled) = try run(UserSample(count: 100, seed: 7))
    let users = sampled.map(\.user)
    #expect(users.count == 100 && users == users.sorted() && Set(users).count == 100)
    #expect(Set(users).isSubset(of: all.map(\.user)) && users != Array(all.map(\.user).prefix(100)))
    for result in sampled { #expect(all.first { $0.user == result.user }?.rank(.full) == result.rank(.full)) }
    let (shown, total) = (try #require(report), all.count)
    #expect(shown.users == 100 && shown.sampledFrom == total && shown.json.contains("\"users_of\": \(total),"))
    #expect(shown.table.contains("validation split, step 0, 100 users (a sample of \(total)); popular: "))
    #expect(shown.lines[0].hasPrefix("[full, 100 of \(total) users] "))
    #expect(shown.json.contains("\"users\": 100, \"users_of\": \(total), "))
    // The negatives are those of a data set that holds nobody else's sequences; the baseline's numbers too.
    var alone = data
    alone.sequences = Sequences(users.map { Array(data.sequences[$0]) })
    let expected = try #require(
      try Evaluator(dataset: alone, maximumLength: 9, communicator: solo()).evaluate(scorer, split: .validation, step: 0))
    #expect(shown.metrics.dropLast().map(\.key) == expected.metrics.map(\.key))
    #expect(shown.metrics.dropLast().map(\.value) == expected.metrics.map(\.value))
    // Another seed, other users; more than there are, all of them.
    #expect(try run(UserSample(count: 100, seed: 8)).1.map(\.user) != users)
    let (everybody, asked) = try run(UserSample(count: total + 1, seed: 7))
    #expect(asked == all && everybody?.sampledFrom == nil && everybody?.json.contains("users_of") == false)
  }

  /// Ranks get the sample's negatives in the same way.
  @Test func aSampleOnSeveralRanks() throws {
    let data = randomDataset(users: 64 * 60, itemCount: 150, longest: 6, seed: 9)
    let sample = UserSample(count: 64 * 40 + 3, seed: 1)
    func run(_ size: Int) throws -> String? {
      try onRanks(size) { communicator throws(CollectiveFailure) -> String? in
        try Evaluator(dataset: data, maximumLength: 5, communicator: communicator).evaluate(
          FunctionScorer(itemCount: 150, score: mixedScore), split: .test, sample: sample, step: 0)?.json
      }[0].get()
    }
    let alone = try #require(try run(1))
    for size in [2, 3] { #expect(try run(size) == alone) }
  }

  @Test func refuses() {
    func exitCode(_ data: Dataset, items: Int) -> ProgramExitCode? {
      do throws(CollectiveFailure) {
        _ = try Evaluator(dataset: data, maximumLength: 9, communicator: solo()).evaluate(
          FunctionScorer(itemCount: items, score: mixedScore), split: .test, step: 0)
        return nil
      } catch {
        return error.exitCode
      }
    }
    #expect(exitCode(dataset([[1, 2], [2]], itemCount: 2), items: 2) == .badData)
    #expect(exitCode(dataset([[1, 2, 1]], itemCount: 2), items: 3) == .usage)
    #expect(exitCode(dataset([], itemCount: 0), items: 0) == .badData)
    #expect(exitCode(dataset([[1, 2, 1]], itemCount: 2), items: 2) == nil)
  }
}
