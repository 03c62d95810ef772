import SystemSupport

/// Infers what the columns of a table without a header are, from their values: `user item`, `user item rating`,
/// `user item time`, `user item rating time`, and published layouts that differ: Amazon's ratings of 2018
/// (`item,user,rating,time`), YooChoose (`session,time,item,...`), Taobao (`user,item,category,event,time`), check-ins
/// (a latitude and a longitude among the columns).
struct HeaderlessLayout {
  let sample: Sample
  let separator: Separator
  let options: LoadingOptions
  /// The first columns that are row numbers, not read: 0 or 1.
  private let first: Int

  init(_ sample: Sample, separator: Separator, options: LoadingOptions) {
    (self.sample, self.separator, self.options) = (sample, separator, options)
    let hasRowNumbers = sample.columnCount > 2 && sample.records.count >= 5 && sample.content(of: 0).isRowNumber
    first = hasRowNumbers ? 1 : 0
  }

  func roles() throws(ProgramFailure) -> ColumnRoles {
    if options.columns.user != nil || options.columns.item != nil { return try chosenRoles() }
    var roles = try foundRoles()
    let values = sample.values(of: roles.item)
    if ColumnContent(values).isBracketedList { roles.list = ListSyntax.of(values.filter { !MissingValue.isOne($0) }) }
    if roles.list == nil { try ItemCheck.refuse(sample, roles.item, isNamed: false, hasTime: roles.time != nil) }
    if sample.content(of: roles.user).isMostlyMissing {
      throw sample.failure(
        "most users (\(sample.called(roles.user))) are missing (NA, null, ...); --columns user=NUMBER (data_columns) names "
          + "another column")
    }
    if options.columns.time != nil || options.timePattern != nil {
      let others = (0..<sample.columnCount).filter { $0 != roles.user && $0 != roles.item }
      roles.time = try TimeChoice(
        sample: sample, columns: others, choice: options.columns.time, pattern: options.timePattern
      ).time()
    }
    roles.rating = try optional(options.columns.rating, roles, "rating") ?? roles.rating
    roles.event = try optional(options.columns.event, roles, "event") ?? roles.event
    if roles.rating == roles.time?.column { roles.rating = nil }
    return roles.needed(by: options.filters)
  }

  private func optional(_ column: ColumnChoice.Column?, _ roles: ColumnRoles, _ role: String) throws(ProgramFailure) -> Int? {
    guard let column, column != .none else { return nil }
    guard let place = column.place(in: nil, count: sample.columnCount) else {
      throw sample.lacks(column, role)
    }
    return place
  }

  /// Columns by number; those that are not named are found among the others.
  private func chosenRoles() throws(ProgramFailure) -> ColumnRoles {
    func place(_ column: ColumnChoice.Column, _ role: String) throws(ProgramFailure) -> Int {
      guard let place = column.place(in: nil, count: sample.columnCount) else {
        throw sample.lacks(column, role)
      }
      return place
    }
    let choice = options.columns
    let chosenItem = try choice.item.map { column throws(ProgramFailure) in try place(column, "item") }
    let chosenUser = try choice.user.map { column throws(ProgramFailure) in try place(column, "user") }
    let user = chosenUser ?? (chosenItem == 0 ? 1 : 0)
    let item = chosenItem ?? (user == 0 ? 1 : 0)
    guard user != item else { throw ProgramFailure(.usage, "\(sample.file): \(sample.called(item)) cannot be both user and item") }
    guard chosenItem != nil || sample.columnCount == 2 else {
      throw ProgramFailure(.usage, "\(sample.file): --columns names a user, but no item; there are \(everything)")
    }
    var roles = ColumnRoles(user: user, item: item)
    let values = sample.values(of: item).filter { !MissingValue.isOne($0) }
    if ColumnContent(values).isBracketedList { roles.list = ListSyntax.of(values) }
    let others = (0..<sample.columnCount).filter { $0 != user && $0 != item }
    roles.time = try TimeChoice(sample: sample, columns: others, choice: choice.time, pattern: options.timePattern).time()
    roles.rating =
      try optional(choice.rating, roles, "rating") ?? others.first { sample.content(of: $0).isRating && $0 != roles.time?.column }
    roles.event = try optional(choice.event, roles, "event") ?? others.first { sample.content(of: $0).isEventWord }
    return roles.needed(by: options.filters)
  }

  // MARK: Found by values

  private var count: Int { sample.columnCount - first }
  private func content(_ column: Int) -> ColumnContent { sample.content(of: first + column) }
  private var everything: String { sample.shown(Array(0..<sample.columnCount)) }

