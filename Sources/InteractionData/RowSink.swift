import SystemSupport

/// Where the readers put rows: checks ids, reads times, filters, numbers the ids.
struct RowSink: ~Copyable {
  var rows: InteractionRows
  /// Rows at the split's time or later.
  private var later: InteractionRows
  private let isSplit: Bool
  private let splitTime: Int64
  var badRows: BadRows
  let filters: InteractionFilters
  /// A line with a user alone introduces the user.
  let allowsUserOnly: Bool
  /// Rows that a filter left out, by its name.
  private(set) var filtered: [String: Int] = [:]

  init(hasTimes: Bool, options: LoadingOptions, allowsUserOnly: Bool, log: @escaping (String) -> Void) {
    rows = InteractionRows(hasTimes: hasTimes)
    later = InteractionRows(hasTimes: true)
    (isSplit, splitTime) = (options.splitTime != nil, options.splitTime ?? .max)
    badRows = BadRows(log: log)
    filters = options.filters
    self.allowsUserOnly = allowsUserOnly
  }

  /// Ends the reading.
  consuming func takeRows() -> ReadRows {
    let dropped = badRows.byReason
    return ReadRows(table: rows, later: later, droppedRows: dropped, filteredRows: filtered)
  }

  /// Rows that are kept, before and after a split, and those that filters left out.
  var goodCount: Int { rows.count + later.count + filtered.reduce(0) { $0 + $1.value } }

  /// A row's place, for messages.
  struct Place {
    let file: String
    let line: Int
    let text: UnsafeRawBufferPointer
  }

  mutating func note(_ problem: RowProblem, _ place: Place, detail: String = "") {
    badRows.note(problem, file: place.file, line: place.line, text: place.text, detail: detail)
  }

  /// Introduces a user without items.
  mutating func introduce(_ user: UnsafeRawBufferPointer, _ place: Place) throws(ProgramFailure) {
    if rows.userIDs.intern(user) == nil { throw tooMany("user", place) }
  }

  /// Whether both ids are there; notes the row where not.
  @inline(__always)
  mutating func hasIDs(_ user: UnsafeRawBufferPointer, _ item: UnsafeRawBufferPointer, _ place: @autoclosure () -> Place) -> Bool {
    if !MissingValue.isOne(user) && !MissingValue.isOne(item) { return true }
    noteMissing(user, item, place())
    return false
  }

  @inline(never)
  private mutating func noteMissing(_ user: UnsafeRawBufferPointer, _ item: UnsafeRawBufferPointer, _ place: Place) {
    note(user.isEmpty || item.isEmpty ? .emptyID : MissingValue.isOne(user) ? .missingUser : .missingItem, place)
  }

  /// Numbers the ids and keeps the row. Last of all: a bad row must not leave its ids behind.
  @inline(__always)
  mutating func append(
    _ userID: UnsafeRawBufferPointer, _ itemID: UnsafeRawBufferPointer, _ time: Int64, _ place: @autoclosure () -> Place
  ) throws(ProgramFailure) {
    if isSplit, time >= splitTime { return try appendLater(userID, itemID, time, place()) }
    guard let user = rows.userIDs.intern(userID) else { throw tooMany("user", place()) }
    guard let item = rows.itemIDs.intern(itemID) else { throw tooMany("item", place()) }
    rows.append(user: user, item: item, time: time)
  }

  @inline(never)
  private mutating func appendLater(
    _ userID: UnsafeRawBufferPointer, _ itemID: UnsafeRawBufferPointer, _ time: Int64, _ place: Place
  ) throws(ProgramFailure) {
    guard let user = later.userIDs.intern(userID) else { throw tooMany("user", place) }
    guard let item = later.itemIDs.intern(itemID) else { throw tooMany("item", place) }
    later.append(user: user, item: item, time: time)
  }

  /// An item that is to come soon.
  @inline(__always)
  func expect(item id: UnsafeRawBufferPointer) { rows.itemIDs.expect(id) }

  mutating func number(ofUser id: UnsafeRawBufferPointer, _ place: Place) throws(ProgramFailure) -> Int32 {
    guard let user = rows.userIDs.intern(id) else { throw tooMany("user", place) }
    return user
  }

