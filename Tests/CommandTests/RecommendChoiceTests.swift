import BERT4RecDist
import Foundation
import Testing

extension CommandTests {
  /// `recommend` of some items alone, of similar items, and as a TREC run.
  @Suite struct RecommendChoices {
    private func recommend(_ more: [String], status: Int32 = 0, ranks: Int? = nil, input: String? = nil) throws -> CommandResult {
      let arguments = ["recommend", "--checkpoint", try TrainedDemo.shared.get().run.path] + more
      let result = try ranks.map { try Program.mpirun(ranks: $0, arguments) } ?? Program.run(arguments, input: input)
      #expect(result.status == status, "\(result.errors)")
      return result
    }

    private func withFile(_ text: String, _ body: (String) throws -> Void) throws {
      try Program.withTemporaryFolder { folder in
        try text.write(toFile: folder + "/file", atomically: true, encoding: .utf8)
        try body(folder + "/file")
      }
    }

    /// The rows of the whole list whose items are candidates, with ranks of their own.
    private func rows(_ all: CommandResult, where isCandidate: (Substring, Substring) -> Bool) -> [String] {
      var rank: [Substring: Int] = [:]
      return all.lines.dropFirst().compactMap { line in
        let fields = line.split(separator: ",")
        guard isCandidate(fields[0], fields[1]) else { return nil }
        rank[fields[0], default: 0] += 1
        return "\(fields[0]),\(fields[1]),\(fields[2]),\(rank[fields[0]] ?? 0)"
      }
    }

    private static let few: Set<Substring> = ["ring0-item6", "ring1-item9", "ring4-item0"]

    @Test func oneListOfCandidates() throws {
      let data = try TrainedDemo.shared.get().data
      let all = try recommend(["--data", data, "--top-k", "120"])
      try withFile("item_id\n" + Self.few.joined(separator: "\n") + "\nno-such\n") { path in
        let asked = ["--data", data, "--candidates", path]
        let some = try recommend(asked)
        #expect(Array(some.lines.dropFirst()) == rows(all) { Self.few.contains($1) }.map { Substring($0) })
        #expect(some.lines.count > 400)
        #expect(some.count(ofErrors: "1 of 4 candidates in \(path) are items that the model does not know: they are skipped") == 1)
        for (ranks, threads) in [(2, "1"), (3, "2")] {
          let result = try recommend(asked + ["--threads", threads], ranks: ranks)
          #expect(result.output == some.output && result.count(ofErrors: "one list of 4 items") == 1)
        }
      }
    }

    @Test func aListPerUser() throws {
      let data = try TrainedDemo.shared.get().data
      let all = try recommend(["--data", data, "--top-k", "120", "--keep-seen"])
      let users = Array(Set(all.lines.dropFirst().compactMap { $0.split(separator: ",").first })).sorted()
      // Every other user has some; of all lengths.
      var lists: [Substring: Set<Substring>] = [:]
      for (place, user) in users.enumerated() where place % 2 == 0 {
        lists[user] = Set((0...(place % 50)).map { "ring\($0 % 5)-item\(($0 + place) % 24)" })
      }
      let text = lists.flatMap { user, items in items.map { "\(user),\($0)\n" } }.joined()
      try withFile("user_id,item_id\n" + text + "nobody,ring0-item1\n") { path in
        let asked = ["--data", data, "--keep-seen", "--top-k", "20", "--candidates", path]
        let some = try recommend(asked)
        let expected = rows(all) { lists[$0]?.contains($1) ?? false }.filter { Int($0.split(separator: ",")[3]) ?? 0 <= 20 }
        #expect(Array(some.lines.dropFirst()) == expected.map { Substring($0) } && expected.count > 1000)
        #expect(some.count(ofErrors: "200 of 400 users have no candidates in \(path): nothing is recommended to them") == 1)
        #expect(try recommend(asked, ranks: 3).output == some.output)
      }
    }

    @Test func candidatesThatCannotBe() throws {
      let data = try TrainedDemo.shared.get().data
      for (text, words) in [
        ("x\ny\n", "none of its 2 candidates is an item that the model knows"), ("", "no candidates; it is empty"),
        ("stranger ring0-item1\nother ring0-item2\n", "none of its 2 users is one of the 400 asked for"),
        ("1;2;3\n4;5;6\n", "3 columns"),
      ] {
        try withFile(text) { path in
          let result = try recommend(["--data", data, "--candidates", path], status: 65)
          #expect(result.output.isEmpty && result.count(ofErrors: words) == 1, "\(text): \(result.errors)")
        }
      }
      #expect(try recommend(["--data", data, "--candidates", "/no/such"], status: 66).count(ofErrors: "error: ") == 1)
    }

    /// A user without a history gets the most popular candidates.
    @Test func popularCandidates() throws {
      try withFile("ring0-item1\nring1-item1\nring2-item1\n") { path in
        let result = try recommend(["--histories", "-", "--candidates", path, "--format", "jsonl"], input: "new\n")
        let data = DemonstrationData.make()
        let items = (0..<data.itemCount).map { (id: String(decoding: data.itemIDs[$0], as: UTF8.self), count: data.itemCounts[$0]) }
        let expected = items.filter { ["ring0-item1", "ring1-item1", "ring2-item1"].contains($0.id) }
        #expect(expected.count == 3 && result.lines.count == 3)
        for (line, item) in zip(result.lines, expected) {
          #expect(line.contains("\"item_id\":\"\(item.id)\",\"score\":\(item.count),"))
        }
      }
    }

