import SystemSupport

extension FileLayout {
  /// nil where the user has said which column holds the items.
  func foundItems(_ options: LoadingOptions) -> FoundItems? {
    if options.columns.item != nil || options.format == .lists { return nil }
    switch self {
    case .netflix: return nil
    case .json(let layout):
      let name = layout.paths[layout.roles.item].name
      return FoundItems(isNamed: true, option: "--columns item=\(PrintableText.isPlain(name) ? name : PrintableText.quoted(name.utf8))")
    case .table(let layout):
      if case .first = layout.separator { return FoundItems(isNamed: false, option: "--format lists (data_format)") }
      return FoundItems(isNamed: layout.hasHeader, option: "--columns item=\(layout.roles.item + 1)")
    }
  }
}