  mutating func number(ofItem id: UnsafeRawBufferPointer, _ place: Place) throws(ProgramFailure) -> Int32 {
    guard let item = rows.itemIDs.intern(id) else { throw tooMany("item", place) }
    return item
  }

  private func tooMany(_ what: String, _ place: Place) -> ProgramFailure {
    ProgramFailure(.badData, "\(place.file):\(place.line): more than 2 billion distinct \(what)s")
  }

  // MARK: Times

  /// The time of a row in nanoseconds; nil, and a note, where it cannot be read.
  @inline(__always)
  mutating func time(
    _ text: UnsafeRawBufferPointer, _ reader: TimeValue.Reader, _ place: @autoclosure () -> Place
  ) -> Int64? {
    let problem: RowProblem
    switch reader.parse(text) {
    case .nanoseconds(let value): return value
    case .unparsable: problem = .unparsableTime
    case .notFinite: problem = .nonFiniteTime
    case .outOfRange: problem = .timeOutOfRange
    }
    note(problem, place())
    return nil
  }

  /// A time with what a second column adds.
  mutating func time(_ day: Int64, adding text: UnsafeRawBufferPointer, _ clock: ColumnRoles.Clock, _ place: Place) -> Int64? {
    let added: TimeValue
    if clock.isMilliseconds {
      added = TimeValue.epoch(text, EpochUnit.milliseconds.inNanoseconds)
    } else {
      var cursor = TimeCursor(TimeValue.trimmed(text))
      let read = cursor.clock()
      added = read.flatMap { cursor.isAtEnd ? .nanoseconds($0.seconds * 1_000_000_000 + $0.nanoseconds) : nil } ?? .unparsable
    }
    guard case .nanoseconds(let value) = added else {
      note(added == .outOfRange ? .timeOutOfRange : added == .notFinite ? .nonFiniteTime : .unparsableTime, place)
      return nil
    }
    let (sum, overflow) = day.addingReportingOverflow(value)
    if overflow { note(.timeOutOfRange, place) }
    return overflow ? nil : sum
  }

  // MARK: Filters

  /// Whether a row passes the filters of rows; counts it where not.
  mutating func passes(
    time: Int64?, rating: UnsafeRawBufferPointer?, event: UnsafeRawBufferPointer?, _ place: Place
  ) -> Bool {
    if let events = filters.events, let event, !events.contains(where: { $0.utf8.elementsEqual(event) }) {
      return isLeftOut(InteractionFilters.eventName)
    }
    if let least = filters.minimumRating, let rating {
      guard let value = ColumnContent.number(Array(rating)), value.isFinite else {
        note(.unparsableRating, place)
        return false
      }
      if value < least { return isLeftOut(InteractionFilters.ratingName) }
    }
    if let time, filters.before.map({ time >= $0 }) ?? false { return isLeftOut(InteractionFilters.beforeName) }
    if let time, filters.after.map({ time < $0 }) ?? false { return isLeftOut(InteractionFilters.afterName) }
    return true
  }

  private mutating func isLeftOut(_ name: String) -> Bool {
    filtered[name, default: 0] += 1
    return false
  }

  /// Refuses filters of columns that a file has not.
  func requireColumns(_ roles: ColumnRoles, file: String) throws(ProgramFailure) {
    func absent(_ option: String, _ role: String) -> ProgramFailure {
      ProgramFailure(
        .badData, "\(file): \(option) needs a column for the \(role), and none is known; name it with --columns \(role)=COLUMN")
    }
    if filters.minimumRating != nil && roles.rating == nil { throw absent("--min-rating", "rating") }
    if filters.events != nil && roles.event == nil { throw absent("--events", "event") }
    if filters.before != nil && roles.time == nil { throw absent("--before", "time") }
    if filters.after != nil && roles.time == nil { throw absent("--after", "time") }
    if isSplit && roles.time == nil { throw absent("--split-time (split_time)", "time") }
    if isSplit && roles.history != nil {
      throw ProgramFailure(
        .badData,
        "\(file): --split-time (split_time): rows that repeat a user's history (item_id_list) have no time for each item of it; give "
          + "the file of single interactions")
    }
  }
}
