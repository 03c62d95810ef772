import ArgumentParser
import BERT4RecDist
import Glibc

@main
struct Main: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bert4rec-dist", version: "0.1.0", subcommands: [PrepareCommand.self])

  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as Failure {
      printError("bert4rec-dist: \(failure.message)")
      Glibc.exit(failure.exitCode.rawValue)
    } catch {
      Self.exit(withError: error)
    }
  }
}
