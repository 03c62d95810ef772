import BERT4RecDist

/// Lists of recommended items against what users did afterwards.
extension EvaluateCommand {
  /// The model's lists, as `recommend` gives them: rank 0 reads, asks and sums, all ranks score.
  func evaluate(
    _ model: CheckpointModel, targets path: String, _ cutoffs: [Int], _ communicator: any Communicator, _ progress: RankProgress
  ) throws(CollectiveFailure) {
    var (histories, longestQuery): ([[Int32]], Int) = ([], 1)
    var evaluation: TargetEvaluation?
    var asked: Dataset?
    var (name, hidden, notes): (String, Int, [String]) = ("", 0, [])
    try communicator.onRankZero { () throws(Failure) in
      let said = try reading.options(format: format)
      let dataPath = InputPaths.joined(data)
      let loaded = try model.load(dataPath, options: said, log: { printError($0) })
      if loaded.fingerprint != model.dataFingerprint {
        notes = [
          "\(loaded.name) is not the data that the model was trained on (\(model.dataName)): whether it was trained on targets is not known"
        ]
      }
      let dataset = try model.translate(loaded, log: { printError($0) })
      let read = try readTargets(path, try model.loadingOptions(for: dataPath, said))
      let questions = try TargetQuestions(targets: read, histories: dataset, items: ItemNumbers(model.itemIDs))
      name = read.name
      asked = read
      if !keepSeen { hidden = questions.targetsInHistory }
      histories = questions.questions.map(\.history)
      longestQuery = histories.reduce(1) { max($0, $1.count + 1) }
      evaluation = TargetEvaluation(
        questions, popularity: ItemPopularity(dataset.sequences, itemCount: dataset.itemCount), cutoffs: cutoffs, keepSeen: keepSeen)
    }
    let scorer = try model.makeScorer(
      longestQuery: communicator.broadcast(longestQuery), threads: threads, communicator: communicator)
    progress.enter(.evaluation)
    let recommender = try communicator.onEveryRank { () throws(Failure) in
      try Recommender(
        scorer: scorer, itemCounts: model.itemCounts, maximumLength: model.state.configuration.maximumSequenceLength)
    }
    var fallbacks = 0
    func measure(_ files: TRECFolder?) throws(CollectiveFailure) {
      try recommender.recommend(
        count: histories.count, topK: cutoffs.last ?? 1, keepSeen: keepSeen, on: communicator, history: { histories[$0] }
      ) { (user, list) throws(Failure) in
        if list.isFallback { fallbacks += 1 }
        evaluation?.add(list.items.map(\.item))
        if let files, let asked {
          // A question per user of the file, in its order.
          let targets = Set(asked.sequences[user]).sorted().map { asked.itemIDs[Int($0) - 1] }
          try files.add(asked.userIDs[user], list, targets: targets)
        }
        return true
      }
    }
    if let trec {
      try writeTREC(trec, itemIDs: model.itemIDs, communicator) { files throws(CollectiveFailure) in try measure(files) }
    } else {
      try measure(nil)
    }
    guard let evaluation else { return }
    if fallbacks > 0 {
      notes.append("\(fallbacks) of \(histories.count) users have no history that the model knows: they get the most popular items")
    }
    if hidden > 0 {
      notes.append("\(hidden) targets are in their user's history, which lists do not hold (unless --keep-seen): they count as missed")
    }
    if keepSeen { notes.append("lists are of all items, those of the user's history included (--keep-seen)") }
    let report = evaluation.report(
      subject: "targets \(name), step \(model.state.step)", step: model.state.step,
      counts: [("users_with_fallback", fallbacks), ("hidden_targets", hidden)], notes: notes)
    show([report.table], json: report.json, communicator)
  }

  /// Another program's lists, which rank 0 reads and measures.
  func evaluate(predictions path: String, _ cutoffs: [Int], _ communicator: any Communicator) throws(CollectiveFailure) {
    let report = try communicator.onRankZero { () throws(Failure) in try measure(path, cutoffs) }
    if let report { show([report.table], json: report.json, communicator) }
  }

  private func measure(_ path: String, _ cutoffs: [Int]) throws(Failure) -> TargetReport {
    let options = try reading.options(format: format) ?? LoadingOptions()
    let dataset: Dataset? =
      data.isEmpty ? nil : try loadDataset(InputPaths.joined(data), options: options, log: { printError($0) })
    let items = ItemNumbers(dataset?.itemIDs ?? ExternalIDs())
    let questions: TargetQuestions
    let subject: String
    if let targets {
      let read = try readTargets(targets, options)
      questions = try TargetQuestions(targets: read, histories: dataset, items: items)
      subject = "targets \(read.name)"
    } else {
      guard let dataset else { preconditionFailure("validated") }
      questions = try TargetQuestions(dataset, leaveOneOut: split ?? .test)
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
      throw Failure(
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

  /// The file of targets, read as the data are.
  private func readTargets(_ path: String, _ options: LoadingOptions) throws(Failure) -> Dataset {
    let read = try DatasetLoader.load([path], options: options, log: { printError($0) }).dataset
    printError("\(path): \(read.sequences.interactionCount) targets of \(read.sequences.userCount) users")
    return read
  }
}
