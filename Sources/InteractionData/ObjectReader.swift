import Glibc
import SystemSupport

/// Reads the interactions of a file of JSON or Python objects, whose keys are known.
struct ObjectReader: ~Copyable {
  /// A key on the way to wanted values.
  private struct Node {
    var key: [UInt8]
    /// The column whose value stands here.
    var column: Int?
    /// Here stands the array of objects that are interactions.
    var isEvents = false
    var children: [Node] = []
  }

  private enum Found {
    case none
    /// A string without escapes, a number or a word.
    case text(Range<Int>)
    /// Text in the scratch buffer.
    case scratch(Range<Int>)
    case list(Range<Int>)
  }

  private let layout: JSONLayout
  private let input: InputBytes
  private let base: UnsafePointer<UInt8>
  private let nodes: [Node]
  private let eventNodes: [Node]
  private let keys: KnownKeys
  private let eventKeys: KnownKeys
  private let found: UnsafeMutableBufferPointer<Found>  // (columns)
  /// Columns that each event has of its own.
  private let eventColumns: [Int]
  private let timeReader: TimeValue.Reader
  private let hasEvents: Bool
  private let user: Int
  private let item: Int
  /// -1 without times.
  private let time: Int
  private let clock: ColumnRoles.Clock?
  private let rating: Int?
  private let event: Int?
  private let list: ListSyntax?
  private var scratch = GrowableStorage<UInt8>(capacity: 1 << 10)
  /// Of the object's events, one after the other, the values of `eventColumns`; handed over when all of the object is known.
  private var events: [Found] = []
  private var eventCount: Int?
  /// Events that cannot be read: whether a key is given twice in them.
  private var badEvents: [Bool] = []
  private var hasKeyTwice = false

  static func read(_ input: InputBytes, _ layout: JSONLayout, into sink: inout RowSink) throws(ProgramFailure) {
    defer { withExtendedLifetime(input) {} }
    try sink.requireColumns(layout.roles, file: input.name)
    guard let base = input.body.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    var reader = ObjectReader(input, layout, base)
    try reader.read(into: &sink)
  }

  private init(_ input: InputBytes, _ layout: JSONLayout, _ base: UnsafePointer<UInt8>) {
    (self.input, self.layout, self.base) = (input, layout, base)
    var (nodes, eventNodes): ([Node], [Node]) = ([], [])
    for column in Set(layout.roles.used).sorted() {
      let path = layout.paths[column]
      if path.arrayDepth == 0 {
        Self.insert(path.keys[...], column, &nodes)
      } else {
        Self.insert(path.keys[path.arrayDepth...], column, &eventNodes)
      }
    }
    if let events = layout.events { Self.insert(events[...], nil, &nodes) }
    (self.nodes, self.eventNodes) = (nodes, eventNodes)
    (keys, eventKeys) = (KnownKeys(), KnownKeys())
    found = .allocate(capacity: layout.paths.count)
    found.initialize(repeating: .none)
    eventColumns = layout.roles.used.filter { layout.paths[$0].arrayDepth > 0 }
    timeReader = TimeValue.Reader(layout.roles.time?.format ?? .numbers)
    hasEvents = layout.events != nil
    (user, item, time) = (layout.roles.user, layout.roles.item, layout.roles.time?.column ?? -1)
    (clock, list) = (layout.roles.time?.clock, layout.roles.list)
    (rating, event) = (layout.roles.rating, layout.roles.event)
  }

  deinit { found.deallocate() }

  private static func insert(_ keys: ArraySlice<String>, _ column: Int?, _ nodes: inout [Node]) {
    guard let first = keys.first else { return }
    let key = Array(first.utf8)
    let place = nodes.firstIndex { $0.key == key } ?? nodes.count
    if place == nodes.count { nodes.append(Node(key: key)) }
    if keys.count > 1 {
      insert(keys.dropFirst(), column, &nodes[place].children)
    } else if let column {
      nodes[place].column = column
    } else {
      nodes[place].isEvents = true
    }
  }

