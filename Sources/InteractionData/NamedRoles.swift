import SystemSupport

/// Finds the columns by the names of a header or of JSON's keys, and by those that the user gave.
struct NamedRoles {
  let sample: Sample
  let names: [String]
  let options: LoadingOptions
  private var choice: ColumnChoice { options.columns }

  init(_ sample: Sample, names: [String], options: LoadingOptions) {
    (self.sample, self.names, self.options) = (sample, names, options)
  }

  /// Whether the names of `fields`, those that a user gave among them, say which columns are user and item.
  static func areKnown(_ fields: [String], _ choice: ColumnChoice) -> Bool {
    func has(_ column: ColumnChoice.Column?, _ names: [String]) -> Bool {
      column.map { $0.isName && $0.place(in: fields, count: 0) != nil } ?? (ColumnNames.place(of: names, in: fields) != nil)
    }
    return has(choice.user, ColumnNames.user) && has(choice.item, ColumnNames.item)
  }

  func roles() throws(ProgramFailure) -> ColumnRoles {
    let item = try itemColumn()
    let user = try userColumn(besides: item)
    var roles = ColumnRoles(user: user, item: item)
    try findLists(&roles)
    roles.rating = try optional(choice.rating, ColumnNames.rating, "rating", besides: [user, item])
    roles.event = try optional(choice.event, ColumnNames.event, "event", besides: [user, item])
    if choice.item == nil && roles.list == nil && roles.history == nil {
      try ItemCheck.refuse(sample, item, isNamed: true)
    }
    let others = (0..<sample.columnCount).filter { ![user, item, roles.history].contains($0) }
    roles.time = try TimeChoice(sample: sample, columns: others, choice: choice.time, pattern: options.timePattern).time()
    return roles.needed(by: options.filters)
  }

  private func chosen(_ column: ColumnChoice.Column, _ role: String) throws(ProgramFailure) -> Int {
    if let place = column.place(in: names, count: sample.columnCount) { return place }
    throw sample.lacks(column, role)
  }

  private func optional(
    _ column: ColumnChoice.Column?, _ known: [String], _ role: String, besides: [Int]
  ) throws(ProgramFailure) -> Int? {
    if let column { return column == .none ? nil : try chosen(column, role) }
    return ColumnNames.places(of: known, in: names).first { !besides.contains($0) }
  }

  private func itemColumn() throws(ProgramFailure) -> Int {
    if let item = choice.item { return try chosen(item, "item") }
    let user = choice.user?.place(in: names, count: sample.columnCount)
    let best = ColumnNames.places(of: ColumnNames.user, in: names).first
    let places = ColumnNames.places(of: ColumnNames.item, in: names).filter { $0 != user }
    // "query_id" may be either.
    if let place = places.first(where: { $0 != best }) { return place }
    throw absent("item", ColumnNames.item)
  }

  private func userColumn(besides item: Int) throws(ProgramFailure) -> Int {
    if let user = choice.user {
      let place = try chosen(user, "user")
      if place == item { throw ProgramFailure(.usage, "\(sample.file): \(sample.called(item)) cannot be both user and item") }
      return place
    }
    let places = ColumnNames.places(of: ColumnNames.user, in: names).filter { $0 != item }
    guard let place = places.first else { throw absent("user", ColumnNames.user) }
    guard sample.content(of: place).isMostlyMissing else { return place }
    let isSession: (Int) -> Bool = {
      ColumnNames.session.contains(ColumnNames.normalised(ColumnNames.lastComponent(names[$0])))
    }
    if let whole = places.first(where: { !sample.content(of: $0).hasMissing && !isSession($0) }) { return whole }
    let session = names.indices.first(where: isSession)
    throw sample.failure(
      "most users of \(sample.called(place)) are missing (NA, null, ...)"
        + (session.map {
          ", and there is a session column; --columns user=\(sample.choice(of: $0)) (data_columns) makes each session a history"
        } ?? "; --columns user=COLUMN (data_columns) names another column"))
  }

  private func absent(_ role: String, _ known: [String]) -> ProgramFailure {
    ProgramFailure(
      .badData,
      "\(sample.file):\(sample.firstLine): \(PrintableText.quoted(names.joined(separator: " ").utf8)): a header without a "
        + "column for the \(role); say which it is with --columns \(role)=NAME (data_columns), or name one \(known[0]) (or "
        + "\(known.dropFirst().joined(separator: ", "))); there are \(sample.shown(Array(0..<sample.columnCount)))")
  }

  /// Columns of several items.
  private func findLists(_ roles: inout ColumnRoles) throws(ProgramFailure) {
    let isSequence = names.map { ColumnNames.isSequence($0) }
    if let list = names.indices.first(where: { isSequence[$0] && ColumnNames.normalised(names[$0]).hasPrefix("item") }) {
      // RecBole's benchmark files: the items before, and the one that follows them.
      let itemNames = names.indices.filter { !isSequence[$0] && ColumnNames.item.contains(ColumnNames.normalised(names[$0])) }
      roles.history = list
      roles.item = itemNames.first ?? list
      roles.list = ListSyntax(separator: 0x20)
      return
    }
    let values = sample.values(of: roles.item).filter { !MissingValue.isOne($0) }
    if isSequence[roles.item] {
      roles.list = ListSyntax(separator: 0x20)
    } else if ColumnContent(values).isBracketedList {
      roles.list = ListSyntax.of(values)
    } else if let byte = ListSyntax.separators.first(where: { ListSyntax.areIDs(values, separator: $0) }),
      Self.plurals.contains(ColumnNames.normalised(ColumnNames.lastComponent(names[roles.item])))
    {
      roles.list = ListSyntax(separator: byte)
    }
  }

  private static let plurals = ["itemids", "items", "itemlist", "itemseq", "itemsequence", "itemidlist"]
}

/// Columns that cannot be items.
enum ItemCheck {
  /// Refuses an item column that was found rather than named, where its values cannot be items'.
  static func refuse(_ sample: Sample, _ item: Int, isNamed: Bool, hasTime: Bool = false) throws(ProgramFailure) {
    let content = sample.content(of: item)
    // Numbers may be ids where a name says so, or where another column is the time.
    let isTime = content.isWrittenTime && !content.isNumeric || !isNamed && !hasTime && content.looksLikeTime
    let found: [(Bool, String)] = [
      (content.isCoordinate, "coordinates"), (content.isFractional, "decimal fractions"), (isTime, "times"),
      (content.isBracketedList, "lists"), (!isNamed && isRatings(sample, item, content), "ratings"),
    ]
    guard let reason = found.first(where: { $0.0 })?.1 else { return }
    throw sample.failure(
      "\(sample.shown(item)) would be the item, but holds \(reason); name the right one with --columns user=...,item=... "
        + "(data_columns), or this one, if it is right: --columns item=\(sample.choice(of: item))")
  }

  /// Only 0.5 to 5, while no other column could be the rating.
  private static func isRatings(_ sample: Sample, _ item: Int, _ content: ColumnContent) -> Bool {
    guard sample.records.count >= 10, sample.columnCount > 2, content.isRatingLike, !content.isConstant else { return false }
    return !(2..<sample.columnCount).contains { column in
      guard column != item else { return false }
      let other = sample.content(of: column)
      return other.isRatingLike
    }
  }
}
