import Foundation
import Reporting
import SystemSupport
import TestSupport
import Testing

@Suite struct ReportPageTests {
  /// Tags that are open at the end, or closed in another order than they were opened.
  static func problems(of html: String) -> [String] {
    let alone: Set = ["meta", "line", "path", "circle", "rect"]
    var (open, problems) = ([String](), [String]())
    let body = html.replacing(/<style>[^<]*<\/style>/, with: "")
    for tag in body.matches(of: /<(\/?)([a-zA-Z0-9]+)([^<>]*)>/) {
      let name = String(tag.2)
      if tag.1.isEmpty {
        if tag.3.hasSuffix("/") || alone.contains(name) && name == "meta" { continue }
        open.append(name)
      } else if open.popLast() != name {
        problems.append("</\(name)>")
      }
    }
    return problems + open
  }

  private func withRun<R>(_ files: [String: String], _ body: (String) throws -> R) throws -> R {
    try TemporaryFolder.with { parent in
      let folder = parent + "/a&b"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      for (name, text) in files { try text.write(toFile: folder + "/" + name, atomically: false, encoding: .utf8) }
      return try body(folder)
    }
  }

  private static let metrics = """
    {"step":1,"epoch":0,"loss":4.5,"learning_rate":0.1,"gradient_norm":2,"instances_per_s":100,"work_seconds_median":0.5,\
    "work_seconds_slowest":0.6,"slowest_rank":1,"slowest_host":"<i>host</i>","seconds":1}
    damaged <script>
    {"step":20,"epoch":0,"loss":3.5,"learning_rate":0.1,"gradient_norm":2,"instances_per_s":100,"work_seconds_median":0.5,\
    "work_seconds_slowest":0.6,"slowest_rank":0,"slowest_host":"b","seconds":80}
    {"step":20,"split":"validation","users":5,"ndcg@10[full]":0.25,"popularity/ndcg@10[full]":0.125}
    {"step":20,"split":"test","users":5,"hit@10[full]":0.375,"popularity/hit@10[full]":0.25}

    """

  @Test func aPageHoldsTheRunAndEscapesWhatItSays() throws {
    let files = ["metrics.jsonl": Self.metrics, "config.yaml": "data: \"</style><script>x</script>\"\nbatch_size: 128\n"]
    try withRun(files) { folder in
      let run = try RunRecord(reading: folder)
      #expect(run.notes == ["\(folder)/metrics.jsonl:2: skipped, not a value at byte 0"])
      let user = ExampleUser(
        name: "<u>", history: ["<h>"], earlierCount: 3, list: ["<x>", "y"], target: "y", foundAt: 1)
      let html = ReportPage([run], examples: [user], notes: ["<note>"]).html
      #expect(Self.problems(of: html).isEmpty)
      #expect(html.contains("<title>a&amp;b: bert4rec-dist</title>"))
      for text in ["<script", "<i>host", "<u>", "<h>", "<x>", "<note>", "http:", "https:", "src="] {
        #expect(!html.contains(text), "\(text)")
      }
      for text in ["Training loss", "Validation ndcg@10[full]", "0.3750", "0.2500", "&lt;note&gt;", "<bdi class=\"hit\">y</bdi>"] {
        #expect(html.contains(text), "\(text)")
      }
      #expect(html.contains("<td class=\"key\">batch_size</td><td class=\"changed\">128</td><td class=\"soft\">256</td>"))
      #expect(html.contains("metrics.jsonl:2: skipped"))
    }
  }

  @Test func runsAreComparedAndNamedApart() throws {
    try withRun(["metrics.jsonl": Self.metrics, "config.yaml": "seed: 1\n"]) { first in
      try withRun(["metrics.jsonl": Self.metrics.replacing("0.375", with: "0.5"), "config.yaml": "seed: 2\n"]) { second in
        let html = ReportPage([try RunRecord(reading: first), try RunRecord(reading: second)]).html
        #expect(Self.problems(of: html).isEmpty)
        #expect(html.contains(HTML.escaped(first) + "</th>") && html.contains(HTML.escaped(second) + "</th>"))
        #expect(html.contains("<td class=\"best\">0.5000</td>") && html.contains("<td>0.3750</td>"))
        #expect(html.contains("<td class=\"key\">seed</td><td class=\"changed\">1</td><td class=\"changed\">2</td>"))
      }
    }
  }

  @Test func whatIsMissingIsLeftOutWithAWord() throws {
    try withRun(["config.yaml": "seed: 1\n"]) { folder in
      let html = ReportPage([try RunRecord(reading: folder)]).html
      #expect(Self.problems(of: html).isEmpty)
      #expect(!html.contains("<h2>Curves</h2>") && !html.contains("<h2>Test</h2>") && html.contains("metrics.jsonl is not there"))
    }
    try withRun(["metrics.jsonl": Self.metrics, "config.yaml": "no_such_key: 1\n"]) { folder in
      let html = ReportPage([try RunRecord(reading: folder)]).html
      #expect(html.contains("<h2>Curves</h2>") && !html.contains("<h2>Configuration</h2>") && html.contains("no_such_key"))
    }
    try withRun([:]) { folder in
      let failure = #expect(throws: ProgramFailure.self) { try RunRecord(reading: folder) }
      #expect(failure?.exitCode == .unreadable)
    }
  }

  @Test func onlyPagesAreReplaced() throws {
    try withRun(["metrics.jsonl": Self.metrics, "old.html": "<!doctype html><p>old"]) { folder in
      let page = ReportPage([try RunRecord(reading: folder)])
      try ReportPage.checkTarget(folder + "/old.html")
      try page.write(to: folder + "/old.html")
      #expect(try String(contentsOfFile: folder + "/old.html", encoding: .utf8) == page.html)
      for target in ["/metrics.jsonl", ""] {
        let failure = #expect(throws: ProgramFailure.self) { try ReportPage.checkTarget(folder + target) }
        #expect(failure?.exitCode == .usage)
      }
      try ReportPage.checkTarget(folder + "/new.html")
    }
  }
}
