import SystemSupport

/// Finds out how a file is laid out from its first records, the same way each time.
///
/// Each separator cuts the first hundred records; the one under which most of them have the same number of columns
/// wins. Then a header names the columns, or their values tell.
struct LayoutDetection {
  private let name: String
  private let text: UnsafeRawBufferPointer
  private let options: LoadingOptions
  /// Pairs may have lines with a user alone, and are what is read where nothing else is recognised; plain numbers are
  /// never taken for a rating or a time.
  private let readsHistories: Bool

  /// The layout of an input, or nil where it has no line that is not blank. Fails with exit code 65 when nothing fits.
  static func detect(
    _ input: InputBytes, options: LoadingOptions = LoadingOptions(), readsHistories: Bool = false
  ) throws(ProgramFailure) -> FileLayout? {
    defer { withExtendedLifetime(input) {} }
    let body = input.body
    let block = UnsafeRawBufferPointer(rebasing: body.prefix(Sample.blockSize))
    try ForeignFormats.refuse(input)
    if let dialect = JSONLayoutDetection.dialect(of: body, options.format) {
      return try JSONLayoutDetection(name: input.name, body: body, dialect: dialect, options: options).detect().map {
        .json($0)
      }
    }
    // Whole lines only; of a first line that is longer than a block, as much as a line may have in reason.
    let long = UnsafeRawBufferPointer(rebasing: body.prefix(Sample.longestLine))
    let end =
      block.count == body.count
      ? block.count : (block.lastIndex(of: 0x0A) ?? long.firstIndex(of: 0x0A) ?? long.count - 1) + 1
    let text = UnsafeRawBufferPointer(rebasing: body[..<end])
    if let netflix = try NetflixLayout.detect(text, name: input.name, options) { return .netflix(netflix) }
    let detection = LayoutDetection(name: input.name, text: text, options: options, readsHistories: readsHistories)
    return try detection.detect().map { .table($0) }
  }

  private func cut(
    _ separator: Separator, quoting: Quoting? = nil, withUserOnly: Bool = false
  ) -> Cut? {
    Cut(text, separator, quoting ?? separator.usualQuoting, withUserOnly: withUserOnly)
  }

  /// Of the ways to quote the one that fits: RFC 4180's or none, unless the lines show another.
  private func bestCut(_ separator: Separator) -> Cut? {
    guard let usual = cut(separator) else {
      return separator == .pairs || separator == .doubleColon ? nil : quotedCut(separator)
    }
    if separator.usualQuoting == .doubled {
      guard usual.holdsBackslashQuotes, let other = cut(separator, quoting: .backslash), other.fitsBetter(than: usual)
      else { return usual }
      return other
    }
    guard separator != .doubleColon, separator != .pairs, let quoted = quotedCut(separator), quoted.fitsAsWell(as: usual) else {
      return usual
    }
    return quoted
  }

  /// Tabs, spaces and bars come with quotes where each line, but perhaps a header, has some around a field.
  private func quotedCut(_ separator: Separator) -> Cut? {
    guard Cut.areQuoted(text, separator) else { return nil }
    return cut(separator, quoting: .doubled)
  }

  private func detect() throws(ProgramFailure) -> TableLayout? {
    var scanner = RecordScanner(text, separator: .tab, storedFields: 1)
    guard scanner.next() else { return nil }
    let (firstText, firstLine) = (Array(scanner.text), scanner.line)
    if options.format == .lists { return try listLayout() }
    if let format = options.format, let separator = format.separator {
      let quoting: Quoting? = format == .backslashCSV ? .backslash : nil
      let found =
        quoting == nil && separator != .pairs ? bestCut(separator) : cut(separator, quoting: quoting, withUserOnly: readsHistories)
      guard let found else { throw unrecognised(firstLine, firstText, "no \(separator.description) between columns") }
      return try accepted(found)
    }

    let pairs = cut(.pairs)
    var delimited: Cut?
    for separator in [Separator.tab, .doubleColon, .comma, .semicolon, .pipe] {
      guard let candidate = bestCut(separator) else { continue }
      guard let best = delimited else {
        delimited = candidate
        continue
      }
      if candidate.fitsBetter(than: best)
        || separator != .pipe && candidate.fitsAsWell(as: best) && candidate.columnCount > best.columnCount
      {
        delimited = candidate
      }
    }
    let isTable = [pairs, delimited].contains { cut in cut.map { 2 * $0.records.count > $0.total } ?? false }
    if !isTable, let lists = try unevenLists() {
      if readsHistories && !options.saysLayout { throw unsaid("lines of several columns", firstLine, firstText) }
      return lists
    }
    // Two columns with one space are pairs, unless the space stands inside a column of a wider table.
    if let pairs, delimited.map({ pairs.fitsAsWell(as: $0) }) ?? true {
      if let wider = delimited, wider.columnCount > 2 || wider.isQuoted, wider.fitsAsWell(as: pairs),
        let layout = try? layout(of: wider)
      {
        return layout
      }
      if let spaces = bestCut(.spaces), spaces.fitsBetter(than: pairs) || spaces.isQuoted && spaces.fitsAsWell(as: pairs) {
        return try accepted(spaces)
      }
      return try accepted(pairs)
    }
    if let spaces = bestCut(.spaces), delimited.map({ spaces.fitsBetter(than: $0) }) ?? true { return try accepted(spaces) }
    if let delimited, !readsHistories || 2 * delimited.records.count >= delimited.total {
      return try accepted(delimited)
    }
    if readsHistories, let pairs = cut(.pairs, withUserOnly: true) { return try accepted(pairs) }
    throw unrecognised(firstLine, firstText, "no columns")
  }

