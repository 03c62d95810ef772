import ArgumentParser

@main
struct Main: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "bert4rec-dist", version: "0.1.0")
}
