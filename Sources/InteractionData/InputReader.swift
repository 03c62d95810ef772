import SystemSupport

/// Reads several inputs as one data set.
enum InputReader {
  static func read(
    _ paths: [String], options: LoadingOptions, readsHistories: Bool = false, report: (String) -> Void,
    log: (String) -> Void
  ) throws(ProgramFailure) -> ReadRows {
    if paths.count(where: { InputPaths.file(of: $0) == "-" }) > 1 {
      throw ProgramFailure(.usage, "standard input (-) is given twice; it can be read once")
    }
    // All files are opened and looked at before the first one is read.
    var inputs: [(input: InputBytes, layout: FileLayout)] = []
    for path in paths {
      if path != "-", FileSystem.kind(path) == .directory { throw notAFile(path, among: paths) }
      let (input, found) = try look(path, options, readsHistories, isAlone: paths.count == 1)
      guard let layout = found else {
        if readsHistories { continue }
        throw ProgramFailure(.badData, "\(input.name): empty; it has no line with an interaction")
      }
      for (number, line) in layout.description.enumerated() {
        report(number == 0 ? "\(input.name): \(line)" + (input.packing.map { ", unpacked from \($0)" } ?? "") : line)
      }
      if let first = inputs.first, !first.layout.isCompatible(with: layout) {
        throw ProgramFailure(
          .badData,
          "\(input.name): \(layout.title); but \(first.input.name): \(first.layout.title). Files that make one data set need "
            + "the same columns in the same format")
      }
      inputs.append((input, layout))
    }
    return try withoutActuallyEscaping(log) { log throws(ProgramFailure) in
      var sink = RowSink(
        hasTimes: inputs.first?.layout.hasTimes ?? false, options: options, allowsUserOnly: readsHistories, log: log)
      // Of several files one without names is enough to doubt.
      let found = inputs.compactMap { $0.layout.foundItems(options) }
      let foundItems = found.first { !$0.isNamed } ?? found.first
      // The first goes first: a file is unmapped as soon as it has been read.
      while !inputs.isEmpty {
        let (input, layout) = inputs.removeFirst()
        try Activity.during("unpacking \(input.name)") { () throws(ProgramFailure) in try input.complete() }
        switch layout {
        case .table(let layout):
          try Activity.during("reading \(input.name)", of: input.bytes.count) { () throws(ProgramFailure) in
            try RowReader.read(input, layout, into: &sink)
          }
        case .json(let layout):
          try Activity.during("reading \(input.name)") { () throws(ProgramFailure) in try ObjectReader.read(input, layout, into: &sink) }
        case .netflix(let layout):
          try Activity.during("reading \(input.name)") { () throws(ProgramFailure) in try NetflixLayout.read(input, layout, into: &sink) }
        }
      }
      try sink.badRows.check(goodRows: sink.goodCount, options: options)
      var rows = sink.takeRows()
      rows.foundItems = foundItems
      return rows
    }
  }

  /// What of each of several packed files is unpacked to look at it; they are not in memory together.
  static let beginning = 1 << 22

  /// Opens an input and finds out what it is.
  private static func look(
    _ path: String, _ options: LoadingOptions, _ readsHistories: Bool, isAlone: Bool
  ) throws(ProgramFailure) -> (InputBytes, FileLayout?) {
    let input = try InputBytes(path, beginning: isAlone ? nil : beginning)
    func detect() throws(ProgramFailure) -> FileLayout? {
      try LayoutDetection.detect(input, options: options, readsHistories: readsHistories)
    }
    if input.isComplete { return (input, try detect()) }
    // A beginning with few lines may be cut where the whole would be understood, or be understood in another way.
    if input.bytes.count(where: { $0 == 0x0A }) > Sample.size, let layout = try? detect() { return (input, layout) }
    try input.complete()
    let layout = try detect()
    try input.shrink(to: beginning)
    return (input, layout)
  }

  private static func notAFile(_ path: String, among paths: [String]) -> ProgramFailure {
    if PreparedFolder.isPreparedFolder(path) {
      return ProgramFailure(.badData, "\(path) is a prepared folder, which is a data set by itself; give it alone")
    }
    let manifest = path + "/" + PreparedFolder.manifestName
    if FileSystem.kind(manifest) != nil {
      return ProgramFailure(
        .badData,
        "\(manifest) is not the manifest of a prepared folder, or it is damaged; write the folder again with prepare")
    }
    return ProgramFailure(
      .badData,
      "\(path) is a folder without \(PreparedFolder.manifestName), so not one that prepare wrote; give files, or the "
        + "folder of 'bert4rec-dist prepare FILE --output FOLDER'")
  }
}
