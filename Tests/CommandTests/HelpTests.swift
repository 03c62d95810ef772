import Foundation
import Testing

extension CommandTests {
  /// What the program says of itself: --help, completions and, made of it, manual pages.
  @Suite struct Help {
    /// A command as the argument parser describes it.
    private struct Command: Decodable {
      struct Argument: Decodable {
        struct Name: Decodable { let kind, name: String }
        let names: [Name]?
        let shouldDisplay: Bool
      }

      let commandName: String
      let subcommands: [Command]?
      let arguments: [Argument]?

      /// With their hyphens.
      var options: [String] {
        (arguments ?? []).filter(\.shouldDisplay).flatMap { $0.names ?? [] }.map { ($0.kind == "long" ? "--" : "-") + $0.name }
      }
    }

    private static let commands = Result {
      struct Description: Decodable { let command: Command }
      let text = try Program.run(["--experimental-dump-help"]).outputBytes
      let all = try JSONDecoder().decode(Description.self, from: text).command.subcommands ?? []
      return all.filter { $0.commandName != "help" }
    }

    /// An example that nobody could type, or a command without one, is found here.
    @Test func everyCommandHasExamplesAndExitCodes() throws {
      let commands = try Self.commands.get()
      #expect(commands.count >= 6)
      for command in commands {
        let help = try Program.run([command.commandName, "--help"]).output
        #expect(help.contains("Exit codes: 0 done; 64 wrong usage or configuration; 65 bad data;"), "\(command.commandName)")
        let end = try #require(help.range(of: "Example", options: .backwards), "\(command.commandName)")
        let lines = help[end.lowerBound...].split(separator: "\n").dropFirst()
        let examples = lines.prefix { $0.hasPrefix("  ") }
        #expect(!examples.isEmpty, "\(command.commandName)")
        // None goes on in a second line, where it could not be copied.
        #expect(lines.dropFirst(examples.count).first?.hasPrefix("Exit codes: ") == true, "\(lines)")
        for example in examples {
          #expect(example.contains("bert4rec-dist \(command.commandName) "), "\(example)")
          // What stands before are mpirun's.
          let words = example.split(separator: " ").drop { $0 != "bert4rec-dist" }
          let options = words.filter { $0.hasPrefix("--") }.map(String.init)
          #expect(Set(options).isSubset(of: command.options), "\(example)")
        }
      }
      #expect(try Program.run(["--help"]).output.contains("75 stopped, state saved: run the same command again"))
    }

    /// What a shell offers for the last of these words.
    private func completions(_ words: [String], in folder: String) throws -> [Substring] {
      let script = try Program.run(["--generate-completion-script", "bash"]).output
      let call = """
        \(script)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_TYPE=9 COMP_KEY=9
        COMP_POINT=${#COMP_LINE}
        $(complete -p bert4rec-dist | sed 's/.* -F \\([^ ]*\\).*/\\1/') bert4rec-dist "${@: -1}" "${@: -2:1}"
        printf '%s\\n' "${COMPREPLY[@]}"
        """
      let result = try Program.execute("/bin/bash", ["-c", call, "bash", "bert4rec-dist"] + words, in: folder)
      #expect(result.status == 0, "\(result.errors)")
      return result.lines
    }

    @Test func bashCompletesCommandsOptionsNamesAndFiles() throws {
      try Program.withTemporaryFolder { folder in
        try "a b\n".write(toFile: folder + "/ratings.csv", atomically: true, encoding: .utf8)
        try FileManager.default.createDirectory(atPath: folder + "/runs", withIntermediateDirectories: true)
        for command in try Self.commands.get() {
          #expect(try completions([String(command.commandName.dropLast())], in: folder).contains(Substring(command.commandName)))
        }
        #expect(try completions(["train", "--init"], in: folder) == ["--init-checkpoint"])
        #expect(try completions(["train", "--recipe", "ml-1m-"], in: folder) == ["ml-1m-256", "ml-1m-64"])
        #expect(try completions(["train", "--data", "rat"], in: folder) == ["ratings.csv"])
        #expect(try completions(["prepare", "rat"], in: folder) == ["ratings.csv"])
        // A folder is asked for.
        #expect(try completions(["evaluate", "--checkpoint", "r"], in: folder) == ["runs"])
        #expect(try completions(["train", "--set", "num_train_s"], in: folder) == ["num_train_steps="])
      }
    }