  private func accepted(_ cut: Cut) throws(ProgramFailure) -> TableLayout {
    if 2 * cut.records.count < cut.total, !(readsHistories && cut.separator == .pairs) {
      // The first record that does not fit shows what is wrong.
      var scanner = RecordScanner(text, separator: cut.separator, quoting: cut.quoting, storedFields: Sample.storedFields)
      while scanner.next(), scanner.fieldCount == cut.columnCount {}
      throw unrecognised(
        scanner.line, Array(scanner.text),
        "\(cut.columnCount) columns separated by \(cut.separator.description) in only \(cut.records.count) of the first "
          + "\(cut.total) lines")
    }
    return try layout(of: cut)
  }

  private func unrecognised(_ line: Int, _ text: [UInt8], _ detected: String) -> ProgramFailure {
    let start = "\(name):\(line): \(PrintableText.quoted(text)): no known layout of interactions (found: \(detected)); "
    if let separator = UnreadSeparator(self.text) { return ProgramFailure(.badData, start + separator.advice) }
    return ProgramFailure(
      .badData,
      start + "give lines "
        + "'user item' with one space between, or columns user, item, rating, time separated by tabs, '::', commas, "
        + "semicolons or bars, or a first line that names the columns, such as user_id,item_id,timestamp; or say what it is "
        + "with --format (data_format)")
  }

  /// Of histories, which nobody looks at before they are answered.
  private func unsaid(_ what: String, _ line: Int, _ text: [UInt8]) -> ProgramFailure {
    ProgramFailure(
      .badData,
      "\(name):\(line): \(PrintableText.quoted(text)): \(what) and no header, and plain numbers are not taken for ratings or "
        + "times; say what the lines are: --data-format lists (user item item ..., the oldest first), or --columns "
        + "user=1,item=2,time=NUMBER, or a first line such as user_id,item_id,timestamp, or give JSON lines "
        + "{\"user\": ..., \"items\": [...]}")
  }

  // MARK: Columns

  private func layout(of cut: Cut) throws(ProgramFailure) -> TableLayout {
    if let names = try header(of: cut) { return try layout(of: cut, names: names) }
    let sample = Sample(
      file: name, names: nil, firstLine: cut.lines[0], columnCount: cut.columnCount, records: cut.records, lines: cut.lines)
    if readsHistories, cut.columnCount > 2, !options.saysLayout {
      throw unsaid("\(cut.columnCount) columns", cut.lines[0], cut.texts[0])
    }
    let roles = try HeaderlessLayout(sample, separator: cut.separator, options: options).roles()
    var layout = layout(of: cut, sample, roles, title: title(of: cut))
    if let note = noteOnFirstLine(sample) { layout.details.append("  note: \(note)") }
    if roles.user == 1 && sample.columnCount > 2 && sample.content(of: 0).isRowNumber && options.columns.user == nil {
      layout.details.append("  note: column 1 counts the rows and is not used")
    }
    return layout
  }