  private mutating func read(into sink: inout RowSink) throws(ProgramFailure) {
    var records = ObjectRecords(input.body, dialect: layout.dialect, isLines: layout.isLines, checksLines: false)
    let start = input.bytes.count - input.body.count
    var discarded = 0
    while records.next() {
      let place = RowSink.Place(file: input.name, line: records.line, text: records.text)
      guard let object = records.object else {
        if layout.isLines {
          sink.note(.notAnObject, place)
          continue
        }
        throw ProgramFailure(
          .badData,
          "\(input.name):\(records.line): \(PrintableText.quoted(records.text)): not the object that should follow here; the "
            + "file is damaged or cut off")
      }
      for column in found.indices { found[column] = .none }
      scratch.removeAll()
      events.removeAll(keepingCapacity: true)
      badEvents.removeAll(keepingCapacity: true)
      eventCount = nil
      hasKeyTwice = false
      var cursor = JSONCursor(base, object, layout.dialect)
      if !collect(&cursor, nodes, keys) {
        sink.note(hasKeyTwice ? .keyTwice : .notAnObject, place)
      } else if layout.isLines, !ObjectRecords.isEnd(&cursor) {
        sink.note(.notAnObject, place)
      } else if !hasEvents {
        try hand(over: place, to: &sink)
      } else {
        try handOverEvents(place, &sink)
      }
      let end = (start + records.consumed) & ~0xFFFF
      if end - discarded > 1 << 25 {
        input.discard(discarded..<end)
        discarded = end
      }
    }
  }

  private mutating func handOverEvents(_ place: RowSink.Place, _ sink: inout RowSink) throws(ProgramFailure) {
    guard let eventCount else { return sink.note(.emptyID, place) }
    for isTwice in badEvents { sink.note(isTwice ? .keyTwice : .notAnObject, place) }
    let width = eventColumns.count
    // Where the ids stand in their table is on its way to the cache while the others are looked up.
    if let place = eventColumns.firstIndex(of: item) {
      for event in 0..<eventCount {
        if case .text(let range) = events[event * width + place] { sink.expect(item: bytes(range)) }
      }
    }
    for event in 0..<eventCount {
      for (number, column) in eventColumns.enumerated() { found[column] = events[event * width + number] }
      try hand(over: place, to: &sink)
    }
  }

  /// Notes the values of an array's objects; false where it is not well-formed.
  private mutating func collectEvents(_ cursor: inout JSONCursor) -> Bool {
    guard eventCount == nil else {
      hasKeyTwice = true
      return false
    }
    let closing: Unicode.Scalar = base[cursor.place] == UInt8(ascii: "(") ? ")" : "]"
    cursor.place += 1
    var (count, isFirst) = (0, true)
    while true {
      guard let more = cursor.hasNext(closing, isFirst: isFirst) else { return false }
      if !more { break }
      isFirst = false
      for column in eventColumns { found[column] = .none }
      cursor.skipSpace()
      let start = cursor.place
      if collect(&cursor, eventNodes, eventKeys) {
        for column in eventColumns { events.append(found[column]) }
        count += 1
        continue
      }
      badEvents.append(hasKeyTwice)
      hasKeyTwice = false
      cursor.place = start
      if cursor.value(depth: 2) == nil { return false }
    }
    eventCount = count
    return true
  }

  // MARK: One object

  /// Notes the wanted values of an object; false where it is not well-formed, or a wanted key is given twice.
  private mutating func collect(_ cursor: inout JSONCursor, _ nodes: [Node], _ keys: KnownKeys?) -> Bool {
    guard cursor.skip("{") else { return false }
    var number = 0
    while true {
      guard let more = cursor.hasNext("}", isFirst: number == 0) else { return false }
      if !more { return true }
      var place: Int?
      if let keys, let known = keys.pass(&cursor, number) {
        place = known
      } else {
        let start = cursor.place
        guard let key = cursor.key() else { return false }
        place = find(key.range, key.hasEscapes, cursor, nodes)
        keys?.learn(start..<cursor.place, cursor, number, place)
      }
      number += 1
      if let found = place, found < 0 { place = nil }
      if let place, nodes[place].isEvents, opensArray(&cursor) {
        if !collectEvents(&cursor) { return false }
        continue
      }
      guard let value = cursor.value(depth: 1) else { return false }
      if let place, !note(value, cursor, nodes, place) { return false }
    }
  }

  private func opensArray(_ cursor: inout JSONCursor) -> Bool {
    cursor.skipSpace()
    guard cursor.place < cursor.end else { return false }
    return base[cursor.place] == UInt8(ascii: "[") || layout.dialect == .python && base[cursor.place] == UInt8(ascii: "(")
  }

