import BERT4RecDist
import Foundation
import TestSupport
import Testing

extension CommandTests {
  /// The full loss over a sharded table, on the demo's catalogue, which is smaller than a tile: one rank has all of it.
  @Suite struct DividedLoss {
    private static let sharded = settings(["table": "sharded"])

    private func hash(ranks: Int?, threads: Int = 1, _ values: [String], in folder: String) throws -> String {
      try? FileManager.default.removeItem(atPath: folder + "/run")
      let arguments =
        ["train", "--run", "run", "--threads", "\(threads)"]
        + settings(["num_train_steps": "12", "num_warmup_steps": "0", "report_steps": "4", "holdout": "none"]) + values
      let result = try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) } ?? Program.run(arguments, in: folder)
      try #require(result.status == 0, "\(result.errors)")
      return try RunFiles(folder + "/run").checkpointHash
    }

    /// Shards of several blocks and such that are no whole subtree per rank, chunks of several sizes, odd and wide models, and products of
    /// OpenBLAS.
    @Test(
      arguments: [
        ["gradient_shards": "3", "batch_size": "400"], ["gradient_shards": "7", "batch_size": "40", "hidden_size": "20"],
        ["hidden_size": "80", "batch_size": "64", "loss": "full"], ["batch_size": "64", "backend": "openblas"],
      ])
    func sameBitsAsReplicated(_ values: [String: String]) throws {
      try Program.withTemporaryFolder { folder in
        let whole = try hash(ranks: nil, settings(values), in: folder)
        for (ranks, threads) in [(2, 1), (3, 2)] {
          #expect(try hash(ranks: ranks, threads: threads, settings(values) + Self.sharded, in: folder) == whole, "\(ranks) ranks")
        }
      }
    }

    /// The rank that has the table freezes, or one that has nothing of it: it is named, and the run resumes.
    @Test(arguments: [0, 2]) func aFrozenRankIsNamed(rank: Int) throws {
      try Program.withTemporaryFolder { folder in
        let arguments =
          ["train", "--run", "run", "--threads", "1"]
          + settings([
            "num_train_steps": 400, "save_checkpoints_steps": 20, "report_steps": 10, "batch_size": 128, "eval_every": 400,
            "stall_timeout": 2,
          ])
        try #require(try Program.run(arguments, in: folder).status == 0)
        let expected = try RunFiles(folder + "/run").checkpointHash
        try FileManager.default.removeItem(atPath: folder + "/run")
        let program = try Program.start(arguments + Self.sharded, ranks: 3, in: folder)
        try program.wait(for: "\"step\":200,", in: folder + "/run/metrics.jsonl")
        let processes = program.children
        try #require(processes.count == 3)
        kill(processes[rank], SIGSTOP)
        let end = try program.wait()
        #expect(end.status != 0 && end.status != 75 && end.count(ofErrors: "error: rank \(rank) on host ") == 1, "\(end.errors)")
        for process in processes { #expect(ends(process), "process \(process) is left") }
        let rest = try Program.mpirun(ranks: 2, arguments + Self.sharded, in: folder)
        #expect(rest.status == 0, "\(rest.errors)")
        #expect(try RunFiles(folder + "/run").checkpointHash == expected)
      }
    }
  }
}