    @Test func similarItems() throws {
      let run = try TrainedDemo.shared.get().run
      let model = try CheckpointModel(run.path, communicator: SoloCommunicator(), log: { Issue.record("\($0)") })
      let (hidden, table) = (model.state.configuration.hiddenSize, model.state.layout.wordEmbeddings)
      func row(_ item: Int) -> [Double] { (0..<hidden).map { Double(model.state.parameters[table + (item + 1) * hidden + $0]) } }
      func cosine(_ a: Int, _ b: Int) -> Double {
        func product(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
        let (a, b) = (row(a), row(b))
        return product(a, b) / (product(a, a) * product(b, b)).squareRoot()
      }
      let ids = (0..<model.itemIDs.count).map { String(decoding: model.itemIDs[$0], as: UTF8.self) }
      let all = try recommend(["--similar-items", "all", "--top-k", "5"])
      #expect(all.lines.first == "item_id,similar_item_id,similarity,rank" && all.lines.count == 1 + 120 * 5)
      for (place, line) in all.lines.dropFirst().enumerated() {
        let fields = line.split(separator: ",").map(String.init)
        let (item, other) = (place / 5, try #require(ids.firstIndex(of: fields[1])))
        #expect(fields[0] == ids[item] && item != other && fields[3] == "\(place % 5 + 1)")
        let nearest = (0..<120).filter { $0 != item }.map { cosine(item, $0) }.sorted(by: >)
        let found = try #require(Double(fields[2]))
        #expect(abs(found - cosine(item, other)) < 2e-6 && abs(found - nearest[place % 5]) < 2e-6)
      }
      #expect(try recommend(["--similar-items", "all", "--top-k", "5"], ranks: 3).output == all.output)
      let two = try recommend(["--similar-items", ids[7], ids[3], "--top-k", "5", "--threads", "2"])
      #expect(two.lines.dropFirst() == all.lines[36..<41] + all.lines[16..<21])
      let jsonl = try recommend(["--similar-items", ids[7], "--top-k", "1", "--format", "jsonl"])
      #expect(jsonl.output.hasPrefix("{\"item_id\":\"\(ids[7])\",\"similar_item_id\":\""))
    }

    @Test func similarItemsWithTitlesAmongCandidates() throws {
      try withFile("item_id,title\nring0-item1,One\nring0-item2,Two\nring0-item3,Three\n") { path in
        try withFile("ring0-item1\nring0-item2\nring0-item3\n") { candidates in
          let found = try recommend(["--similar-items", "ring0-item2", "--items", path, "--candidates", candidates])
          #expect(found.lines.first == "item_id,similar_item_id,similarity,rank,title")
          #expect(Set(found.lines.dropFirst().map { $0.split(separator: ",").last }) == ["One", "Three"] && found.lines.count == 3)
        }
      }
      let unknown = try recommend(["--similar-items", "ring0-item2", "nonsense"], status: 64)
      #expect(unknown.output.isEmpty && unknown.count(ofErrors: "the model does not know the item 'nonsense'") == 1)
      for more in [["--keep-seen"], ["--format", "trec"], ["--data", "x"]] {
        #expect(try recommend(["--similar-items", "all"] + more, status: 64).output.isEmpty)
      }
    }

    /// Six columns; by score alone, as float32, the tools find the order of the list, also among equally popular items.
    @Test func aTRECRun() throws {
      let histories = "new\nann ring0-item3\nann ring0-item4\n"
      let tsv = try recommend(["--histories", "-", "--top-k", "120", "--format", "tsv"], input: histories)
      let trec = try recommend(["--histories", "-", "--top-k", "120", "--format", "trec"], input: histories)
      #expect(trec.lines.count == 120 + 118)
      var last: (user: Substring, score: Float)?
      for (line, row) in zip(trec.lines, tsv.lines.dropFirst()) {
        let (fields, expected) = (line.split(separator: " "), row.split(separator: "\t"))
        #expect(fields.count == 6 && fields[1] == "Q0" && fields[5] == "bert4rec-dist")
        #expect(fields[0] == expected[0] && fields[2] == expected[1] && fields[3] == expected[3])
        let score = try #require(Float(fields[4]))
        if let last, last.user == fields[0] { #expect(score < last.score, "\(line)") }
        #expect(abs(score - (Float(expected[2]) ?? 0)) <= 1e-4 * abs(score), "\(line), \(row)")
        last = (fields[0], score)
      }
      let spaced = try recommend(
        ["--histories", "-", "--format", "trec"], status: 65, input: "user_id,item_id\n\"a b\",ring0-item3\n")
      #expect(spaced.count(ofErrors: "error: the id 'a b' has a space") == 1, "\(spaced.errors)")
      #expect(try recommend(["--histories", "-", "--format", "trec", "--items", "x"], status: 64, input: "").output.isEmpty)
    }
  }
}