  /// The names of the columns, where the first record has them. Row names, as R's write.table writes them, have no name,
  /// nor has what stands behind a separator at the end of each row.
  private func header(of cut: Cut) throws(ProgramFailure) -> [String]? {
    if options.columns.header != nil { return nil }
    var header = cut.first.map { String(decoding: $0, as: UTF8.self) }
    let isKnown = NamedRoles.areKnown(header, options.columns)
    if header.count + 1 == cut.columnCount, isKnown {
      // Where both may be, neither is.
      let endsEmpty = cut.records.allSatisfy { $0[cut.columnCount - 1].isEmpty }
      let hasRowNames = ColumnContent(cut.records.map { $0[0] }).areDistinct
      if endsEmpty != hasRowNames { header.insert("", at: endsEmpty ? header.count : 0) }
    }
    guard header.count == cut.columnCount else {
      if !isKnown { return nil }
      throw ProgramFailure(
        .badData,
        "\(name):\(cut.firstLine): \(PrintableText.quoted(header.joined(separator: " ").utf8)): the header has \(header.count) "
          + "names, but the rows have \(cut.columnCount) columns; correct the header, or leave it out and say which column is "
          + "what with --columns user=NUMBER,item=NUMBER,time=NUMBER (data_columns)")
    }
    let isHeader =
      isKnown || NamedRoles.areKnown(header, ColumnChoice()) || header.contains(where: ColumnNames.isTyped) || options.columns.needsHeader
    if isHeader { return header }
    let names = header.map(ColumnNames.normalised)
    let hasUser = ColumnNames.place(of: ColumnNames.user, in: header) != nil
    let hasItem = ColumnNames.place(of: ColumnNames.item, in: header) != nil
    if (hasUser || hasItem) && names.contains(where: { $0.count > 3 && $0.hasSuffix("id") }) { return header }
    // "user,rating" is no interaction: names of two roles do not meet in a row by chance.
    let others = [ColumnNames.time, ColumnNames.rating, ColumnNames.event]
    if hasUser || hasItem, others.contains(where: { ColumnNames.place(of: $0, in: header) != nil }) { return header }
    // Known names or words above values, where columns are given by number.
    if options.columns.user != nil || options.columns.item != nil {
      return hasUser || hasItem || isAboveValues(cut) ? header : nil
    }
    return nil
  }

  private func isAboveValues(_ cut: Cut) -> Bool {
    func isValue(_ field: [UInt8]) -> Bool { ColumnContent([field]).timeFormat != nil }
    guard cut.records.count > 1, cut.records[0] == cut.first, !cut.first.contains(where: isValue) else { return false }
    return (0..<cut.columnCount).contains { column in cut.records.dropFirst().allSatisfy { isValue($0[column]) } }
  }

  private func layout(of cut: Cut, names: [String]) throws(ProgramFailure) -> TableLayout {
    // A shorter header does not fit the columns, so it is none of the cut's records.
    let hasHeader = cut.records.first.map { $0 == cut.first } ?? false
    let isTyped = names.contains(where: ColumnNames.isTyped)
    let plain = names.map { name in
      isTyped ? ColumnNames.withoutType(name) : name
    }
    let sample = Sample(
      file: name, names: plain, firstLine: cut.firstLine, columnCount: cut.columnCount,
      records: hasHeader ? Array(cut.records.dropFirst()) : cut.records,
      lines: hasHeader ? Array(cut.lines.dropFirst()) : cut.lines)
    let roles = try NamedRoles(sample, names: names, options: options).roles()
    let title = isTyped ? "RecBole atomic file (typed header)" : self.title(of: cut) + " with a header"
    var layout = layout(of: cut, sample, roles, title: title)
    layout.hasHeader = true
    if cut.first.count + 1 == cut.columnCount, names[0].isEmpty {
      layout.details.append("  note: the header has one name less than the rows have columns; the first column is row names")
    }
    return layout
  }

  private func layout(of cut: Cut, _ sample: Sample, _ roles: ColumnRoles, title: String) -> TableLayout {
    TableLayout(
      separator: cut.separator, quoting: cut.quoting, columnCount: cut.columnCount, hasHeader: false, roles: roles,
      title: title + (cut.quoting == .backslash ? ", quotes escaped by backslashes" : ""), details: roles.description(sample))
  }

