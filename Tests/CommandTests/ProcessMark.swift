import Foundation

/// Finds a program's processes by a mark in their environment, which children inherit: also those whose parent is gone.
struct ProcessMark {
  private static let name = "BERT4REC_TEST_MARK"
  private let value = UUID().uuidString

  var environment: [String: String] { [Self.name: value] }

  /// Processes with the mark that still run. A zombie has no environment any more.
  var processes: [Int32] {
    let entry = Data("\(Self.name)=\(value)".utf8)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { Int32($0) }.filter { id in
      (try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(id)/environ")))?.range(of: entry) != nil
    }
  }

  /// Waits until none is left, for so many seconds at most; those that do not go are killed and returned with their
  /// command lines.
  func waitUntilGone(within seconds: Double) -> [String] {
    let end = Date().addingTimeInterval(seconds)
    var rest = processes
    while !rest.isEmpty, Date() < end {
      usleep(5000)
      rest = processes
    }
    return rest.map { id in
      let words = (try? String(contentsOfFile: "/proc/\(id)/cmdline", encoding: .utf8)) ?? ""
      kill(id, SIGKILL)
      return "\(id): \(words.replacingOccurrences(of: "\0", with: " "))"
    }
  }
}