    @Test(arguments: ["zsh", "fish"]) func theOtherShellsHaveScripts(_ shell: String) throws {
      let script = try Program.run(["--generate-completion-script", shell]).output
      for command in try Self.commands.get() { #expect(script.contains(command.commandName), "\(command.commandName)") }
      let path = try Program.execute("/usr/bin/env", ["sh", "-c", "command -v \(shell) || true"]).output
      guard let path = path.split(separator: "\n").first else { return }
      try Program.withTemporaryFolder { folder in
        try script.write(toFile: folder + "/script", atomically: true, encoding: .utf8)
        let result = try Program.execute(String(path), ["--no-execute", folder + "/script"])
        #expect(result.status == 0, "\(result.errors)")
      }
    }

    private static let generator = URL(fileURLWithPath: Program.path).deletingLastPathComponent().appendingPathComponent("generate-manual")
      .path

    /// packaging/share.sh, by which `make build` makes them.
    @Test(
      .enabled(
        if: FileManager.default.isExecutableFile(atPath: generator), "swift build -c release --product generate-manual makes the tool"))
    func manualPages() throws {
      try Program.withTemporaryFolder { folder in
        let share = folder + "/share"
        let script = Program.root + "/packaging/share.sh"
        let environment = ["SOURCE_DATE_EPOCH": "1785000000"]
        let made = try Program.execute(script, [Program.path, Self.generator, share], environment: environment)
        #expect(made.status == 0, "\(made.errors)")
        let commands = try Self.commands.get()
        let names = commands.map { "bert4rec-dist-\($0.commandName)" } + ["bert4rec-dist"]
        let folderOfPages = share + "/man/man1"
        #expect(try FileManager.default.contentsOfDirectory(atPath: folderOfPages).sorted() == names.map { $0 + ".1" }.sorted())
        for (name, options) in zip(names, commands.map(\.options) + [[]]) {
          let page = try String(contentsOfFile: "\(folderOfPages)/\(name).1", encoding: .utf8)
          #expect(page.contains("\n.Dt \(name.uppercased()) 1\n"))
          #expect(page.contains(".Dd July 25, 2026"))
          for option in options where option.hasPrefix("--") { #expect(page.contains("-\(option.dropFirst(2))"), "\(name): \(option)") }
          // Lists, not the generator's own words; each code once.
          #expect(page.contains("\n.It 74\ndisk trouble\n") && page.components(separatedBy: "wrong usage").count == 2, "\(name)")
          // What a formatter would take for a command, or not print.
          let lines = page.split(separator: "\n", omittingEmptySubsequences: false)
          #expect(!lines.dropLast().contains { $0.isEmpty || $0.hasPrefix("'") }, "\(name)")
        }
        for file in [
          "bash-completion/completions/bert4rec-dist", "zsh/site-functions/_bert4rec-dist", "fish/vendor_completions.d/bert4rec-dist.fish",
        ] {
          #expect(FileManager.default.fileExists(atPath: share + "/" + file), "\(file)")
        }
        // A program that says nothing about its exit codes leaves nothing behind, and what there was.
        let silent = folder + "/silent"
        try "#!/bin/sh\n\(Program.path) \"$@\" | sed 's/Exit codes: /Ends with /'\n".write(
          toFile: silent, atomically: true, encoding: .utf8)
        chmod(silent, 0o755)
        let refused = try Program.execute(script, [silent, Self.generator, share], environment: environment)
        #expect(refused.status == 70 && refused.errors.contains("says nothing about exit codes"), "\(refused.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folderOfPages).count == names.count)
      }
    }
  }
}
