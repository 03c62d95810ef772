import Foundation
import TestSupport
import Testing

/// A program that is spoken with line by line while it runs; killed when this object goes before it has ended.
final class Conversation {
  private let process = Process()
  private let (input, output) = (Pipe(), Pipe())
  private let errors: String
  private var buffer = Data()

  /// `folder` is for what it says on standard error.
  init(_ arguments: [String], in folder: String) throws {
    // A write to a program that has gone is then an error.
    signal(SIGPIPE, SIG_IGN)
    errors = folder + "/.errors-\(UUID().uuidString)"
    try Data().write(to: URL(fileURLWithPath: errors))
    process.executableURL = URL(fileURLWithPath: Program.path)
    process.arguments = arguments
    process.standardInput = input
    process.standardOutput = output
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
    try Command.launch(process)
    try input.fileHandleForReading.close()
    try output.fileHandleForWriting.close()
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  var identifier: Int32 { process.processIdentifier }
  var errorText: String { (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "" }

  func send(_ text: String) throws { try input.fileHandleForWriting.write(contentsOf: Data(text.utf8)) }

  func endInput() throws { try input.fileHandleForWriting.close() }

  func stopReading() throws { try output.fileHandleForReading.close() }

  func send(signal number: Int32) { kill(process.processIdentifier, number) }

  /// The next line; nil at the end. An issue after a minute without one.
  func line() throws -> String? {
    let descriptor = output.fileHandleForReading.fileDescriptor
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      if let end = buffer.firstIndex(of: 0x0A) {
        defer { buffer = Data(buffer[(end + 1)...]) }
        return String(decoding: buffer[..<end], as: UTF8.self)
      }
      var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      try #require(poll(&waiting, 1, 60_000) > 0, "no answer within a minute: \(errorText)")
      let count = read(descriptor, &block, block.count)
      if count <= 0 { return nil }
      buffer += block[..<count]
    }
  }

  /// So many lines.
  func lines(_ count: Int) throws -> [String] { try (0..<count).map { _ in try #require(try line(), "\(errorText)") } }

  func waitForMessage(_ words: String) throws {
    for _ in 0..<6000 {
      if errorText.contains(words) { return }
      try #require(process.isRunning, "\(errorText)")
      usleep(10_000)
    }
    Issue.record("\(words) is not said: \(errorText)")
  }

  /// Waits for the end, a minute at most. A death by signal n has the status 128 + n, as in a shell.
  func wait() throws -> (status: Int32, errors: String) {
    let end = Date().addingTimeInterval(60)
    while process.isRunning, Date() < end { usleep(3000) }
    try #require(!process.isRunning, "it does not end: \(errorText)")
    let status = process.terminationStatus
    return (process.terminationReason == .uncaughtSignal ? 128 + status : status, errorText)
  }
}
