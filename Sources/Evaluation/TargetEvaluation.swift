import InteractionData
import SystemSupport

/// Takes a list of recommended items for each question in turn and sums the metrics, with those of the most popular items beside. The
/// order of the questions is the order of the sums, so digits depend on nothing else.
package struct TargetEvaluation {
  private let questions: TargetQuestions
  private let cutoffs: [Int]
  private let keepSeen: Bool
  private var next = 0
  private var sums: TargetSums
  private var lists: CatalogueSums?
  private var baseline: Baseline?

  /// The most popular items of the histories that a user has not had: with `keepSeen`, of all.
  fileprivate struct Baseline {
    var mostPopular: MostPopular
    var seen: ItemMarks
    var sums: TargetSums
    var lists: CatalogueSums
  }

  /// - Parameters:
  ///   - popularity: of the catalogue; nil where there are no histories, and then there is no baseline, no coverage, mean popularity
  ///     and novelty.
  ///   - cutoffs: ascending, from 1.
  ///   - keepSeen: what the baseline's lists hold; the lists that are given are taken as they are.
  package init(_ questions: TargetQuestions, popularity: ItemPopularity?, cutoffs: [Int], keepSeen: Bool) {
    precondition(!cutoffs.isEmpty && cutoffs[0] >= 1 && zip(cutoffs, cutoffs.dropFirst()).allSatisfy { $0 < $1 })
    self.questions = questions
    self.cutoffs = cutoffs
    self.keepSeen = keepSeen
    sums = TargetSums(cutoffs: cutoffs)
    guard let popularity else { return }
    let lists = CatalogueSums(cutoffs: cutoffs, popularity: popularity)
    self.lists = lists
    baseline = Baseline(
      mostPopular: MostPopular(itemCounts: popularity.interactions), seen: ItemMarks(count: popularity.itemCount + 1),
      sums: TargetSums(cutoffs: cutoffs), lists: lists)
  }

  /// Items that a list needs.
  package var listLength: Int { cutoffs.last ?? 0 }

  /// The next question's list, best first; longer ones are cut, and an empty one is a miss.
  package mutating func add(_ list: [Int32]) {
    Liveness.tick()
    let question = questions.questions[next]
    next += 1
    let length = listLength
    let list = Array(list.prefix(length))
    sums.add(list: list, targets: question.targets)
    lists?.add(list: list)
    baseline?.add(question, length: length, keepSeen: keepSeen)
  }

  /// After the last list. `subject` is what was evaluated, such as "step 1500"; `counts` and `notes` of the caller come first.
  package func report(
    subject: String, step: Int? = nil, counts: [(key: String, value: Int)] = [], notes: [String] = []
  ) -> TargetReport {
    precondition(next == questions.questions.count, "a list for each question")
    var metrics = sums.metrics(prefix: "") + (lists?.metrics(prefix: "") ?? [])
    if let baseline {
      metrics += baseline.sums.metrics(prefix: "popularity/") + baseline.lists.metrics(prefix: "popularity/")
    }
    return TargetReport(
      subject: subject, step: step, users: questions.questions.count, cutoffs: cutoffs, metrics: metrics,
      counts: questions.counts + counts, notes: notes + questions.notes)
  }
}

extension TargetEvaluation.Baseline {
  fileprivate mutating func add(_ question: TargetQuestions.Question, length: Int, keepSeen: Bool) {
    seen.removeAll()
    if !keepSeen { for item in question.history { seen.insert(Int(item)) } }
    let list = mostPopular.first(length, excluding: seen).map(\.item)
    sums.add(list: list, targets: question.targets)
    lists.add(list: list)
  }
}
