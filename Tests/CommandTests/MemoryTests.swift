import Foundation
import Testing

extension CommandTests {
  /// What does not fit is refused before it is taken: one line, 64, on one rank; never a crash.
  @Suite struct Memory {
    private static let huge = ["train", "--threads", "1"] + settings(["hidden_size": 65_536])

    @Test func aModelThatTheMachineCannotHoldIsRefused() throws {
      try Program.withTemporaryFolder { folder in
        for result in [
          try Program.run(Self.huge, in: folder), try Program.mpirun(ranks: 2, Self.huge, in: folder),
        ] {
          #expect(result.status == 64, "\(result.errors)")
          #expect(result.count(ofErrors: "error: not enough memory: ") == 1, "\(result.errors)")
          #expect(result.errors.contains("lower hidden_size (65536)"), "\(result.errors)")
        }
        #expect(!FileManager.default.fileExists(atPath: folder + "/runs"))
      }
    }

    /// A limit on the address space, as `ulimit -v` sets it; what is needed is said in a run that fits.
    @Test func aLimitOfTheProcessIsRespected() throws {
      try Program.withTemporaryFolder { folder in
        func limited(_ arguments: [String]) throws -> CommandResult {
          try Program.execute(
            "/bin/bash", ["-c", "ulimit -v 2000000; exec \"$0\" \"$@\"", Program.path] + arguments, in: folder)
        }
        let train = ["train", "--threads", "1"] + settings(["num_train_steps": 2])
        let fits = try limited(train)
        #expect(fits.status == 0 && fits.errors.contains("memory per rank: "), "\(fits.errors)")
        let tooLarge = try limited(["train", "--threads", "1"] + settings(["hidden_size": 2048, "intermediate_size": 8192]))
        #expect(tooLarge.status == 64, "\(tooLarge.errors)")
        #expect(tooLarge.errors.contains("this process's limit (ulimit -v) is 1.9 GiB"), "\(tooLarge.errors)")
      }
    }
  }
}
