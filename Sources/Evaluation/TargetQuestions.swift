import InteractionData
import SystemSupport

/// Whom an evaluation of lists asks about: what each user did before, and what afterwards. Items are numbers of `ItemNumbers`.
package struct TargetQuestions: Sendable {
  package struct Question: Sendable, Equatable {
    /// The oldest first, items of the catalogue only; empty where nothing is known.
    package var history: [Int32]
    /// At least one. Those above the catalogue can be in no list that is made of it.
    package var targets: Set<Int32>

    package init(history: [Int32], targets: Set<Int32>) { (self.history, self.targets) = (history, targets) }
  }

  package private(set) var questions: [Question] = []
  /// External ids of those who are asked about, in the same order.
  package private(set) var users = ExternalIDs()
  /// For JSON, in order.
  package private(set) var counts: [(key: String, value: Int)] = []
  /// What a reader should know of it, in words.
  package private(set) var notes: [String] = []

  /// Users of a file of targets, in order of first appearance, each with all of its items there: an item that stands there again is one
  /// target.
  ///
  /// - Parameters:
  ///   - targets: the file as a data set of its own.
  ///   - histories: what users did before; nil where nothing is known. Its items are the catalogue of `items`.
  ///   - items: gives numbers to all items.
  package init(targets: Dataset, histories: Dataset?, items: ItemNumbers) throws(ProgramFailure) {
    var numbers: [Int32] = []
    for index in 0..<targets.itemIDs.count { numbers.append(try items.number(targets.itemIDs[index])) }
    let index = histories.map { ItemIndex($0.userIDs) }
    var (targetCount, unknown, withoutHistory, asked) = (0, 0, 0, 0)
    for user in 0..<targets.sequences.userCount {
      let own = Set(targets.sequences[user].map { numbers[Int($0) - 1] })
      var history: [Int32] = []
      let place = index?.item(targets.userIDs[user]).map { Int($0) - 1 }
      if let histories, let place {
        history = Array(histories.sequences[place])
        asked += 1
      } else {
        withoutHistory += 1
      }
      targetCount += own.count
      unknown += own.count { !items.isKnown($0) }
      questions.append(Question(history: history, targets: own))
    }
    users = targets.userIDs
    let repeats = targets.sequences.interactionCount - targetCount
    counts = [("targets", targetCount), ("repeated_targets", repeats)]
    if repeats > 0 { notes.append("\(repeats) rows of \(targets.name) give a user a target again, which counts once") }
    guard let histories else { return }
    let withoutTargets = histories.sequences.userCount - asked
    counts += [
      ("unknown_targets", unknown), ("users_without_history", withoutHistory), ("users_without_targets", withoutTargets),
    ]
    let cases = [
      (unknown, "\(unknown) of \(targetCount) targets are items that are not known: they count as missed"),
      (withoutHistory, "\(withoutHistory) of \(questions.count) users have no history in the data: they count all the same"),
      (withoutTargets, "\(withoutTargets) of \(histories.sequences.userCount) users of the data have no targets: they are left out"),
    ]
    notes += cases.filter { $0.0 > 0 }.map(\.1)
  }

  /// Each user's held-out item as the only target, with all items before it as the history. Throws `badData` where nobody has one.
  /// `testsLater`: the data end before a split by time (`LeaveOneOut`).
  package init(_ dataset: Dataset, leaveOneOut split: EvaluationSplit, testsLater: Bool = false) throws(ProgramFailure) {
    let all = LeaveOneOut(dataset.sequences, holdout: .testAndValidation, testsLater: testsLater)
    for user in 0..<dataset.sequences.userCount {
      guard let (history, label) = all.heldOut(of: user, split: split) else { continue }
      questions.append(Question(history: Array(history), targets: [label]))
      users.append(dataset.userIDs[user])
    }
    guard !questions.isEmpty else {
      throw ProgramFailure(
        .badData,
        "no user of \(dataset.name) has \(LeaveOneOut.minimumLength) interactions, so there is no item to hold out; give longer "
          + "histories, or what users did later with --targets")
    }
    let short = dataset.sequences.userCount - questions.count
    counts = [("targets", questions.count), ("users_without_targets", short)]
    if short > 0 {
      notes = [
        "\(short) of \(dataset.sequences.userCount) users have fewer than \(LeaveOneOut.minimumLength) items: they are left out"
      ]
    }
  }

  /// How many targets their users had before: where lists hide the history, no list can have them.
  package var targetsInHistory: Int {
    questions.reduce(0) { count, question in count + Set(question.history).count(where: question.targets.contains) }
  }
}
