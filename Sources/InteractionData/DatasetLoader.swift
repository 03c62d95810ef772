import SystemSupport

/// A data set with what was found out about it.
public struct LoadedDataset: Sendable {
  public var dataset: Dataset
  public var statistics: DatasetStatistics

  public init(dataset: Dataset, statistics: DatasetStatistics) {
    self.dataset = dataset
    self.statistics = statistics
  }
}

/// Reads users' files, or one prepared folder.
public enum DatasetLoader {
  /// Reads a data set.
  ///
  /// - Parameters:
  ///   - paths: Files of one format, which are one data set, their rows in this order (`-` is standard input); or one
  ///     folder that `prepare` wrote.
  ///   - log: Gets lines for the user: how each file is read, rows that cannot be read.
  /// - Throws: Exit code 64 for no path, 65 for what is no data set, 66 for what cannot be opened.
  public static func load(
    _ paths: [String], options: LoadingOptions = LoadingOptions(), log: (String) -> Void
  ) throws(Failure) -> LoadedDataset {
    guard let first = paths.first else { throw Failure(.usage, "no input file is given") }
    if paths.count == 1, first != "-", PreparedFolder.isPreparedFolder(first) {
      let loaded = try PreparedFolder.open(first)
      log("\(first): read as: prepared folder \(loaded.dataset.name)")
      return loaded
    }
    var rows = try InputReader.read(paths, options: options, log: log)
    guard rows.table.count > 0 else {
      throw Failure(
        .badData,
        paths.count == 1
          ? "\(first == "-" ? "standard input" : first): no interactions; it is empty or holds only a header, "
            + "blank lines or "
            + "rows that cannot be read"
          : "no interactions in any of the \(paths.count) files")
    }
    return build(&rows.table, name: try name(of: first), rows.droppedRows)
  }

  /// The name that the data set at a path gets, without reading the data.
  package static func name(of path: String) throws(Failure) -> String {
    if path == "-" { return "data" }
    return PreparedFolder.isPreparedFolder(path) ? try PreparedFolder.name(of: path) : DatasetName.from(path: path)
  }

  private static func build(
    _ rows: inout InteractionRows, name: String, _ droppedRows: [String: Int]
  ) -> LoadedDataset {
    let userIDs = rows.userIDs.externalIDs()
    let grouped = rows.group()
    // Items by descending count, ties by first appearance; ids from 1.
    var counts = [Int64](repeating: 0, count: rows.itemIDs.count)
    for item in grouped.values { counts[Int(item)] += 1 }
    let order = (0..<Int32(counts.count)).sorted {
      let (left, right) = (counts[Int($0)], counts[Int($1)])
      return left != right ? left > right : $0 < $1
    }
    var vocabulary = [Int32](repeating: 0, count: counts.count)
    for (place, item) in order.enumerated() { vocabulary[Int(item)] = Int32(place + 1) }
    for place in grouped.values.indices { grouped.values[place] = vocabulary[Int(grouped.values[place])] }
    let sequences = grouped.sequences()
    let dataset = Dataset(
      name: name, itemIDs: rows.itemIDs.externalIDs(in: order), itemCounts: order.map { counts[Int($0)] },
      userIDs: userIDs, sequences: sequences)
    return LoadedDataset(
      dataset: dataset,
      statistics: DatasetStatistics(
        sequences: sequences, itemCount: counts.count, usersEndingOnTie: grouped.usersEndingOnTie,
        droppedRows: droppedRows))
  }
}

/// All rows of several inputs, before anything is sorted.
enum InputReader {
  struct Rows: ~Copyable {
    var table: InteractionRows
    var droppedRows: [String: Int]
  }

  static func read(
    _ paths: [String], options: LoadingOptions, allowsUserOnly: Bool = false, log: (String) -> Void
  ) throws(Failure) -> Rows {
    if paths.count(where: { $0 == "-" }) > 1 {
      throw Failure(.usage, "standard input (-) is given twice; it can be read once")
    }
    // All files are opened and looked at before the first one is read.
    var inputs: [(input: InputBytes, layout: TableLayout)] = []
    for path in paths {
      if path != "-", FileSystem.kind(path) == .directory { throw notAFile(path, among: paths) }
      let input = try InputBytes(path)
      guard let layout = try LayoutDetection.detect(input, allowsUserOnly: allowsUserOnly) else {
        if allowsUserOnly { continue }
        throw Failure(.badData, "\(input.name): empty; it has no line with an interaction")
      }
      log("\(input.name): \(layout.description)")
      if let first = inputs.first, !first.layout.isCompatible(with: layout) {
        throw Failure(
          .badData,
          "\(input.name): \(layout.description); but \(first.input.name): \(first.layout.description). Files "
            + "that make one "
            + "data set need the same columns in the same format")
      }
      inputs.append((input, layout))
    }
    return try withoutActuallyEscaping(log) { log throws(Failure) in
      var table = InteractionRows(hasTimes: inputs.first?.layout.time != nil)
      var badRows = BadRows(log: log)
      // The first goes first: a file is unmapped as soon as it has been read.
      while !inputs.isEmpty {
        let (input, layout) = inputs.removeFirst()
        try RowReader.read(input, layout, into: &table, &badRows, allowsUserOnly: allowsUserOnly)
      }
      try badRows.check(goodRows: table.count, options: options)
      return Rows(table: table, droppedRows: badRows.byReason)
    }
  }

  private static func notAFile(_ path: String, among paths: [String]) -> Failure {
    if PreparedFolder.isPreparedFolder(path) {
      return Failure(.badData, "\(path) is a prepared folder, which is a data set by itself; give it alone")
    }
    let manifest = path + "/" + PreparedFolder.manifestName
    if FileSystem.kind(manifest) != nil {
      return Failure(
        .badData,
        "\(manifest) is not the manifest of a prepared folder, or it is damaged; write the folder again with prepare")
    }
    return Failure(
      .badData,
      "\(path) is a folder without \(PreparedFolder.manifestName), so not one that prepare wrote; give files, or the "
        + "folder of 'bert4rec-dist prepare FILE --output FOLDER'")
  }
}