  /// Ids may be any text, so a first line of words above lines of numbers counts; whoever meant a header is told.
  private func noteOnFirstLine(_ sample: Sample) -> String? {
    let records = sample.records
    func isNumber(_ field: [UInt8]) -> Bool { WrittenNumber.parse(field) != nil }
    guard records.count > 1, !records[0].contains(where: isNumber),
      records.dropFirst().allSatisfy({ $0.allSatisfy(isNumber) })
    else { return nil }
    let text = records[0].joined(separator: [0x20])
    return
      "line \(sample.firstLine), \(PrintableText.quoted(Array(text))), is read as an interaction (a header names its columns "
      + "user_id and item_id)"
  }

  private func title(of cut: Cut) -> String {
    guard cut.separator == .pairs else { return "columns separated by \(cut.separator.description)" }
    let fitting = Set(cut.lines)
    var scanner = RecordScanner(text, separator: .tab, storedFields: 1)
    var (tabs, single, several) = (false, false, false)
    while scanner.next() {
      if !fitting.contains(scanner.line) { continue }
      if scanner.text.contains(0x09) {
        tabs = true
      } else if scanner.text.count(where: { $0 == 0x20 }) == 1 {
        single = true
      } else {
        several = true
      }
    }
    switch (tabs, single, several) {
    case (true, false, false): return "pairs separated by a tab"
    case (true, _, _): return "pairs separated by a tab or spaces"
    case (_, _, true): return "pairs separated by spaces"
    default: return "pairs separated by one space"
    }
  }

  // MARK: Lines of lists

  /// `user item item ...`, as the user said.
  private func listLayout() throws(ProgramFailure) -> TableLayout {
    var (tabs, spaces, commas, total) = (0, 0, 0, 0)
    var texts: [[UInt8]] = []
    var scanner = RecordScanner(text, separator: .tab, storedFields: 1)
    while total < Sample.size, scanner.next() {
      total += 1
      texts.append(Array(scanner.text))
      if scanner.text.contains(0x09) { tabs += 1 }
      let space = scanner.text.firstIndex(of: 0x20)
      let comma = scanner.text.firstIndex(of: UInt8(ascii: ","))
      if let comma, space.map({ comma < $0 }) ?? true { commas += 1 } else if space != nil { spaces += 1 }
    }
    let outer: UInt8 = 3 * tabs > total ? 0x09 : commas > spaces ? UInt8(ascii: ",") : 0x20
    return try listLayout(outer, texts)
  }

  private func listLayout(_ outer: UInt8, _ texts: [[UInt8]]) throws(ProgramFailure) -> TableLayout {
    let rests: [[UInt8]] = texts.compactMap { text in
      let line = text.drop { $0 == 0x20 }
      return line.firstIndex(of: outer).map { Array(line[($0 + 1)...]) }
    }
    // What separates the user from the list separates the items too, if it stands there again.
    let repeated = 3 * rests.count(where: { $0.contains(outer) && !ListSyntax.isBracketed($0) }) > rests.count
    let syntax = repeated ? ListSyntax(separator: outer) : ListSyntax.of(rests)
    return TableLayout(
      separator: .first(outer), quoting: .none, columnCount: 2, hasHeader: false,
      roles: ColumnRoles(user: 0, item: 1, list: syntax), title: "a user and a list of items per line",
      details: [
        "  user: before the first of \(Separator.first(outer).description)", "  items: behind it, separated by \(syntax.description)",
        "  time: none, the order of the lists counts",
      ])
  }

  /// Lines `user item item ...` of different lengths, each user in one of them, and all of it ids.
  private func unevenLists() throws(ProgramFailure) -> TableLayout? {
    for (outer, separator) in [(UInt8(0x20), Separator.spaces), (0x09, .tab), (UInt8(ascii: ","), .comma)] {
      var (texts, users, counts, long): ([[UInt8]], Set<[UInt8]>, [Int: Int], Int) = ([], [], [:], 0)
      var scanner = RecordScanner(text, separator: separator, quoting: Quoting.none, storedFields: 1)
      while texts.count < Sample.size, scanner.next() {
        texts.append(Array(scanner.text))
        users.insert(Array(scanner[0]))
        counts[scanner.fieldCount, default: 0] += 1
        if scanner.fieldCount > 2 { long += 1 }
      }
      // Where most lines have as many columns, it is a table with bad rows.
      guard texts.count > 1, users.count == texts.count, 2 * (counts.values.max() ?? 0) <= texts.count, 2 * long >= texts.count,
        ListSyntax.areIDs([texts[0]], separator: outer), ListSyntax.areIDs(texts, separator: outer)
      else { continue }
      return try listLayout(outer, texts)
    }
    return nil
  }
}
