import Foundation
import TestSupport

/// Writes rows in a layout that chance chooses, and says what must come out.
enum RoundTripWriter {
  struct Written {
    var layout: String
    var bytes: [UInt8]
    var histories: [String: [String]]
  }

  static func write(_ rows: RoundTripRows, _ random: inout SeededGenerator) -> Written {
    switch random.below(10) {
    case 0...3: headed(rows, &random)
    case 4: headerless(rows, &random)
    case 5, 6: objects(rows, &random)
    case 7: nested(rows, &random)
    case 8: lists(rows, &random)
    default: rows.ids == .small || rows.ids == .large ? netflix(rows, &random) : recBoleLists(rows, &random)
    }
  }

  /// Each user's items by time, ties as they stand.
  private static func histories(_ rows: [RoundTripRows.Row], by time: (RoundTripRows.Row) -> Int) -> [String: [String]] {
    var histories: [String: [String]] = [:]
    for (_, row) in rows.enumerated().sorted(by: { (time($0.element), $0.offset) < (time($1.element), $1.offset) }) {
      histories[row.user, default: []].append(row.item)
    }
    return histories
  }

  // MARK: Times

  private struct Time: Sendable {
    let name: String
    /// Seconds that one time stands for.
    let unit: Int
    let text: @Sendable (Int) -> String
  }

