import SystemSupport
import Training

/// A run, alone or beside others, as one HTML page that needs nothing else: no network, no script.
package struct ReportPage {
  /// The first one is what the page is about.
  let runs: [RunRecord]
  let examples: [ExampleUser]
  package let notes: [String]

  /// As many as there are colours.
  package static var mostRuns: Int { Palette.count }

  /// - Parameters:
  ///   - examples: of the first run.
  ///   - notes: What is left out of the page, besides what the runs say themselves.
  package init(_ runs: [RunRecord], examples: [ExampleUser] = [], notes: [String] = []) {
    precondition(!runs.isEmpty && runs.count <= Self.mostRuns)
    self.runs = Self.distinctlyNamed(runs)
    self.examples = examples
    self.notes = notes + runs.flatMap(\.notes)
  }

  /// Folders of one name are told apart by their paths.
  private static func distinctlyNamed(_ runs: [RunRecord]) -> [RunRecord] {
    runs.map { run in
      guard runs.count(where: { $0.name == run.name }) > 1 else { return run }
      var named = run
      named.name = run.path
      return named
    }
  }

  package var html: String {
    let sections = [
      SummarySection(runs: runs).render(), CurvesSection(runs: runs).render(), ResultsSection(runs: runs).render(),
      TimeSection(runs: runs).render(), ConfigurationSection(runs: runs).render(), ExamplesSection(users: examples).render(),
    ]
    let title = runs.map(\.name).joined(separator: ", ")
    let style = "<style>\n\(StyleSheet.text)\n</style>"
    let page: HTML = """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
      <title>\(title): bert4rec-dist</title>
      \(HTML(stringLiteral: style))
      </head><body><main>
      \(sections.compactMap(\.self))
      \(footer)
      </main></body></html>

      """
    return page.text
  }

  private var footer: HTML {
    let items = notes.map { note -> HTML in "<li>\(TerminalText.line(note))</li>" }
    let list: HTML = items.isEmpty ? "" : "<p>What is missing here:</p><ul>\(items)</ul>"
    return "<footer>\(list)Made by bert4rec-dist \(ProgramVersion.current) from \(runs.map(\.path).joined(separator: ", ")).</footer>"
  }
}

extension RunRecord {
  /// A name with the run's colour; `index` is its place on the page.
  func label(_ index: Int) -> HTML { "<span class=\"swatch s\(index % Palette.count + 1)\"></span>\(name)" }
}
