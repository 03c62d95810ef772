import Glibc

/// Writes a line to standard error in one call, so that lines of several ranks do not mix. Control characters but line
/// ends are escaped: names and ids out of files stand in it.
public func printError(_ line: String) {
  var text = TerminalText.escaped(line, keepsLineEnds: true)
  text += "\n"
  text.withUTF8 { bytes in Liveness.outside { _ = write(STDERR_FILENO, bytes.baseAddress, bytes.count) } }
}
