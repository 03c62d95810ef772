import Training

/// Every key of the configuration: first where the runs differ, then where they differ from the defaults, then the rest.
struct ConfigurationSection {
  let runs: [RunRecord]

  func render() -> HTML? {
    let configured = runs.enumerated().filter { $0.element.settings != nil }
    guard !configured.isEmpty else { return nil }
    let defaults = RunSettings().values
    let values = configured.map { $0.element.settings?.values ?? [:] }
    var (between, changed, rest) = ([ConfigurationKey](), [ConfigurationKey](), [ConfigurationKey]())
    for key in ConfigurationKey.all {
      let present = values.map { $0[key.name] ?? "" }
      if Set(present).count > 1 {
        between.append(key)
      } else if present[0] != defaults[key.name] {
        changed.append(key)
      } else {
        rest.append(key)
      }
    }
    var html: HTML = "<section><h2>Configuration</h2>"
    if !between.isEmpty {
      let heads = configured.map { index, run -> HTML in "<th>\(run.label(index))</th>" }
      let rows = between.map { key -> HTML in
        let cells = values.map { each -> HTML in
          let value = each[key.name] ?? ""
          return "<td\(value == defaults[key.name] ? "" : HTML(stringLiteral: " class=\"changed\""))>\(Self.shown(value))</td>"
        }
        return "<tr><td class=\"key\">\(key.name)</td>\(cells)<td class=\"soft\">\(Self.shown(defaults[key.name] ?? ""))</td></tr>"
      }
      html += """
        <p class="soft">Between the runs</p><div class="card scroll"><table class="words"><thead><tr><th>key</th>\(heads)<th>default</th></tr></thead>\
        <tbody>\(rows)</tbody></table></div>
        """
    }
    if !changed.isEmpty {
      let rows = changed.map { key -> HTML in
        """
        <tr><td class="key">\(key.name)</td><td class="changed">\(Self.shown(values[0][key.name] ?? ""))</td>\
        <td class="soft">\(Self.shown(defaults[key.name] ?? ""))</td></tr>
        """
      }
      html += """
        <p class="soft" style="margin-top:14px">\(runs.count > 1 ? "The same in all runs, not the default" : "Not the default")</p>\
        <div class="card scroll"><table class="words"><thead><tr><th>key</th><th>value</th><th>default</th></tr></thead>\
        <tbody>\(rows)</tbody></table></div>
        """
    }
    if !rest.isEmpty {
      let items = rest.map { key -> HTML in
        "<div><dt class=\"key\">\(key.name)</dt><dd class=\"key\">\(Self.shown(values[0][key.name] ?? ""))</dd></div>"
      }
      html += "<p class=\"soft\" style=\"margin-top:14px\">As by default</p><dl class=\"card keysbox keys\">\(items)</dl>"
    }
    return "\(html)</section>"
  }

  private static func shown(_ value: String) -> String { value.isEmpty ? "none" : value }
}