  private func find(_ range: Range<Int>, _ hasEscapes: Bool, _ cursor: JSONCursor, _ nodes: [Node]) -> Int? {
    if hasEscapes {
      var text = GrowableStorage<UInt8>()
      guard cursor.unescape(range, into: &text) else { return nil }
      return nodes.indices.first { nodes[$0].key.elementsEqual(text.elements) }
    }
    for place in nodes.indices where nodes[place].key.count == range.count {
      if memcmp(nodes[place].key, base + range.lowerBound, range.count) == 0 { return place }
    }
    return nil
  }

  @inline(__always)
  private mutating func note(_ value: JSONCursor.Value, _ cursor: JSONCursor, _ nodes: [Node], _ place: Int) -> Bool {
    if case .object(let range) = value {
      if nodes[place].children.isEmpty { return true }
      var inner = JSONCursor(base, range, layout.dialect)
      return collect(&inner, nodes[place].children, nil)
    }
    guard let column = nodes[place].column else { return true }
    guard case .none = found[column] else {
      hasKeyTwice = true
      return false
    }
    switch value {
    case .string(let range, hasEscapes: false), .plain(let range): found[column] = .text(range)
    case .string(let range, hasEscapes: true):
      let start = scratch.count
      guard cursor.unescape(range, into: &scratch) else { return false }
      found[column] = .scratch(start..<scratch.count)
    case .array(let range): found[column] = .list(range)
    case .object: break
    }
    return true
  }

  /// A column's value; empty where it is not there.
  private func text(_ column: Int) -> UnsafeRawBufferPointer {
    switch found[column] {
    case .none: UnsafeRawBufferPointer(start: nil, count: 0)
    case .text(let range), .list(let range): bytes(range)
    case .scratch(let range): UnsafeRawBufferPointer(start: scratch.base + range.lowerBound, count: range.count)
    }
  }

  private func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
  }

  // MARK: One interaction

  private mutating func hand(over place: RowSink.Place, to sink: inout RowSink) throws(ProgramFailure) {
    let (userID, itemID) = (text(user), text(item))
    if case .list = found[user] { return sink.note(.missingUser, place) }
    if !sink.hasIDs(userID, itemID, place) { return }
    var moment: Int64 = 0
    if time >= 0 {
      guard let value = sink.time(text(time), timeReader, place) else { return }
      moment = value
      if let clock {
        guard let sum = sink.time(value, adding: text(clock.column), clock, place) else { return }
        moment = sum
      }
    }
    if sink.filters.filterRows {
      let isKept = sink.passes(
        time: time < 0 ? nil : moment, rating: rating.map { text($0) }, event: event.map { text($0) }, place)
      if !isKept { return }
    }
    if case .list(let range) = found[item] {
      guard list != nil else { return sink.note(.missingItem, place, detail: " (a list)") }
      return try append(range, moment, place, &sink)
    }
    guard let list else { return try sink.append(userID, itemID, moment, place) }
    try RowReader.append(list, itemID, user: userID, moment, place, &sink)
  }

  /// The items of an array.
  private mutating func append(
    _ range: Range<Int>, _ time: Int64, _ place: RowSink.Place, _ sink: inout RowSink
  ) throws(ProgramFailure) {
    var cursor = JSONCursor(base, (range.lowerBound + 1)..<range.upperBound, layout.dialect)
    let closing: Unicode.Scalar = base[range.lowerBound] == UInt8(ascii: "(") ? ")" : "]"
    var items: [Found] = []
    var isFirst = true
    while cursor.hasNext(closing, isFirst: isFirst) == true {
      isFirst = false
      switch cursor.value() {
      case .string(let text, hasEscapes: false)?, .plain(let text)?: items.append(.text(text))
      case .string(let text, hasEscapes: true)?:
        let start = scratch.count
        guard cursor.unescape(text, into: &scratch) else { return sink.note(.notAnObject, place) }
        items.append(.scratch(start..<scratch.count))
      default: return sink.note(.missingItem, place, detail: " (a list in a list)")
      }
    }
    let userID = text(user)
    if items.isEmpty {
      if sink.allowsUserOnly { return try sink.introduce(userID, place) }
      return sink.note(.emptyID, place)
    }
    func bytes(_ item: Found) -> UnsafeRawBufferPointer {
      switch item {
      case .text(let range), .list(let range): UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
      case .scratch(let range): UnsafeRawBufferPointer(start: scratch.base + range.lowerBound, count: range.count)
      case .none: UnsafeRawBufferPointer(start: nil, count: 0)
      }
    }
    for item in items where MissingValue.isOne(bytes(item)) { return sink.note(.missingItem, place) }
    for item in items { try sink.append(userID, bytes(item), time, place) }
  }
}
