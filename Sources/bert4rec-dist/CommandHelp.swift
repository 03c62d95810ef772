import ArgumentParser
import BERT4RecDist

/// What the --help, and so the manual page, of every command ends with, and what shells complete.
enum CommandHelp {
  static let allCodes: [ProgramExitCode] = [.success, .usage, .badData, .unreadable, .internalFault, .disk, .stopped]

  static let recipes = CompletionKind.list(TrainingOptions.recipes.split(separator: ",").map { String($0.drop { $0 == " " }) })

  /// For --set: the keys of the configuration, each with its =.
  static let keys = CompletionKind.list(ConfigurationKey.all.map { $0.name + "=" })

  /// Commands to try, and what the command's exit code can be; `saves` where it can stop and be carried on.
  static func end(examples: [String], saves: Bool = false) -> String {
    let codes = allCodes.filter { saves || $0 != .stopped }
    return """
      \(examples.count == 1 ? "Example:" : "Examples:")
      \(examples.map { "  " + $0 }.joined(separator: "\n"))

      \(line(codes))
      """
  }

  /// One line for people; packaging/share.sh makes a list of it.
  static func line(_ codes: [ProgramExitCode]) -> String {
    "Exit codes: " + codes.map { "\($0.rawValue) \(meaning($0))" }.joined(separator: "; ")
  }

  private static func meaning(_ code: ProgramExitCode) -> String {
    switch code {
    case .success: "done"
    case .usage: "wrong usage or configuration"
    case .badData: "bad data"
    case .unreadable: "a file that cannot be read"
    case .internalFault: "non-finite numbers or an internal fault"
    case .disk: "disk trouble"
    case .stopped: "stopped, state saved: run the same command again"
    }
  }
}
