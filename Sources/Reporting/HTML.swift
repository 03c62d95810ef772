/// A piece of an HTML page. What is interpolated into one is escaped unless it is HTML itself, so that no text out of a file
/// becomes markup:
/// ```swift
/// let cell: HTML = "<td>\(title)</td>"
/// ```
package struct HTML: Sendable, ExpressibleByStringInterpolation {
  package private(set) var text: String

  package init(stringLiteral text: String) { self.text = text }

  package init(stringInterpolation: StringInterpolation) { text = stringInterpolation.text }

  package struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var text = ""

    package init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity) }

    package mutating func appendLiteral(_ literal: String) { text += literal }
    package mutating func appendInterpolation(_ text: String) { self.text += HTML.escaped(text) }
    package mutating func appendInterpolation(_ html: HTML) { text += html.text }
    package mutating func appendInterpolation(_ parts: [HTML]) { for part in parts { text += part.text } }
    package mutating func appendInterpolation(_ number: Int) { text += String(number) }
    /// A length or place in a drawing, to a tenth.
    package mutating func appendInterpolation(place: Double) { text += NumberText.fixed(place, 1) }
  }

  package static func += (html: inout HTML, more: HTML) { html.text += more.text }

  var isEmpty: Bool { text.isEmpty }

  /// Safe between tags and in quoted attributes. Control characters, which HTML does not allow, and the marks that turn the
  /// direction of the text around them become U+FFFD.
  package static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\n", "\t": result.unicodeScalars.append(scalar)
      case _ where isUnfit(scalar): result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func isUnfit(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0, 0x202A...0x202E, 0x2066...0x2069, 0xFDD0...0xFDEF: true
    default: scalar.value & 0xFFFE == 0xFFFE
    }
  }
}
