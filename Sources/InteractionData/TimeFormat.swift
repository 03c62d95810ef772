import SystemSupport

/// How a time column is written.
package enum TimeFormat: Equatable, Sendable {
  case epoch(EpochUnit)
  /// Numbers that are no dates; only their order means something.
  case numbers
  case iso8601
  /// `YYYYMMDD`, perhaps with `HH`, `HHMM` or `HHMMSS`.
  case digits
  /// The month as a word, as C's `ctime`, RFC 2822 and Twitter write it.
  case words
  /// `DD.MM.YYYY`, perhaps with `HH:MM[:SS]`.
  case dotted
  case pattern(TimePattern)

  var description: String {
    switch self {
    case .epoch(let unit): "epoch in \(unit.rawValue)"
    case .numbers: "numbers that are no dates, only their order counts"
    case .iso8601: "ISO-8601 text (UTC where no offset is given)"
    case .digits: "days as YYYYMMDD"
    case .words: "text with the month as a word (UTC where no offset is given)"
    case .dotted: "text DD.MM.YYYY"
    case .pattern(let pattern): "text \(PrintableText.quoted(pattern.text.utf8))"
    }
  }
}

package enum EpochUnit: String, Sendable {
  case seconds, milliseconds, microseconds, nanoseconds

  /// The unit that puts a value into the years that data sets come from: 1e11 would be the year 5138 in seconds and
  /// is 1973 in milliseconds.
  init(magnitude: Double) {
    self =
      magnitude < 1e11 ? .seconds : magnitude < 1e14 ? .milliseconds : magnitude < 1e17 ? .microseconds : .nanoseconds
  }

  var inNanoseconds: Int64 {
    switch self {
    case .seconds: 1_000_000_000
    case .milliseconds: 1_000_000
    case .microseconds: 1000
    case .nanoseconds: 1
    }
  }
}