  private static func formatted(_ pattern: String) -> @Sendable (Int) -> String {
    { second in
      var time = time_t(second)
      var parts = tm()
      gmtime_r(&time, &parts)
      var buffer = [CChar](repeating: 0, count: 100)
      strftime(&buffer, 100, pattern, &parts)
      return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }

  private static let times = [
    Time(name: "s", unit: 1) { "\($0)" }, Time(name: "s.0", unit: 1) { "\($0).0" }, Time(name: "ms", unit: 1) { "\($0)123" },
    Time(name: "us", unit: 1) { "\($0)123456" }, Time(name: "ns", unit: 1) { "\($0)123456789" },
    Time(name: "iso", unit: 1, text: formatted("%Y-%m-%dT%H:%M:%SZ")),
    Time(name: "iso space", unit: 1, text: formatted("%Y-%m-%d %H:%M:%S")),
    Time(name: "iso zone", unit: 1, text: formatted("%Y-%m-%d %H:%M:%S UTC")),
    Time(name: "iso offset", unit: 1, text: formatted("%Y-%m-%dT%H:%M:%S+00:00")),
    Time(name: "iso hours", unit: 3600, text: formatted("%Y-%m-%d %H")),
    Time(name: "day", unit: 86400, text: formatted("%Y-%m-%d")), Time(name: "digits", unit: 86400, text: formatted("%Y%m%d")),
    Time(name: "slashes", unit: 86400, text: formatted("%Y/%m/%d")), Time(name: "dotted", unit: 60, text: formatted("%d.%m.%Y %H:%M")),
    Time(name: "ctime", unit: 1, text: formatted("%a %b %e %H:%M:%S %Y")),
    Time(name: "Twitter", unit: 1, text: formatted("%a %b %d %H:%M:%S +0000 %Y")),
  ]

  // MARK: Tables

  private static let userNames = [
    "user_id", "userId", "User-ID", "customer", "buyer_id", "visitorid", "reviewerID", "client_id", "user_idx", "account_id",
  ]
  private static let itemNames = ["item_id", "movieId", "StockCode", "sku", "asin", "video_id", "poi_id", "itemid", "product_id", "Item"]
  private static let timeNames = [
    "timestamp", "time", "created_at", "createdAt", "t_dat", "event_timestamp", "order_date", "unix_time", "wann", "last_watch_dt",
  ]

  private struct Column {
    let name: String
    let value: (RoundTripRows.Row) -> String
  }

  private static func others(_ random: inout SeededGenerator) -> [Column] {
    let all = [
      Column(name: "rating") { "\($0.rating)" }, Column(name: "price") { "\($0.second % 1000).\($0.second % 90 + 10)" },
      Column(name: "category") { "c\($0.second % 9)" }, Column(name: "release_date") { "19\(10 + $0.second % 89)-01-02" },
      Column(name: "quantity") { "\($0.second % 12)" }, Column(name: "note") { _ in "" },
    ]
    return Array(random.shuffled(all).prefix(random.below(4)))
  }

  private static func separators(_ ids: RoundTripRows.IDs) -> [String] {
    ids == .text ? [",", ";", "\t", "|", "::"] : [",", ";", "\t", "|", "::", " "]
  }

  private static func headed(_ rows: RoundTripRows, _ random: inout SeededGenerator) -> Written {
    let separator = random.pick(separators(rows.ids))
    var times = times
    if separator == " " { times.removeAll { $0.text(0).contains(" ") } }
    let time = random.chance(80) ? random.pick(times) : nil
    var columns = [Column(name: random.pick(userNames)) { $0.user }, Column(name: random.pick(itemNames)) { $0.item }]
    if let time { columns.append(Column(name: random.pick(timeNames)) { time.text($0.second) }) }
    var extra = others(&random)
    if separator == " " { extra.removeAll { $0.name == "note" } }
    columns = random.shuffled(columns + extra)
    let isInter = separator == "\t" && random.chance(30)
    if isInter {
      columns = columns.map { column in
        let name =
          userNames.contains(column.name) ? "user_id:token" : itemNames.contains(column.name) ? "item_id:token" : column.name + ":token"
        return Column(name: name, value: column.value)
      }
    }
    let quotesAll = !isInter && separator != "::" && random.chance(25)
    let quotesSome = separator == "," || separator == ";"
    func field(_ text: String) -> String {
      let needed = quotesSome && text.contains(where: { "\",;\n".contains($0) })
      return needed || quotesAll ? "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\"" : text
    }
    // Row names: a column in front, with an empty name or none.
    let rowNames = !isInter && random.chance(15) ? random.pick(["", "none"]) : nil
    var lines: [String] = []
    let header = (rowNames == "" && separator != " " ? [""] : []) + columns.map(\.name)
    lines.append(header.map { quotesAll ? field($0) : $0 }.joined(separator: separator))
    for (number, row) in rows.rows.enumerated() {
      let fields = columns.map { field($0.value(row)) }
      let front = rowNames == nil ? [] : [quotesAll ? "\"\(number + 1)\"" : "\(number + 1)"]
      lines.append((front + fields).joined(separator: separator))
    }
    return Written(
      layout:
        "table with a header, \(separator == "\t" ? "tab" : separator), quotes \(quotesAll), \(time?.name ?? "no time"), row names \(rowNames ?? "no")",
      bytes: text(lines, &random), histories: histories(rows.rows) { $0.second / (time?.unit ?? .max) })
  }

  private static func text(_ lines: [String], _ random: inout SeededGenerator) -> [UInt8] {
    let end = random.chance(25) ? "\r\n" : "\n"
    return Array(((random.chance(10) ? "\u{FEFF}" : "") + lines.joined(separator: end) + (random.chance(80) ? end : "")).utf8)
  }

  private static func headerless(_ rows: RoundTripRows, _ random: inout SeededGenerator) -> Written {
    let separator = random.pick(rows.ids == .text ? ["\t"] : [",", ";", "\t", "::", " "])
    var times = times
    if separator == " " { times.removeAll { $0.text(0).contains(" ") } }
    let time = random.chance(70) ? random.pick(times) : nil
    let hasRating = random.chance(50)
    let hasNumbers = (hasRating || time != nil) && random.chance(15)
    let lines = rows.rows.enumerated().map { number, row in
      ((hasNumbers ? ["\(number)"] : []) + [row.user, row.item] + (hasRating ? ["\(row.rating)"] : [])
        + (time.map { [$0.text(row.second)] } ?? []))
        .joined(separator: separator)
    }
    return Written(
      layout:
        "table without a header, \(separator == "\t" ? "tab" : separator), \(time?.name ?? "no time"), rating \(hasRating), row numbers \(hasNumbers)",
      bytes: text(lines, &random), histories: histories(rows.rows) { $0.second / (time?.unit ?? .max) })
  }

  // MARK: Objects

  private static func quoted(_ text: String, _ isPython: Bool, _ random: inout SeededGenerator) -> String {
    if !isPython {
      let escaped = text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
      return "\"" + (random.chance(30) ? escaped.replacingOccurrences(of: "é", with: "\\u00e9") : escaped) + "\""
    }
    if text.contains("\"") { return "'" + text + "'" }
    return random.pick(["u'\(text)'", "'\(text)'", "\"\(text)\""])
  }

  private static func value(_ text: String, _ isPython: Bool, _ random: inout SeededGenerator) -> String {
    Int(text) != nil && random.chance(50) ? text : quoted(text, isPython, &random)
  }

  private static func objects(_ rows: RoundTripRows, _ random: inout SeededGenerator) -> Written {
    let isPython = random.chance(30)
    let time = random.chance(80) ? random.pick(times) : nil
    var columns = [Column(name: random.pick(userNames)) { $0.user }, Column(name: random.pick(itemNames)) { $0.item }]
    if let time { columns.append(Column(name: random.pick(timeNames)) { time.text($0.second) }) }
    columns = random.shuffled(columns + others(&random))
    let isArray = !isPython && random.chance(30)
    var lines: [String] = []
    for row in rows.rows {
      let members = columns.map { "\(quoted($0.name, isPython, &random)): \(value($0.value(row), isPython, &random))" }
      lines.append("{" + (random.chance(5) ? random.shuffled(members) : members).joined(separator: ", ") + "}")
    }
    let body = isArray ? ["[" + lines.joined(separator: random.pick([",", ",\n  "])) + "]"] : lines
    return Written(
      layout: isPython ? "Python" : isArray ? "JSON array" : "JSON lines", bytes: text(body, &random),
      histories: histories(rows.rows) { $0.second / (time?.unit ?? .max) })
  }

  /// As OTTO has them.
  private static func nested(_ rows: RoundTripRows, _ random: inout SeededGenerator) -> Written {
    var lines: [String] = []
    var ordered: [RoundTripRows.Row] = []
    for user in Set(rows.rows.map(\.user)).sorted() {
      let own = rows.rows.filter { $0.user == user }
      let events = own.map { "{\"aid\":\(quoted($0.item, false, &random)),\"ts\":\($0.second)000,\"type\":\"clicks\"}" }
      lines.append("{\"session\":\(quoted(user, false, &random)),\"events\":[\(events.joined(separator: ","))]}")
      ordered += own
    }
    return Written(layout: "events in arrays", bytes: text(lines, &random), histories: histories(ordered) { $0.second })
  }

  // MARK: Lists

  private static func lists(_ rows: RoundTripRows, _ random: inout SeededGenerator) -> Written {
    let expected = histories(rows.rows) { $0.second }
    let style = rows.ids == .text ? 0 : random.below(4)
    var lines: [String] = []
    for user in random.shuffled(expected.keys.sorted()) {
      let items = expected[user] ?? []
      switch style {
      case 0:
        let values = items.map { quoted($0, false, &random) }
        lines.append("{\"user\": \(quoted(user, false, &random)), \"items\": [\(values.joined(separator: ", "))]}")
      case 1: lines.append("\(user)\t\(items.joined(separator: " "))")
      case 2: lines.append("\(user),\"[\(items.joined(separator: ", "))]\"")
      default: lines.append(([user] + items).joined(separator: " "))
      }
    }
    return Written(layout: "lists, style \(style)", bytes: text(lines, &random), histories: expected)
  }

  private static func recBoleLists(_ rows: RoundTripRows, _ random: inout SeededGenerator) -> Written {
    // RecBole's items hold no spaces.
    let kept = rows.rows.map { row in
      RoundTripRows.Row(user: row.user, item: row.item.replacingOccurrences(of: " ", with: "_"), rating: 1, second: row.second)
    }
    let expected = histories(kept) { $0.second }
    var lines: [String] = []
    for user in expected.keys.sorted() {
      let items = expected[user] ?? []
      for end in items.indices.dropFirst() { lines.append("\(user)\t\(items[..<end].joined(separator: " "))\t\(items[end])") }
      if items.count == 1 { lines.append("\(user)\t\t\(items[0])") }
    }
    if random.chance(50) { lines = random.shuffled(lines) }
    return Written(
      layout: "RecBole's lists", bytes: text(["user_id:token\titem_id_list:token_seq\titem_id:token"] + lines, &random), histories: expected
    )
  }

  private static func netflix(_ rows: RoundTripRows, _ random: inout SeededGenerator) -> Written {
    let day = formatted("%Y-%m-%d")
    var lines: [String] = []
    var ordered: [RoundTripRows.Row] = []
    for item in random.shuffled(Set(rows.rows.map(\.item)).sorted()) {
      lines.append("\(item):")
      for row in rows.rows where row.item == item {
        lines.append("\(row.user),\(row.rating),\(day(row.second))")
        ordered.append(row)
      }
    }
    return Written(layout: "Netflix", bytes: text(lines, &random), histories: histories(ordered) { $0.second / 86400 })
  }
}
