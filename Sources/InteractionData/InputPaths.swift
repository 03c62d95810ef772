import Glibc
import SystemSupport

/// The paths of a data set's files.
package enum InputPaths {
  /// Several paths in one text, as the configuration key `data` has them: a line each. A line end that belongs to a path has a
  /// backslash before it; of backslashes that themselves stand before a line end there are twice as many.
  package static func split(_ text: String) -> [String] {
    var paths: [String] = []
    var path = String.UnicodeScalarView()
    var backslashes = 0
    for scalar in text.unicodeScalars {
      guard scalar == "\n" else {
        backslashes = scalar == "\\" ? backslashes + 1 : 0
        path.append(scalar)
        continue
      }
      path.removeLast((backslashes + 1) / 2)
      if backslashes.isMultiple(of: 2) {
        if !path.isEmpty { paths.append(String(path)) }
        path.removeAll()
      } else {
        path.append(scalar)
      }
      backslashes = 0
    }
    if !path.isEmpty { paths.append(String(path)) }
    return paths
  }

  /// What `split` makes these paths of again.
  package static func joined(_ paths: [String]) -> String {
    var text = String.UnicodeScalarView()
    for (index, path) in paths.enumerated() {
      var backslashes = 0
      for scalar in path.unicodeScalars {
        if scalar == "\n" { text.append(contentsOf: repeatElement("\\", count: backslashes + 1)) }
        backslashes = scalar == "\\" ? backslashes + 1 : 0
        text.append(scalar)
      }
      guard index + 1 < paths.count else { break }
      text.append(contentsOf: repeatElement("\\", count: backslashes))
      text.append("\n")
    }
    return String(text)
  }

  /// Patterns, which no file has for its name, become the files that match, sorted; what stands behind a colon is a file
  /// in each of them. Exit code 66 where none does.
  static func expanded(_ paths: [String]) throws(ProgramFailure) -> [String] {
    var expanded: [String] = []
    for path in paths {
      guard path != "-", isPattern(path), FileSystem.kind(path) == nil, member(of: path) == nil else {
        expanded.append(path)
        continue
      }
      var found = matches(path)
      for (pattern, member) in cuts(path) where found.isEmpty && isPattern(pattern) {
        found = matches(pattern).map { $0 + ":" + member }
      }
      if found.isEmpty { throw ProgramFailure(.unreadable, "cannot read \(path): no file matches it") }
      expanded += found
    }
    return expanded
  }

  /// The files of some patterns, in the patterns' order, each one's sorted; what is no pattern is a file. Exit code 66 where a pattern has
  /// none.
  package static func matching(_ patterns: [String]) throws(ProgramFailure) -> [String] {
    var paths: [String] = []
    for pattern in patterns {
      let found = isPattern(pattern) && FileSystem.kind(pattern) == nil ? matches(pattern) : [pattern]
      if found.isEmpty { throw ProgramFailure(.unreadable, "cannot read \(pattern): no file matches it") }
      paths += found
    }
    return paths
  }

  private static func isPattern(_ path: String) -> Bool { path.contains { "*?[".contains($0) } }

  private static func matches(_ pattern: String) -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(pattern, 0, nil, &found) == 0, let paths = found.gl_pathv else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { paths[$0].map { String(cString: $0) } }
  }
}
