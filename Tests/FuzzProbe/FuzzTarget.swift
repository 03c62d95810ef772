import Glibc
import SystemSupport

/// A reader, and what it must keep to whatever it is given.
struct FuzzTarget {
  let name: String
  let mutator: Mutator
  /// Exit codes that a refusal may have.
  let codes: Set<ProgramExitCode>
  /// A refusal names one of these: a file, a key, an option.
  let places: [String]
  /// Reads an input. Throws a `ProgramFailure` where it is refused, `Broken` where something is wrong with the reader.
  let read: ([UInt8], inout FuzzRandom) throws -> Void

  init(
    _ name: String, corpus: [[UInt8]], words: [String] = [], codes: Set<ProgramExitCode> = [.badData], places: [String],
    read: @escaping ([UInt8], inout FuzzRandom) throws -> Void
  ) {
    self.name = name
    mutator = Mutator(corpus: corpus, words: words)
    self.codes = codes
    self.places = places
    self.read = read
  }

  /// What is wrong with the words of a refusal, or nil.
  func objection(to failure: ProgramFailure) -> String? {
    if !codes.contains(failure.exitCode) { return "exit code \(failure.exitCode.rawValue): \(failure.message)" }
    if !places.contains(where: failure.message.contains) { return "the message names no place: \(failure.message)" }
    if let fault = Self.fault(ofLine: failure.message) { return "the message \(fault): \(failure.message)" }
    return nil
  }

  /// What goes to a terminal is a line of reasonable length that does not control it.
  static func fault(ofLine text: String) -> String? {
    if text.utf8.count > 5000 { return "has \(text.utf8.count) bytes" }
    let isControl = text.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }
    return isControl ? "holds a control character" : nil
  }
}

/// A promise that a reader did not keep.
struct Broken: Error {
  let promise: String

  init(_ promise: String) { self.promise = promise }
}

func require(_ condition: Bool, _ promise: @autoclosure () -> String) throws {
  if !condition { throw Broken(promise()) }
}

/// A line that a reader says besides.
func requirePrintable(_ line: String) throws {
  if let fault = FuzzTarget.fault(ofLine: line) { throw Broken("a line of the log \(fault): \(line)") }
}

/// Writes a file of a target; the disk is no part of what is tested.
func put(_ bytes: [UInt8], _ path: String) {
  let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
  precondition(descriptor >= 0, "cannot write \(path)")
  defer { close(descriptor) }
  var start = 0
  while start < bytes.count {
    let count = bytes[start...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    precondition(count > 0, "cannot write \(path)")
    start += count
  }
}

func put(_ text: String, _ path: String) { put(Array(text.utf8), path) }
