import Foundation
import Testing

extension CommandTests {
  /// The same bits on any number of ranks and threads; the demo has dropout.
  @Suite struct Ranks {
    static let steps = settings(["num_train_steps": 20])

    /// Trains in a folder of its own; its parameters' hash and the messages.
    private func train(
      ranks: Int? = nil, threads: Int = 1, options: [String] = [], more: [String] = []
    ) throws -> (hash: String, errors: String) {
      try Program.withTemporaryFolder { folder in
        let arguments = ["train", "--threads", "\(threads)"] + Self.steps + more
        let result =
          try ranks.map { try Program.mpirun(ranks: $0, arguments, options: options, in: folder) }
          ?? Program.run(arguments, in: folder)
        try #require(result.status == 0, "\(result.errors)")
        return (try RunFiles(folder + "/runs/demo").hash, result.errors)
      }
    }

    @Test func anyNumberGivesTheSameBits() throws {
      let alone = try train().hash
      #expect(alone.count == 64)
      for threads in [2, 3] { #expect(try train(threads: threads).hash == alone, "\(threads) threads") }
      for ranks in [1, 2, 3, 4, 5, 8] {
        let result = try train(ranks: ranks, threads: ranks == 3 ? 2 : 1)
        #expect(result.hash == alone, "\(ranks) ranks")
        #expect(result.errors.contains("ranks: \(ranks), "))
        // 16 shards: of 3 and 5 ranks not every one owns a whole subtree.
        if ranks == 3 || ranks == 5 { #expect(result.errors.contains("moved bytes")) }
        // What rank 0 says is said once.
        #expect(result.errors.components(separatedBy: "step 20/20").count == 2)
      }
      let seeded = try train(more: settings(["seed": 7]))
      #expect(seeded.hash != alone)
    }

    /// The losses that draw: negatives and buckets are keyed, so no number of ranks or threads changes them. A resumed run goes on with
    /// them, and another loss is refused.
    @Test(
      arguments: [
        ["loss": "sampled", "negatives": "20"], ["loss": "sampled", "negatives_per": "position", "negative_sampling": "popularity"],
        ["loss": "sampled", "negatives": "20", "table_adam": "lazy", "verify_every": "5"], ["loss": "gbce", "negatives": "20"],
        ["loss": "sce", "sce_bucket_items": "20"],
      ] as [[String: String]])
    func everyLossHasTheSameBits(_ loss: [String: String]) throws {
      let more = settings(loss)
      let alone = try train(more: more).hash
      #expect(try train(threads: 3, more: more).hash == alone)
      for ranks in [1, 2, 3, 8] {
        #expect(try train(ranks: ranks, threads: ranks == 2 ? 2 : 1, more: more).hash == alone, "\(ranks) ranks")
      }
      #expect(try train().hash != alone)
      try Program.withTemporaryFolder { folder in
        let stopped = try Program.run(["train", "--stop-after", "9"] + Self.steps + more, in: folder)
        #expect(stopped.status == 75 && !stopped.errors.contains("go back"), "\(stopped.errors)")
        let other = try Program.run(["train"] + Self.steps + settings(["loss": "full"]), in: folder)
        #expect(other.status == 64 && other.errors.contains("loss"), "\(other.errors)")
        let rest = try Program.mpirun(ranks: 2, ["train", "--threads", "1"] + Self.steps + more, in: folder)
        #expect(try rest.status == 0 && RunFiles(folder + "/runs/demo").hash == alone, "\(rest.errors)")
      }
    }

    /// Open MPI's ring adds in another order than the tree: that is found out, and the tree's bits come all the same.
    @Test func anotherOrderOfAllreduceIsFoundOut() throws {
      let ring = try train(
        ranks: 4,
        options: ["--mca", "coll_tuned_use_dynamic_rules", "1", "--mca", "coll_tuned_allreduce_algorithm", "4"])
      #expect(ring.errors.contains("tree by moved bytes (MPI_Allreduce adds in another order here)"))
      #expect(try ring.hash == train().hash)
    }

    /// With `--mca pml` of a name that does not exist MPI_Init would end the program.
    @Test func helpAndVersionNeedNoMPI() throws {
      let broken = ["--mca", "pml", "no_such_transport"]
      let version = try Program.mpirun(ranks: 2, ["--version"], options: broken)
      let expected =
        #/0\.1\.0 \(commit ([0-9a-f]{7,40}\+?|unknown), numerics: full [0-9]+, sampled [0-9]+, gbce [0-9]+, sce [0-9]+\)\n.+; Open MPI v[45].+; OpenBLAS .+; kernels [a-z0-9_-]+\n/#
      #expect(try version.status == 0 && expected.wholeMatch(in: version.output) != nil, "\(version.output)\(version.errors)")
      let help = try Program.mpirun(ranks: 2, ["--help"], options: broken)
      #expect(help.status == 0 && help.output.components(separatedBy: "OVERVIEW:").count == 2)
      let train = try Program.mpirun(ranks: 2, ["train", "--help"], options: broken)
      #expect(train.status == 0 && train.output.components(separatedBy: "gradient_shards [16]").count == 2)
      let alone = try Program.run(["--version"])
      #expect(alone.status == 0 && alone.output == version.output && alone.errors.isEmpty)
    }

    /// Fewer shards than cores leave some of them without work, which is said.
    @Test func idleCoresAreSaid() throws {
      try Program.withTemporaryFolder { folder in
        let few = settings(["gradient_shards": 3, "num_train_steps": 1])
        let alone = try Program.run(["train", "--threads", "4"] + few, in: folder)
        #expect(alone.status == 0 && alone.count(ofErrors: "3 of 4 threads work: gradient_shards is 3;") == 1, "\(alone.errors)")
        let two = try Program.mpirun(ranks: 2, ["train", "--threads", "2", "--run", "two"] + few, in: folder)
        #expect(two.status == 0 && two.count(ofErrors: "3 of 4 threads work: gradient_shards is 3;") == 1, "\(two.errors)")
        let busy = try Program.run(["train", "--threads", "3", "--run", "busy"] + few, in: folder)
        #expect(busy.status == 0 && busy.count(ofErrors: " work: gradient_shards") == 0, "\(busy.errors)")
      }
    }

    @Test func moreRanksThanShardsAreRefused() throws {
      try Program.withTemporaryFolder { folder in
        let result = try Program.mpirun(ranks: 3, ["train"] + settings(["gradient_shards": 2]), in: folder)
        #expect(result.status == 64)
        #expect(result.count(ofErrors: "error: gradient_shards is 2, but there are 3 ranks") == 1, "\(result.errors)")
      }
    }
  }
}
