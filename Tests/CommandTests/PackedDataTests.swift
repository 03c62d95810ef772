import Foundation
import Testing

extension CommandTests {
  /// Compressed files and archives, as users give them.
  @Suite struct PackedData {
    private static let small = Outside.small

    /// A folder with a log in MovieLens' form, and packed forms of it.
    private func withFiles(_ body: (_ folder: String) throws -> Void) throws {
      try Program.withTemporaryFolder { folder in
        try FileManager.default.createDirectory(atPath: folder + "/ml", withIntermediateDirectories: true)
        let rows = (0..<400).map { "\($0 % 23)::\($0 * 7 % 31)::\(1 + $0 % 5)::\(978_300_000 + $0 * 37 % 5003)\n" }.joined()
        try rows.write(toFile: folder + "/ml/ratings.dat", atomically: true, encoding: .utf8)
        try "1::Toy Story\n".write(toFile: folder + "/ml/movies.dat", atomically: true, encoding: .utf8)
        let packed = try shell("tar -czf ml.tar.gz ml && gzip -c ml/ratings.dat > log.gz", in: folder)
        #expect(packed.status == 0, "\(packed.errors)")
        try body(folder)
      }
    }

    private func shell(_ command: String, in folder: String) throws -> CommandResult {
      try Program.execute("/bin/bash", ["-o", "pipefail", "-c", command, Program.path], environment: Program.mpiEnvironment, in: folder)
    }

    @Test func anArchiveTrainsResumesEvaluatesRecommends() throws {
      try withFiles { folder in
        let stopped = try Program.mpirun(
          ranks: 2, ["train", "--data", "ml.tar.gz", "--stop-after", "3"] + Self.small, in: folder)
        #expect(stopped.status == 75 && stopped.errors.contains("ml.tar.gz:ml/ratings.dat: read as: "), "\(stopped.errors)")
        let run = RunFiles(folder + "/runs/ml")
        let resumed = try Program.run(["train", "--run", "runs/ml"], in: folder)
        #expect(resumed.status == 0 && resumed.errors.contains("3 of 6 steps are done"), "\(resumed.errors)")
        let plain = try Program.run(["train", "--run", "plain", "--data", "ml/ratings.dat"] + Self.small, in: folder)
        #expect(plain.status == 0, "\(plain.errors)")
        #expect(try RunFiles(folder + "/plain").hash == run.hash)

        let outputs = try ["ml.tar.gz", "ml.tar.gz:ml/ratings.dat", "ml/ratings.dat", "log.gz"].map { data in
          let result = try Program.run(["recommend", "--checkpoint", "runs/ml", "--data", data, "--top-k", "2"], in: folder)
          #expect(result.status == 0 && result.lines.count == 47, "\(result.errors)")
          return result.output
        }
        #expect(Set(outputs).count == 1)
        let histories = try Program.run(["recommend", "--checkpoint", "runs/ml", "--histories", "log.gz"], in: folder)
        #expect(histories.status == 65 && histories.errors.contains("log.gz:1: "), "\(histories.errors)")
      }
    }

    @Test func packedStandardInput() throws {
      try withFiles { folder in
        let plain = try Program.run(["prepare", "ml/ratings.dat"], in: folder)
        func fingerprint(_ result: CommandResult) -> Substring? { result.lines.first { $0.hasPrefix("fingerprint") } }
        #expect(plain.status == 0 && fingerprint(plain) != nil, "\(plain.errors)")
        for command in [
          "\"$0\" prepare - < log.gz", "cat log.gz | \"$0\" prepare -", "\"$0\" prepare <(cat log.gz)",
          "cat ml.tar.gz | \"$0\" prepare -", "cat ml.tar.gz | \"$0\" prepare /dev/stdin:ml/ratings.dat",
        ] {
          let result = try shell(command, in: folder)
          #expect(result.status == 0 && fingerprint(result) == fingerprint(plain), "\(command): \(result.errors)")
        }
        // What is said is what works.
        for command in ["cat many.tar.gz | \"$0\" prepare -", "\"$0\" prepare /dev/stdin < many.tar.gz"] {
          let made = try shell("tar -czf many.tar.gz ml/movies.dat log.gz", in: folder)
          #expect(made.status == 0, "\(made.errors)")
          let many = try shell(command, in: folder)
          #expect(many.status == 65 && many.count(ofErrors: "as in --data /dev/stdin:ml/movies.dat\n") == 1, "\(many.errors)")
        }
        let named = try shell("cat many.tar.gz | \"$0\" prepare /dev/stdin:log.gz", in: folder)
        #expect(named.status == 0 && fingerprint(named) == fingerprint(plain), "\(named.errors)")
        let twice = try shell("\"$0\" prepare -- -:a -:b < ml.tar.gz", in: folder)
        #expect(twice.status == 64 && twice.errors.contains("standard input (-) is given twice"), "\(twice.errors)")
      }
    }

    @Test func whatIsWrongIsSaidOnce() throws {
      try withFiles { folder in
        let made = try shell(
          "head -c 900 log.gz > cut.gz; tar -cf many.tar ml/movies.dat log.gz",
          in: folder)
        #expect(made.status == 0, "\(made.errors)")
        for (data, said) in [
          ("cut.gz", "cut.gz: gzip-compressed data that cannot be unpacked"),
          ("many.tar", "as in --data many.tar:"), ("ml.tar.gz:ratings.dat", "no file in this archive is called \"ratings.dat\""),
          ("ml/ratings.dat:x", "ml/ratings.dat is no archive"),
        ] {
          let result = try Program.run(["train", "--data", data, "--run", "run"] + Self.small, in: folder)
          #expect(result.status == 65 && result.output.isEmpty, "\(data): \(result.errors)")
          #expect(result.count(ofErrors: "error: ") == 1 && result.errors.contains(said), "\(data): \(result.errors)")
          #expect(!FileManager.default.fileExists(atPath: folder + "/run/checkpoints"))
        }
        let written = try Program.run(["prepare", "log.gz", "--write-pairs", "log.gz"], in: folder)
        #expect(written.status == 64 && written.errors.contains("log.gz is an input"), "\(written.errors)")
      }
    }

    /// Few bytes that become more than there is memory for, whatever they say about it.
    @Test func bombsStopEarly() throws {
      try Program.withTemporaryFolder { folder in
        let made = try shell(
          """
          set -e +o pipefail
          yes 'user item' | head -c 700000000 | gzip -1 > bomb.gz
          yes 'user item' | head -c 700000000 > ratings.csv
          tar -cf - ratings.csv | gzip -1 > bomb.tgz
          rm ratings.csv
          """, in: folder)
        #expect(made.status == 0, "\(made.errors)")
        for name in ["bomb.gz", "bomb.tgz"] {
          let result = try shell("ulimit -v 600000; timeout -k 1 60 \"$0\" prepare \(name)", in: folder)
          #expect(result.status == 65 && result.count(ofErrors: "error: ") == 1, "\(name): \(result.errors)")
          #expect(result.errors.contains("would be unpacked, and there is no more memory here"), "\(name): \(result.errors)")
        }
        let piped = try shell("ulimit -v 600000; yes 'user item' | timeout -k 1 60 \"$0\" prepare -", in: folder)
        #expect(piped.status == 65 && piped.errors.contains("there is no memory for more than its first"), "\(piped.errors)")
      }
    }
  }
}
