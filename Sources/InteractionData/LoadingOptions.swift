/// How lenient the readers are.
public struct LoadingOptions: Sendable {
  /// True leaves out any number of rows that cannot be read; false stops when they are more than 1 % (exit code 65).
  public var skipBadRows: Bool

  public init(skipBadRows: Bool = false) { self.skipBadRows = skipBadRows }
}
