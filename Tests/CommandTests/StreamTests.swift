import Foundation
import Testing

extension CommandTests {
  /// `recommend --stream`, kept open as a server would.
  @Suite struct Stream {
    private func withStream(_ more: [String] = [], _ body: (Conversation) throws -> Void) throws {
      let demo = try TrainedDemo.shared.get()
      try Program.withTemporaryFolder { folder in
        try body(Conversation(["recommend", "--checkpoint", demo.run.path, "--stream"] + more, in: folder))
      }
    }

    private func object(_ line: String?) throws -> [String: Any] {
      let line = try #require(line)
      return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    private func ids(_ answer: [String: Any]) throws -> [String] {
      try #require(answer["items"] as? [[String: Any]]).compactMap { $0["item_id"] as? String }
    }

    /// Histories of all lengths, some without an item that is known.
    private static let histories = (0..<300).map { (index: Int) -> [String] in
      (0..<(index * 7 % 41)).map { "ring\((index + $0 / 9) % 5)-item\(($0 * 5 + index) % 24)" }
    }

    private static func line(_ index: Int) -> String {
      "{\"user\": \(index), \"items\": [\(histories[index].map { "\"\($0)\"" }.joined(separator: ", "))]}\n"
    }

    /// An answer comes while nothing follows its line, and is what `recommend --histories` gives, to the digit.
    @Test func eachLineIsAnsweredAtOnce() throws {
      let pairs = (0..<12).flatMap { index in
        Self.histories[index].isEmpty ? ["\(index)\n"] : Self.histories[index].map { "\(index) \($0)\n" }
      }
      let demo = try TrainedDemo.shared.get()
      let listed = try Program.run(
        ["recommend", "--checkpoint", demo.run.path, "--histories", "-", "--format", "tsv", "--top-k", "4"], input: pairs.joined())
      #expect(listed.status == 0, "\(listed.errors)")
      var rows = listed.lines.dropFirst()[...]
      try withStream(["--top-k", "4"]) { stream in
        for index in 0..<12 {
          try stream.send(Self.line(index))
          let line = try #require(try stream.line())
          let answer = try object(line)
          #expect(answer["user"] as? Int == index && answer["error"] == nil)
          #expect((answer["fallback"] as? String == "popular") == Self.histories[index].isEmpty)
          for (place, id) in try ids(answer).enumerated() {
            let row = rows.popFirst() ?? ""
            let fields = row.split(separator: "\t")
            try #require(fields.count == 4)
            #expect(fields[0] == "\(index)" && fields[1] == id && fields[3] == "\(place + 1)")
            #expect(line.contains("{\"item_id\":\"\(id)\",\"score\":\(fields[2])}"))
          }
        }
        #expect(rows.isEmpty)
        try stream.endInput()
        #expect(try stream.line() == nil)
        let end = try stream.wait()
        #expect(end.status == 0 && end.errors.contains("end of the input: 12 lines answered\n"), "\(end.errors)")
        #expect(end.errors.contains("ready: "))
      }
    }

    /// Lines that wait are scored together, on any number of threads; nobody sees it.
    @Test func batchesChangeNothing() throws {
      var alone: [String] = []
      try withStream(["--threads", "1"]) { stream in
        for index in 0..<300 {
          try stream.send(Self.line(index))
          alone.append(try #require(try stream.line()))
        }
      }
      for threads in ["1", "3"] {
        try withStream(["--threads", threads]) { stream in
          try stream.send((0..<300).map(Self.line).joined())
          #expect(try stream.lines(300) == alone)
          // In pieces that end anywhere.
          let text = Array((0..<40).map(Self.line).joined())
          for start in stride(from: 0, to: text.count, by: 997) { try stream.send(String(text[start..<min(start + 997, text.count)])) }
          #expect(try stream.lines(40) == Array(alone[..<40]))
        }
      }
    }

    @Test func whatALineMaySay() throws {
      try withStream(["--keep-seen"]) { stream in
        try stream.send(#"{"items": ["ring0-item3", "no such item"], "top_k": 200, "user_id": {"a": ["é\n"]}}"# + "\n")
        let all = try object(try stream.line())
        #expect(try ids(all).count == 120 && all["unknown_items"] as? Int == 1)
        #expect((all["user_id"] as? [String: [String]])?["a"] == ["é\n"])
        try stream.send(
          #"{"items": ["ring0-item3"], "keep_seen": false, "candidates": ["ring1-item2", "ring0-item3", "other", "ring0-item4"]}"# + "\n")
        let few = try object(try stream.line())
        let chosen = ["ring1-item2", "ring0-item4"]
        #expect(try ids(few) == ids(all).filter(chosen.contains) && few["unknown_candidates"] as? Int == 1)
        try stream.send(#"{"items": []}"# + "\n")
        let popular = try object(try stream.line())
        #expect(popular["fallback"] as? String == "popular" && popular["user"] == nil)
        #expect(try ids(popular).count == 10)
      }
    }

    @Test func titlesAndOneListOfCandidates() throws {
      try Program.withTemporaryFolder { folder in
        try "item_id,title\nring0-item4,\"Four, \"\"quoted\"\"\"\n".write(toFile: folder + "/titles.csv", atomically: true, encoding: .utf8)
        try "ring0-item4\nring0-item9\n".write(toFile: folder + "/list", atomically: true, encoding: .utf8)
        try withStream(["--items", folder + "/titles.csv", "--candidates", folder + "/list"]) { stream in
          try stream.send(#"{"items": ["ring0-item3"]}"# + "\n")
          let items = try #require(object(stream.line())["items"] as? [[String: Any]])
          #expect(Set(items.compactMap { $0["item_id"] as? String }) == ["ring0-item4", "ring0-item9"] && items.count == 2)
          for item in items {
            #expect(item["title"] as? String == (item["item_id"] as? String == "ring0-item4" ? "Four, \"quoted\"" : ""))
          }
        }
        try "u ring0-item4\n".write(toFile: folder + "/lists", atomically: true, encoding: .utf8)
        try withStream(["--candidates", folder + "/lists"]) { stream in
          let end = try stream.wait()
          #expect(end.status == 64 && end.errors.contains("a line's own as \"candidates\""), "\(end.errors)")
        }
      }
    }

    /// An error in its place, and the stream lives on.
    @Test func badLines() throws {
      let bad: [(line: String, reason: String)] = [
        ("nonsense", "line 1: not a value at byte 0"), ("", "line 2: the text ends too early"),
        (#"{"user": 3, "items": [[]]}"#, "line 3: \"items\"[0] is neither"), (#"{"items": ["\ud800"]}"#, "line 4: half a surrogate pair"),
        (#"{"user": 5, "items": [], "top_k": -1}"#, "line 5: \"top_k\""),
        (String(repeating: "[", count: 5000), "line 6: nested too deeply"),
        (#"{"items": [""# + String(repeating: "x", count: 5 << 20) + "\"]}", "line 7: longer than 4194304 bytes"),
      ]
      try withStream { stream in
        for (line, reason) in bad {
          try stream.send(line + "\n" + Self.line(9))
          let answer = try object(try stream.line())
          #expect((answer["error"] as? String)?.contains(reason.drop { $0 != ":" }) == true, "\(reason): \(answer)")
          #expect(answer["items"] == nil)
          let good = try object(try stream.line())
          #expect(good["user"] as? Int == 9 && good["error"] == nil)
        }
        // The last line needs no end.
        try stream.send("{\"user\": 1, \"items\": [1, true]}")
        try stream.endInput()
        let last = try object(try stream.line())
        #expect(last["user"] as? Int == 1 && (last["error"] as? String)?.hasPrefix("line 15: \"items\"[1]") == true, "\(last)")
        #expect(try stream.line() == nil)
        let end = try stream.wait()
        #expect(end.status == 0 && end.errors.contains("15 lines answered, 8 of them by an error"), "\(end.errors)")
      }
    }

    @Test(arguments: [SIGTERM, SIGINT, SIGHUP]) func aSignalEndsIt(number: Int32) throws {
      try withStream { stream in
        try stream.send(Self.line(9))
        #expect(try stream.line() != nil)
        stream.send(signal: number)
        let end = try stream.wait()
        #expect(end.status == 0 && end.errors.contains("asked to end: 1 lines answered\n"), "\(end.errors)")
        #expect(try stream.line() == nil)
      }
    }

    /// Also while nobody takes its answers.
    @Test func aSignalEndsItThoughNobodyReads() throws {
      try withStream(["--top-k", "120", "--keep-seen"]) { stream in
        // More answers than a pipe holds, of few lines.
        try stream.send((0..<60).map(Self.line).joined())
        try stream.waitForMessage("ready: ")
        usleep(300_000)
        stream.send(signal: SIGTERM)
        let end = try stream.wait()
        #expect(end.status == 0 && end.errors.contains("asked to end: "), "\(end.errors)")
      }
    }

    @Test func aReaderThatLeavesEndsIt() throws {
      try withStream { stream in
        try stream.send(Self.line(9))
        #expect(try stream.line() != nil)
        try stream.stopReading()
        try stream.send(Self.line(10))
        let end = try stream.wait()
        #expect(end.status == 0 && end.errors.contains("the reader has left"), "\(end.errors)")
      }
    }

    /// Thousands of lines later it has no more memory than at the beginning.
    @Test func memoryDoesNotGrow() throws {
      func resident(_ process: Int32) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        return try #require(status.firstMatch(of: /VmRSS:\s+(\d+) kB/).flatMap { Int($0.1) })
      }
      try withStream(["--threads", "2"]) { stream in
        func ask(_ rounds: Int) throws {
          for _ in 0..<rounds {
            try stream.send((0..<100).map(Self.line).joined())
            _ = try stream.lines(100)
          }
        }
        try ask(5)
        let before = try resident(stream.identifier)
        try ask(60)
        #expect(try resident(stream.identifier) < before + 4096)
      }
    }

    @Test func whatItRefuses() throws {
      let demo = try TrainedDemo.shared.get()
      let stream = ["recommend", "--checkpoint", demo.run.path, "--stream"]
      let ranks = try Program.mpirun(ranks: 2, stream)
      #expect(ranks.status == 64 && ranks.count(ofErrors: "error: --stream answers in one process") == 1, "\(ranks.errors)")
      for more in [["--format", "csv"], ["--data", "x"], ["--histories", "-"], ["--top-k", "0"]] {
        let result = try Program.run(stream + more, input: "")
        #expect(result.status == 64 && result.output.isEmpty, "\(more): \(result.errors)")
      }
      for closed in ["<&-", ">&-"] {
        let result = try Program.execute("/bin/sh", ["-c", "exec \"$0\" \"$@\" \(closed)", Program.path] + stream)
        #expect(result.status == 66 && result.count(ofErrors: "error: standard ") == 1, "\(closed): \(result.errors)")
      }
      let nothing = try Program.run(stream, input: "")
      #expect(nothing.status == 0 && nothing.output.isEmpty && nothing.errors.contains("end of the input: 0 lines answered"))
    }
  }
}
