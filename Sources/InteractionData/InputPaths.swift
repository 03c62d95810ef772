import SystemSupport

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The paths of a data set's files.
public enum InputPaths {
  /// Several paths in one text, as the configuration key `data` has them: a line each.
  public static func split(_ text: String) -> [String] {
    text.split(separator: "\n").map(String.init)
  }

  public static func joined(_ paths: [String]) -> String { paths.joined(separator: "\n") }

  /// Patterns, which no file has for its name, become the files that match, sorted. Exit code 66 where none does.
  static func expanded(_ paths: [String]) throws(Failure) -> [String] {
    var expanded: [String] = []
    for path in paths {
      guard path != "-", path.contains(where: { "*?[".contains($0) }), FileSystem.kind(path) == nil else {
        expanded.append(path)
        continue
      }
      let matches = matches(path)
      if matches.isEmpty { throw Failure(.unreadable, "cannot read \(path): no file matches it") }
      expanded += matches
    }
    return expanded
  }

  private static func matches(_ pattern: String) -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(pattern, 0, nil, &found) == 0, let paths = found.gl_pathv else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { paths[$0].map { String(cString: $0) } }
  }
}
