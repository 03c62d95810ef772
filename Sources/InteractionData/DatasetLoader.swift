import SystemSupport

/// Reads users' files, or one prepared folder.
package enum DatasetLoader {
  /// Reads a data set.
  ///
  /// - Parameters:
  ///   - paths: Files of one format, which are one data set, their rows in this order (`-` is standard input; `*`, `?`
  ///     and `[` in the name of no file stand for all files that match, sorted); or one folder that `prepare` wrote.
  ///   - options: What the files are, where their contents should not decide, and what is left out.
  ///   - report: Gets lines for the user: how each file is read, column by column.
  ///   - log: Gets the rows that cannot be read.
  /// - Throws: Exit code 64 for no path, 65 for what is no data set, 66 for what cannot be opened.
  package static func load(
    _ paths: [String], options: LoadingOptions = LoadingOptions(), report: (String) -> Void, log: (String) -> Void
  ) throws(ProgramFailure) -> LoadedDataset {
    let paths = try InputPaths.expanded(paths)
    guard let first = paths.first else { throw ProgramFailure(.usage, "no input file is given") }
    if paths.count == 1, first != "-", PreparedFolder.isPreparedFolder(first) {
      if options.filters != InteractionFilters() {
        throw ProgramFailure(.usage, "\(first) is a prepared folder; filters are for the files that it was made of")
      }
      if options.splitTime != nil {
        throw ProgramFailure(
          .usage, "\(first) is a prepared folder, which has no times: --split-time (split_time) is for the files that it was made of")
      }
      let loaded = try PreparedFolder.open(first)
      report("\(first): read as: prepared folder \(loaded.dataset.name)")
      return loaded
    }
    var rows = try InputReader.read(paths, options: options, report: report, log: log)
    if let time = options.splitTime, rows.table.count + rows.later.count > 0 { try requireBoth(rows, time, file: first) }
    guard rows.table.count > 0 else {
      let filtered = rows.filteredRows.reduce(0) { $0 + $1.value }
      throw ProgramFailure(
        .badData,
        filtered > 0
          ? "\(first): none of its interactions pass the filters (\(filtered) left out)"
          : paths.count == 1
            ? "\(first == "-" ? "standard input" : first): no interactions; it is empty or holds only a header, "
              + "blank lines or rows that cannot be read"
            : "no interactions in any of the \(paths.count) files")
    }
    var loaded = try build(&rows.table, first, options.filters, rows.droppedRows, rows.filteredRows)
    if let items = rows.foundItems {
      try items.requireSeveral(loaded, file: first)
      try items.requireNoRatings(
        loaded.dataset.itemIDs, loaded.dataset.sequences, repeats: loaded.statistics.repeats ?? 0, file: first)
    }
    if let time = options.splitTime { try add(&rows.later, time, options.filters, first, to: &loaded) }
    return loaded
  }

  /// The same, all lines to one place.
  package static func load(
    _ paths: [String], options: LoadingOptions = LoadingOptions(), log: (String) -> Void
  ) throws(ProgramFailure) -> LoadedDataset {
    try load(paths, options: options, report: log, log: log)
  }

  /// The name that the data set at a path (or at the first of several, a line each) gets, without reading the data.
  package static func name(of path: String) throws(ProgramFailure) -> String {
    let path = try InputPaths.expanded(InputPaths.split(path)).first ?? path
    if path == "-" { return "data" }
    return PreparedFolder.isPreparedFolder(path) ? try PreparedFolder.name(of: path) : DatasetName.from(path: path)
  }

  /// Refuses a split that all interactions are on one side of.
  private static func requireBoth(_ rows: borrowing ReadRows, _ time: Int64, file: String) throws(ProgramFailure) {
    guard rows.table.count == 0 || rows.later.count == 0 else { return }
    let isEarly = rows.later.count == 0
    let times = isEarly ? rows.table.times.elements : rows.later.times.elements
    let (first, last) = (times.min() ?? 0, times.max() ?? 0)
    throw ProgramFailure(
      .badData,
      "\(file): all \(times.count) interactions are \(isEarly ? "before" : "at or after") --split-time (split_time) "
        + "\(InteractionFilters.text(ofTime: time)), so \(isEarly ? "there is nothing to test on" : "there is nothing to train on"); "
        + "they are from \(InteractionFilters.text(ofTime: first)) to \(InteractionFilters.text(ofTime: last))")
  }

  /// Adds what lies behind a split: the targets, and their figures. Of the filters those of single interactions hold for them too.
  private static func add(
    _ rows: inout InteractionRows, _ time: Int64, _ filters: InteractionFilters, _ path: String, to loaded: inout LoadedDataset
  ) throws(ProgramFailure) {
    var ofTargets = InteractionFilters()
    ofTargets.dropsDuplicates = filters.dropsDuplicates
    ofTargets.collapsesRepeats = filters.collapsesRepeats
    let later = try build(&rows, path, ofTargets, [:], [:])
    loaded.statistics.split = DatasetStatistics.Split(
      time: InteractionFilters.text(ofTime: time), targets: later.dataset, histories: loaded.dataset)
    if let filtered = later.statistics.filteredRows {
      loaded.statistics.filteredRows = (loaded.statistics.filteredRows ?? [:]).merging(filtered, uniquingKeysWith: +)
    }
    loaded.targets = later.dataset
    loaded.targets?.name = "\(loaded.dataset.name) from \(InteractionFilters.text(ofTime: time)) on"
  }

  private static func build(
    _ rows: inout InteractionRows, _ path: String, _ filters: InteractionFilters, _ droppedRows: [String: Int],
    _ filteredRows: [String: Int]
  ) throws(ProgramFailure) -> LoadedDataset {
    var filtered = filteredRows
    let grouped = rows.group()
    let duplicates = grouped.duplicateCount
    if filters.filterSequences {
      var filter = SequenceFilter(grouped, itemCount: rows.itemIDs.count)
      filter.apply(filters)
      filtered.merge(filter.counts) { $0 + $1 }
      guard !grouped.values.isEmpty else {
        throw ProgramFailure(.badData, "\(path): no interaction passes the filters (\(filtered.reduce(0) { $0 + $1.value }) left out)")
      }
    }
    // Items by descending count, ties by first appearance; ids from 1. Those that filters left nothing of have none.
    var counts = [Int64](repeating: 0, count: rows.itemIDs.count)
    for item in grouped.values { counts[Int(item)] += 1 }
    var order = (0..<Int32(counts.count)).sorted {
      let (left, right) = (counts[Int($0)], counts[Int($1)])
      return left != right ? left > right : $0 < $1
    }
    while let last = order.last, counts[Int(last)] == 0 { order.removeLast() }
    var vocabulary = [Int32](repeating: 0, count: counts.count)
    for (place, item) in order.enumerated() { vocabulary[Int(item)] = Int32(place + 1) }
    for place in grouped.values.indices { grouped.values[place] = vocabulary[Int(grouped.values[place])] }
    let userIDs = grouped.users.map { rows.userIDs.externalIDs(in: $0) } ?? rows.userIDs.externalIDs()
    let (ties, hasTimes) = (grouped.usersEndingOnTie, grouped.hasTimes)
    let sequences = grouped.sequences()
    let dataset = Dataset(
      name: try name(of: path), itemIDs: rows.itemIDs.externalIDs(in: order), itemCounts: order.map { counts[Int($0)] },
      userIDs: userIDs, sequences: sequences)
    return LoadedDataset(
      dataset: dataset,
      statistics: DatasetStatistics(
        sequences: sequences, itemCount: order.count, usersEndingOnTie: hasTimes ? ties : nil,
        duplicates: hasTimes ? duplicates : nil, droppedRows: droppedRows, filteredRows: filtered))
  }
}