  private func roles(
    _ user: Int, _ item: Int, time: Int? = nil, rating: Int? = nil, event: Int? = nil
  ) throws(ProgramFailure) -> ColumnRoles {
    var roles = ColumnRoles(
      user: first + user, item: first + item, rating: rating.map { first + $0 }, event: event.map { first + $0 })
    // A pattern that was given is applied afterwards.
    if let time, options.timePattern == nil {
      roles.time = TimeChoice(sample: sample, columns: [], choice: nil, pattern: nil).read(first + time)
    }
    return roles
  }

  private func foundRoles() throws(ProgramFailure) -> ColumnRoles {
    if count == 2 { return try pairRoles() }
    let times = (0..<count).filter { content($0).looksLikeTime }
    if let coordinate = (1..<count - 1).first(where: { content($0).isCoordinate && content($0 + 1).isCoordinate }) {
      return try checkIns(coordinate, times)
    }
    if content(1).isWrittenTime && !content(1).isNumeric || isSessionTimeItem(times) { return try sessionTimeItem() }
    switch count {
    case 3: return try threeColumns()
    case 4: return try fourColumns()
    default: return try manyColumns(times)
    }
  }

  private func pairRoles() throws(ProgramFailure) -> ColumnRoles {
    if separator != .pairs { try refuseProse() }
    var roles = try roles(0, 1)
    let values = sample.values(of: first + 1)
    let users = content(0)
    guard options.format == nil, separator != .spaces, users.areDistinct, !content(1).isWrittenTime,
      let byte = ListSyntax.separators.first(where: { ListSyntax.areIDs(values, separator: $0) })
    else { return roles }
    roles.list = ListSyntax(separator: byte)
    return roles
  }

  /// A user's visits with a latitude and a longitude: Gowalla and Brightkite (user, time, latitude, longitude, place),
  /// Foursquare (user, place, ..., latitude, longitude, ..., time).
  private func checkIns(_ coordinate: Int, _ times: [Int]) throws(ProgramFailure) -> ColumnRoles {
    if times == [1], coordinate == 2, count == 5 { return try roles(0, 4, time: 1) }
    if times.count == 1, times[0] > 1, coordinate > 1 { return try roles(0, 1, time: times[0]) }
    throw ambiguous(
      "columns \(first + coordinate + 1) and \(first + coordinate + 2) look like coordinates, and no header says which is the place")
  }

  /// `1,1464128559.277,214536502`: a time with a fraction is no item, nor is a time before what is none.
  private func isSessionTimeItem(_ times: [Int]) -> Bool {
    guard count == 3, times.contains(1) else { return false }
    if !times.contains(2) { return content(1).isFractional || !content(2).isRating }
    return content(1).isFractional && !content(2).isFractional && !content(2).isWrittenTime
  }

  /// YooChoose's clicks (session, time, item, category) and purchases (session, time, item, price, quantity).
  private func sessionTimeItem() throws(ProgramFailure) -> ColumnRoles {
    let item = content(2)
    let rest = (3..<max(count, 3)).map(content)
    let isItem = !item.isFractional && !item.looksLikeTime && !item.isBracketedList
    let isRest: Bool =
      switch count {
      case 3: true
      case 4: !rest[0].looksLikeTime
      case 5: rest.allSatisfy { $0.isNumeric && !$0.looksLikeTime }
      default: false
      }
    guard isItem && isRest else { throw ambiguous("column \(first + 2) holds times, and no header says which column is the item") }
    return try roles(0, 2, time: 1)
  }

  private func threeColumns() throws(ProgramFailure) -> ColumnRoles {
    let (user, item) = isAmazonItemThenUser ? (1, 0) : (0, 1)
    let third = content(2)
    try refuseUnknownHeader(2)
    if third.isPlausibleTime { return try roles(user, item, time: 2) }
    guard third.isNumeric || options.timePattern != nil || options.columns.time != nil else {
      throw failure(2, "the third of three columns is neither a rating nor a time")
    }
    try refuseLists()
    return try roles(user, item, rating: 2)
  }

