import Glibc

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
final class GroupedItems {
  private(set) var offsets: UnsafeMutableBufferPointer<Int64>  // (users + 1), of malloc
  private(set) var values: UnsafeMutableBufferPointer<Int32>  // (rows), of malloc
  private(set) var times: UnsafeMutableBufferPointer<Int64>  // (rows) or empty, of malloc
  let hasTimes: Bool
  /// Numbers of the users whose items these are; nil: all, in order.
  private(set) var users: [Int32]?

  fileprivate init(
    offsets: UnsafeMutableBufferPointer<Int64>, values: UnsafeMutableBufferPointer<Int32>,
    times: UnsafeMutableBufferPointer<Int64>, hasTimes: Bool
  ) {
    (self.offsets, self.values, self.times, self.hasTimes) = (offsets, values, times, hasTimes)
  }

  deinit {
    free(offsets.baseAddress)
    free(values.baseAddress)
    free(times.baseAddress)
  }

  /// Sequences that own the storage; this object has none afterwards.
  func sequences() -> Sequences {
    nonisolated(unsafe) let (freeOffsets, freeValues) = (offsets.baseAddress, values.baseAddress)
    let sequences = Sequences(
      offsets: UnsafeBufferPointer(offsets), values: UnsafeBufferPointer(values),
      release: {
        free(freeOffsets)
        free(freeValues)
      })
    offsets = UnsafeMutableBufferPointer(start: nil, count: 0)
    values = UnsafeMutableBufferPointer(start: nil, count: 0)
    return sequences
  }

  /// Keeps rows `kept` (ascending); users that have none left go.
  func keep(_ kept: (Int) -> Bool) {
    let old = users
    var (row, target, userTarget) = (0, 0, 0)
    var survivors: [Int32] = []
    for user in 0..<(offsets.count - 1) {
      let end = Int(offsets[user + 1])
      let first = target
      while row < end {
        if kept(row) {
          values[target] = values[row]
          if hasTimes { times[target] = times[row] }
          target += 1
        }
        row += 1
      }
      if target == first { continue }
      survivors.append(old.map { $0[user] } ?? Int32(user))
      userTarget += 1
      offsets[userTarget] = Int64(target)
    }
    offsets = UnsafeMutableBufferPointer(rebasing: offsets[...userTarget])
    values = UnsafeMutableBufferPointer(rebasing: values[..<target])
    if hasTimes { times = UnsafeMutableBufferPointer(rebasing: times[..<target]) }
    users = survivors
  }

  /// Users whose last two interactions have the same time.
  var usersEndingOnTie: Int {
    guard hasTimes else { return 0 }
    return (0..<(offsets.count - 1)).count { user in
      let (start, end) = (Int(offsets[user]), Int(offsets[user + 1]))
      return end - start >= 2 && times[end - 1] == times[end - 2]
    }
  }

  /// Rows whose user, item and time another row before them has.
  var duplicateCount: Int {
    var count = 0
    forEachDuplicate { _ in count += 1 }
    return count
  }

  /// Goes through the rows that are duplicates of earlier ones.
  func forEachDuplicate(_ body: (Int) -> Void) {
    guard hasTimes else { return }
    for user in 0..<(offsets.count - 1) {
      let end = Int(offsets[user + 1])
      var start = Int(offsets[user])
      while start < end {
        var next = start + 1
        while next < end, times[next] == times[start] { next += 1 }
        if next - start > 1 { Self.forEachDuplicate(values, start..<next, body) }
        start = next
      }
    }
  }

  private static func forEachDuplicate(
    _ values: UnsafeMutableBufferPointer<Int32>, _ rows: Range<Int>, _ body: (Int) -> Void
  ) {
    if rows.count <= 16 {
      for row in rows.dropFirst() where values[rows.lowerBound..<row].contains(values[row]) { body(row) }
      return
    }
    var seen: Set<Int32> = []
    for row in rows where !seen.insert(values[row]).inserted { body(row) }
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
    if hasTimes { Self.sortByTime(offsets, values, sortedTimes) }
    return GroupedItems(offsets: offsets, values: values, times: sortedTimes, hasTimes: hasTimes)
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

  /// Sorts each user's rows by time where they are not in order.
  private static func sortByTime(
    _ offsets: UnsafeMutableBufferPointer<Int64>, _ items: UnsafeMutableBufferPointer<Int32>,
    _ times: UnsafeMutableBufferPointer<Int64>
  ) {
    // An item's place among the user's rows, then the item: the place decides ties, whatever kind of sort there is.
    var rows: [(time: Int64, item: UInt64)] = []
    for user in 0..<(offsets.count - 1) {
      let range = Int(offsets[user])..<Int(offsets[user + 1])
      var isSorted = true
      for place in range.dropFirst() where times[place] < times[place - 1] {
        isSorted = false
        break
      }
      if !isSorted {
        rows.removeAll(keepingCapacity: true)
        for place in range {
          rows.append((times[place], UInt64(place - range.lowerBound) << 32 | UInt64(UInt32(bitPattern: items[place]))))
        }
        rows.sort { $0.time != $1.time ? $0.time < $1.time : $0.item < $1.item }
        for (place, row) in zip(range, rows) {
          times[place] = row.time
          items[place] = Int32(truncatingIfNeeded: row.item)
        }
      }
    }
  }
}
