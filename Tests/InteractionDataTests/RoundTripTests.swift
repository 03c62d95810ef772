import Foundation
import InteractionData
import SystemSupport
import TestSupport
import Testing

/// Rows that are written down in any layout, packed or not, come out as they went in, or are refused.
/// BERT4REC_ROUND_TRIPS sets how many ways of writing are tried, BERT4REC_ROUND_TRIPS_FROM the number of the first.
@Suite struct RoundTripTests {
  @Test func whatComesOutWentIn() throws {
    let environment = ProcessInfo.processInfo.environment
    let count = environment["BERT4REC_ROUND_TRIPS"].flatMap { Int($0) } ?? 200
    let first = environment["BERT4REC_ROUND_TRIPS_FROM"].flatMap { Int($0) } ?? 0
    let real = try RealData.isThere("ml-100k.inter") ? RoundTripRows.read(RealData.path("ml-100k.inter")) : nil
    let scratch = try Scratch()
    let packers = Packer.all.filter(\.isThere)
    var (refused, wrong): ([String: Int], Int) = ([:], 0)
    for number in first..<(first + count) {
      var random = SeededGenerator(seed: UInt64(number) &* 0x9E37_79B9_7F4A_7C15)
      let rows = RoundTripRows.make(real, &random)
      let written = RoundTripWriter.write(rows, &random)
      // Half of them packed.
      let packer = number % 2 == 0 ? nil : packers.isEmpty ? nil : packers[number / 2 % packers.count]
      var path = try scratch.write(written.bytes)
      if let packer {
        for name in try scratch.names() where name != "data.txt" { try FileManager.default.removeItem(atPath: scratch.path(name)) }
        path = scratch.path(try packer.pack("data.txt", in: scratch.folder))
      }
      let layout = written.layout + (packer.map { " in \($0)" } ?? "")
      do {
        let loaded = try load(path)
        let found = Dictionary(uniqueKeysWithValues: loaded.histories.map { ($0.user, $0.items) })
        if found != written.histories {
          wrong += 1
          let text = String(decoding: written.bytes.prefix(600), as: UTF8.self)
          Issue.record("number \(number), \(layout): other pairs came out\n\(loaded.said)\n\(text)")
        }
      } catch let failure as ProgramFailure {
        #expect(failure.exitCode == .badData, "number \(number), \(layout): \(failure.message)")
        refused[written.layout, default: 0] += 1
        if environment["BERT4REC_ROUND_TRIPS_SAY"] != nil { print("number \(number), \(layout): \(failure.message.prefix(300))") }
      }
      if wrong > 5 { break }
    }
    let total = refused.values.reduce(0, +)
    #expect(10 * total <= count, "\(total) of \(count) are refused: \(refused)")
    if count > 1000 { print("\(count) ways of writing: \(wrong) wrong, \(total) refused: \(refused)") }
  }
}

extension SeededGenerator {
  mutating func chance(_ percent: Int) -> Bool { chance(percent, in: 100) }
}

/// Interactions with ids of one kind.
struct RoundTripRows {
  struct Row {
    var user: String
    var item: String
    var rating: Int
    /// Seconds since 1970; each stands once.
    var second: Int
  }

  enum IDs: CaseIterable { case small, large, mixed, text }

  var rows: [Row]
  var ids: IDs

  static func read(_ path: String) throws -> [Row] {
    try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").dropFirst().map { line in
      let fields = line.split(separator: "\t").map(String.init)
      return Row(user: fields[0], item: fields[1], rating: Int(Double(fields[2]) ?? 1), second: Int(Double(fields[3]) ?? 0))
    }
  }

  static func make(_ real: [Row]?, _ random: inout SeededGenerator) -> RoundTripRows {
    let ids = random.pick(IDs.allCases)
    let count = 40 + random.below(160)
    var rows: [Row] = []
    var seconds: Set<Int> = []
    if let real, ids == .small {
      let users = Set((0..<8).map { _ in real[random.below(real.count)].user })
      for row in real where users.contains(row.user) && seconds.insert(row.second).inserted { rows.append(row) }
      rows = Array(random.shuffled(rows).prefix(count))
    } else {
      let (users, items) = (3 + random.below(12), 20 + random.below(60))
      while rows.count < count {
        let second = 700_000_000 + random.below(900_000_000)
        if !seconds.insert(second).inserted { continue }
        rows.append(
          Row(
            user: id(ids, 1 + random.below(users), "u"), item: id(ids, 1 + random.below(items), "i"), rating: 1 + random.below(5),
            second: second))
      }
    }
    return RoundTripRows(rows: random.shuffled(rows), ids: ids)
  }

  private static func id(_ ids: IDs, _ number: Int, _ letter: String) -> String {
    switch ids {
    case .small: "\(number)"
    case .large: "\(letter == "u" ? 3_000_000 : 50_000_000 + number * 7_919)\(number)"
    case .mixed: "\(letter)\(number)x\(number % 7)"
    case .text: ["Toy Story \(number)", "a, b \(number)", "say \"\(number)\"", "é\(number);x", "plain\(number)"][number % 5]
    }
  }
}