  private func fourColumns() throws(ProgramFailure) -> ColumnRoles {
    let (user, item) = isAmazonItemThenUser ? (1, 0) : (0, 1)
    let (third, fourth) = (content(2), content(3))
    let event = third.isEventWord ? 2 : fourth.isEventWord ? 3 : nil
    if third.isPlausibleTime, !fourth.isPlausibleTime {
      try refuseUnknownHeader(2)
      return try roles(user, item, time: 2, rating: fourth.isRating ? 3 : nil, event: event)
    }
    try refuseUnknownHeader(3)
    guard fourth.timeFormat != nil || options.timePattern != nil || options.columns.time != nil else {
      throw failure(3, "the fourth of four columns is not a time")
    }
    if !fourth.isPlausibleTime && options.columns.time == nil && options.timePattern == nil {
      try refuseLists()
      // Small numbers order the rows only if nothing else fits: not where they may be items or ratings.
      guard separator != .spaces, !(fourth.isRating && sample.records.count >= 5) else {
        throw failure(
          3,
          "the fourth of four columns is a number, but no time after 1973; say --columns time=4 or time=none (data_columns), or "
            + "--format lists (data_format), if these are lines `user item item ...`")
      }
    }
    return try roles(user, item, time: 3, rating: third.isNumeric ? 2 : nil, event: event)
  }

  /// Taobao's behaviours: one column of event words, one of times, and the user and the item before them.
  private func manyColumns(_ times: [Int]) throws(ProgramFailure) -> ColumnRoles {
    let events = (2..<count).filter { content($0).isEventWord }
    if count == 5, events.count == 1, times.count == 1, times[0] >= 2 {
      return try roles(0, 1, time: times[0], event: events[0])
    }
    for column in 0..<count { try refuseUnknownHeader(column) }
    throw ambiguous("\(sample.columnCount) columns and no header that says which is what")
  }

  /// Lines `7 3 6 9` have the shape of a table.
  private func refuseLists() throws(ProgramFailure) {
    guard separator == .spaces, sample.records.count >= 10, content(0).areDistinct,
      (0..<count).allSatisfy({ content($0).isNumeric && !content($0).isRating })
    else { return }
    throw ambiguous("each user stands in one line of numbers")
  }

  // MARK: Refusals

  private func ambiguous(_ reason: String) -> ProgramFailure {
    sample.failure(
      "\(reason); there are \(everything). Say it with --columns user=1,item=2,time=NUMBER (data_columns), or with --format "
        + "lists (data_format), if these are lines `user item item ...`, or add a first line that names the columns; known names: "
        + ColumnNames.accepted)
  }

  private func failure(_ column: Int, _ reason: String) -> ProgramFailure {
    ProgramFailure(
      .badData,
      "\(sample.file):\(sample.lines[0]): \(PrintableText.quoted(sample.records[0][first + column])): \(reason) (without a "
        + "header the columns are user, item, rating, time; --columns user=1,item=2,time=NUMBER (data_columns) says others, and so "
        + "does a first line such as user_id,item_id,timestamp; known names: \(ColumnNames.accepted))")
  }

  /// A first line that is text where all others are numbers or times is a header, of names that nobody told us.
  private func refuseUnknownHeader(_ column: Int) throws(ProgramFailure) {
    let records = sample.records
    func isValue(_ field: [UInt8]) -> Bool {
      ColumnContent.number(field) != nil || ColumnContent([field]).timeFormat != nil
    }
    guard records.count > 1, !isValue(records[0][first + column]), isValue(records[1][first + column]),
      !records[0].contains(where: isValue), options.columns.header == nil
    else { return }
    throw failure(
      0,
      "the first line looks like a header, but names no user and item; say which they are with --columns "
        + "user=NAME,item=NAME (data_columns)")
  }

  /// Sentences with a comma each are no table.
  private func refuseProse() throws(ProgramFailure) {
    let sentences = sample.records.count { $0[first].contains(0x20) && $0[first + 1].first == 0x20 }
    if 2 * sentences > sample.records.count { throw failure(0, "text rather than a table") }
  }

  /// Amazon's ids tell users (`A` and 9 to 20 capitals or digits) from products (`B` or a digit, ten characters).
  private var isAmazonItemThenUser: Bool {
    func isAlphanumeric(_ id: ArraySlice<UInt8>) -> Bool {
      id.allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) || isDigit($0) }
    }
    func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    func isProduct(_ id: [UInt8]) -> Bool {
      guard id.count == 10, let first = id.first else { return false }
      return (first == UInt8(ascii: "B") || isDigit(first)) && isAlphanumeric(id[...])
    }
    func isReviewer(_ id: [UInt8]) -> Bool {
      (10...21).contains(id.count) && id.first == UInt8(ascii: "A") && isAlphanumeric(id[...])
    }
    return sample.records.allSatisfy { isProduct($0[first]) && isReviewer($0[first + 1]) }
  }
}
