#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Interactions in the order of the input, as columns of numbers.
struct InteractionRows: ~Copyable {
  var userIDs = IDTable()
  var itemIDs = IDTable()
  /// Number of the user, by first appearance; a row each.
  fileprivate(set) var users = GrowableStorage<Int32>()
  fileprivate(set) var items = GrowableStorage<Int32>()
  /// Nanoseconds; empty without a time column.
  fileprivate(set) var times = GrowableStorage<Int64>()
  let hasTimes: Bool

  init(hasTimes: Bool) { self.hasTimes = hasTimes }

  var count: Int { users.count }

  @inline(__always)
  mutating func append(user: Int32, item: Int32, time: Int64) {
    users.append(user)
    items.append(item)
    if hasTimes { times.append(time) }
  }
}

/// Each user's items in time order, still with numbers by first appearance.
struct GroupedItems {
  let offsets: UnsafeMutableBufferPointer<Int64>  // (users + 1), of malloc
  let values: UnsafeMutableBufferPointer<Int32>  // (rows), of malloc
  /// Users whose last two interactions have the same time; nil without a time column.
  let usersEndingOnTie: Int?

  /// Sequences that own the storage.
  func sequences() -> Sequences {
    nonisolated(unsafe) let (freeOffsets, freeValues) = (offsets.baseAddress, values.baseAddress)
    return Sequences(
      offsets: UnsafeBufferPointer(offsets), values: UnsafeBufferPointer(values),
      release: {
        free(freeOffsets)
        free(freeValues)
      })
  }
}

extension InteractionRows {
  /// Sorts the rows by user and time; rows with equal times stay in the order of the input. Empties the columns.
  mutating func group() -> GroupedItems {
    let userCount = userIDs.count
    var offsetStorage = GrowableStorage<Int64>(capacity: userCount + 1)
    for _ in 0...userCount { offsetStorage.append(0) }
    let offsets = offsetStorage.take()
    var isGrouped = true
    var previous: Int32 = 0
    for user in users.elements {
      offsets[Int(user) + 1] += 1
      if user < previous { isGrouped = false }
      previous = user
    }
    for user in 0..<userCount { offsets[user + 1] += offsets[user] }

    // Users are numbered by first appearance, so rows with ascending users are grouped already.
    if !isGrouped { scatter(offsets) }
    users = GrowableStorage()
    let values = items.take()
    let sortedTimes = times.take()
    defer { free(sortedTimes.baseAddress) }
    let ties = hasTimes ? Self.sortByTime(offsets, values, sortedTimes) : nil
    return GroupedItems(offsets: offsets, values: values, usersEndingOnTie: ties)
  }

  /// A counting sort, which keeps the order of a user's rows.
  private mutating func scatter(_ offsets: UnsafeMutableBufferPointer<Int64>) {
    let rows = users.count
    let cursors = UnsafeMutablePointer<Int64>.allocate(capacity: offsets.count)
    defer { cursors.deallocate() }
    if let first = offsets.baseAddress { cursors.initialize(from: first, count: offsets.count) }
    let targets = users.base
    var sortedItems = GrowableStorage<Int32>(capacity: rows)
    var sortedTimes = GrowableStorage<Int64>(capacity: hasTimes ? rows : 1)
    sortedItems.resize(rows)
    if hasTimes { sortedTimes.resize(rows) }
    for row in 0..<rows {
      let user = Int(targets[row])
      let place = Int(cursors[user])
      cursors[user] += 1
      sortedItems.base[place] = items.base[row]
      if hasTimes { sortedTimes.base[place] = times.base[row] }
    }
    items = sortedItems
    times = sortedTimes
  }

  /// Sorts each user's rows by time where they are not in order; returns how many users end on a tie.
  private static func sortByTime(
    _ offsets: UnsafeMutableBufferPointer<Int64>, _ items: UnsafeMutableBufferPointer<Int32>,
    _ times: UnsafeMutableBufferPointer<Int64>
  ) -> Int {
    var ties = 0
    var rows: [(time: Int64, place: Int, item: Int32)] = []
    for user in 0..<(offsets.count - 1) {
      let range = Int(offsets[user])..<Int(offsets[user + 1])
      var isSorted = true
      for place in range.dropFirst() where times[place] < times[place - 1] {
        isSorted = false
        break
      }
      if !isSorted {
        rows.removeAll(keepingCapacity: true)
        for place in range { rows.append((times[place], place, items[place])) }
        // The place decides ties, whatever kind of sort the library has.
        rows.sort { $0.time != $1.time ? $0.time < $1.time : $0.place < $1.place }
        for (place, row) in zip(range, rows) {
          times[place] = row.time
          items[place] = row.item
        }
      }
      if range.count >= 2, times[range.upperBound - 1] == times[range.upperBound - 2] { ties += 1 }
    }
    return ties
  }
}
