import BERT4RecDist

/// Lists of recommended items against what users did afterwards.
extension EvaluateCommand {
  /// The model's lists, as `recommend` gives them, against a file's targets, or those behind a split by time where there is none: rank 0
  /// reads, asks and sums, all ranks score. `options` are rank 0's.
  func evaluateTargets(
    _ model: CheckpointModel, _ options: LoadingOptions, _ cutoffs: [Int], _ communicator: any Communicator, _ progress: RankProgress
  ) throws(CollectiveFailure) {
    var asked: TargetLists.Asked?
    var notes: [String] = []
    try communicator.onRankZero { () throws(ProgramFailure) in
      let (loaded, later) = try loadDatasetAndTargets(InputPaths.joined(data), options: options, log: { printError($0) })
      if loaded.fingerprint != model.dataFingerprint {
        notes = [
          "\(loaded.name) is not the data that the model was trained on (\(model.dataName)): whether it was trained on targets is not known"
        ]
      }
      let dataset = try model.translate(loaded, log: { printError($0) })
      guard let read = try targets.map({ path throws(ProgramFailure) in try readTargets(path, options) }) ?? later else {
        preconditionFailure("there is a split")
      }
      asked = try TargetLists.Asked(targets: read, histories: dataset, itemIDs: model.itemIDs)
    }
    let scorer = try model.makeScorer(
      longestQuery: communicator.broadcast(asked?.longestQuery ?? 1), threads: threads, communicator: communicator)
    progress.enter(.evaluation)
    func measure(_ files: TRECFolder?) throws(CollectiveFailure) -> TargetReport? {
      try TargetLists.evaluate(
        asked, .replicas(scorer), itemCounts: model.itemCounts, maximumLength: model.state.configuration.maximumSequenceLength,
        cutoffs: cutoffs,
        keepSeen: keepSeen, step: model.state.step, notes: notes, communicator: communicator,
        seeing: { (user, list) throws(ProgramFailure) in
          guard let files, let later = asked?.targets else { return }
          try files.add(later.userIDs[user], list, targets: Set(later.sequences[user]).sorted().map { later.itemIDs[Int($0) - 1] })
        })
    }
    var report: TargetReport?
    if let trec {
      try writeTREC(trec, itemIDs: model.itemIDs, communicator) { files throws(CollectiveFailure) in report = try measure(files) }
    } else {
      report = try measure(nil)
    }
    if let report { show([report.table], json: report.json, communicator) }
  }

  /// Another program's lists, which rank 0 reads and measures.
  func evaluate(predictions path: String, _ cutoffs: [Int], _ communicator: any Communicator) throws(CollectiveFailure) {
    let report = try communicator.onRankZero { () throws(ProgramFailure) in try measure(path, cutoffs) }
    if let report { show([report.table], json: report.json, communicator) }
  }

  private func measure(_ path: String, _ cutoffs: [Int]) throws(ProgramFailure) -> TargetReport {
    var options = try reading.options() ?? LoadingOptions()
    if case .at(let time) = try Self.split(splitTime) { options.splitTime = time }
    var (dataset, later): (Dataset?, Dataset?)
    if !data.isEmpty {
      (dataset, later) = try loadDatasetAndTargets(InputPaths.joined(data), options: options, log: { printError($0) })
    }
    let items = ItemNumbers(dataset?.itemIDs ?? ExternalIDs())
    let questions: TargetQuestions
    let subject: String
    if let read = try targets.map({ path throws(ProgramFailure) in try readTargets(path, options) }) ?? (split == .validation ? nil : later)
    {
      questions = try TargetQuestions(targets: read, histories: dataset, items: items)
      subject = "targets \(read.name)"
    } else {
      guard let dataset else { preconditionFailure("validated") }
      questions = try TargetQuestions(dataset, leaveOneOut: split ?? .test, testsLater: later != nil)
      subject = "\((split ?? .test).rawValue) split of \(dataset.name)"
    }
    let predictions = try Predictions.read(path, log: { printError($0) })
    let users = ItemIndex(predictions.users)
    var evaluation = TargetEvaluation(
      questions, popularity: dataset.map { ItemPopularity($0.sequences, itemCount: $0.itemCount) }, cutoffs: cutoffs,
      keepSeen: keepSeen)
    var (absent, seen, unknown) = (0, 0, 0)
    for (place, question) in questions.questions.enumerated() {
      var list: [Int32] = []
      if let user = users.item(questions.users[place]) {
        for id in predictions.items(of: Int(user) - 1).prefix(evaluation.listLength) { list.append(try items.number(id)) }
        let history = Set(question.history)
        seen += list.count(where: history.contains)
        unknown += list.count { !items.isKnown($0) }
      } else {
        absent += 1
      }
      evaluation.add(list)
    }
    let others = predictions.users.count - (questions.questions.count - absent)
    if others == predictions.users.count {
      throw ProgramFailure(
        .badData,
        "none of the \(predictions.users.count) users of \(path) is one of the \(questions.questions.count) that have targets; give "
          + "predictions with the same user ids")
    }
    var notes = ["lists of \(path), taken for a ranking of the whole catalogue; the items that are not in a list are missed"]
    let cases = [
      (absent, "\(absent) of \(questions.questions.count) users have no predictions: they count as missed"),
      (others, "\(others) of \(predictions.users.count) users of the predictions have no targets: they are left out"),
      (seen, "\(seen) predictions are items of their user's history; the most popular beside are \(keepSeen ? "too" : "not")"),
      (dataset == nil ? 0 : unknown, "\(unknown) predictions are of items that are not in the data"),
    ]
    notes += cases.filter { $0.0 > 0 }.map(\.1)
    if dataset == nil { notes.append("without --data there is no history: no most popular items, coverage, popularity and novelty") }
    return evaluation.report(
      subject: subject, counts: [("users_without_predictions", absent), ("predicted_users_without_targets", others)], notes: notes)
  }

  /// The file of targets, read as the data are; what is left out of these and where they are split is theirs alone.
  private func readTargets(_ path: String, _ options: LoadingOptions) throws(ProgramFailure) -> Dataset {
    var options = options
    if options.filters != InteractionFilters() { printError("\(path): read without the filters that hold for the data") }
    (options.filters, options.splitTime) = (InteractionFilters(), nil)
    let read = try DatasetLoader.load([path], options: options, log: { printError($0) }).dataset
    printError("\(path): \(read.sequences.interactionCount) targets of \(read.sequences.userCount) users")
    return read
  }
}
