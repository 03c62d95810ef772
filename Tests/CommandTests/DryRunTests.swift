import Foundation
import Testing

extension CommandTests {
  @Suite struct DryRuns {
    private static let more = settings(["num_train_steps": 1000, "max_seq_length": 20, "eval_every": 250])

    /// The files of a folder with their sizes.
    private func contents(_ folder: String) throws -> [String] {
      try FileManager.default.subpathsOfDirectory(atPath: folder).sorted().map { path in
        "\(path) \(try FileManager.default.attributesOfItem(atPath: folder + "/" + path)[.size] ?? 0)"
      }
    }

    @Test(arguments: [nil, 2]) func itSaysWhatARunWouldTakeAndWritesNothing(ranks: Int?) throws {
      try Program.withTemporaryFolder { folder in
        try TrainedDemo.writeData(to: folder + "/pairs.txt")
        let before = try contents(folder)
        let arguments = ["train", "--data", "pairs.txt", "--dry-run", "--threads", "1"] + Self.more
        let result = try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) } ?? Program.run(arguments, in: folder)
        #expect(result.status == 0, "\(result.errors)")
        let beginnings = [
          "pairs: 400 users, 120 items, ", "model: ", "ranks: \(ranks ?? 1), threads per rank: 1; ", "memory per rank: ",
          "steps: 1000 of 256 instances; ", "measured: ", "validations: 4, about ", "all of it: about ", "disk: ", "nothing was written",
        ]
        #expect(result.lines.count == beginnings.count, "\(result.output)")
        for (line, beginning) in zip(result.lines, beginnings) { #expect(line.hasPrefix(beginning), "\(line)") }
        #expect(try contents(folder) == before)
      }
    }

    @Test func aRunThatIsThereStaysAsItIs() throws {
      let demo = try TrainedDemo.shared.get()
      let before = try contents(demo.run.path)
      let result = try Program.run(["train", "--dry-run", "--run", demo.run.path])
      #expect(result.status == 0 && result.output.contains("has a checkpoint, step-"), "\(result.output) \(result.errors)")
      #expect(try contents(demo.run.path) == before)
    }

    @Test func whatTheRunWouldRefuseIsRefused() throws {
      try Program.withTemporaryFolder { folder in
        try "a b c d e\n".write(toFile: folder + "/odd.txt", atomically: true, encoding: .utf8)
        #expect(try Program.run(["train", "--data", "odd.txt", "--dry-run"], in: folder).status == 65)
        #expect(try Program.run(["train", "--data", "absent.txt", "--dry-run"], in: folder).status == 66)
        let result = try Program.run(["train", "--dry-run", "--set", "hidden_size=63"], in: folder)
        #expect(result.status == 64 && result.errors.contains("hidden_size 63"))
      }
    }
  }
}
