import Foundation
import Testing

extension CommandTests {
  @Suite struct Doctors {
    @Test func aloneItLooksAtTheHostAndTheDiskAndLeavesNothing() throws {
      try Program.withTemporaryFolder { folder in
        let result = try Program.run(["doctor"], in: folder)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.lines.first?.hasSuffix(": 1 rank (0)") == true, "\(result.output)")
        for words in ["kernels x86-64", "/dev/shm", "OpenBLAS", "runs in runs: . is "] {
          #expect(result.output.contains(words), "\(words)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
      }
    }

    @Test func underMPIItSeesAllRanksAndTheirMessages() throws {
      try Program.withTemporaryFolder { folder in
        let result = try Program.mpirun(ranks: 3, ["doctor", "--run", "runs/a"], in: folder)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.lines.filter { $0.hasPrefix("host ") }.count == 1 && result.output.contains(": 3 ranks (0-2)"), "\(result.output)")
        #expect(result.output.firstMatch(of: /between ranks of .+: [\d.]+ [um]s, [\d.]+ [GM]B\/s each way/) != nil)
        #expect(result.output.contains("Open MPI v"))
        // Each trouble has its remedy.
        let count = { (words: String) in result.lines.filter { $0.hasPrefix(words) }.count }
        #expect(count("trouble: ") == count("  change: "))
      }
    }

    @Test func aFolderThatCannotBeWrittenIsTrouble() throws {
      try Program.withTemporaryFolder { folder in
        try Data().write(to: URL(fileURLWithPath: folder + "/file"))
        let result = try Program.run(["doctor", "--run", "file/run"], in: folder)
        #expect(result.status == 0 && result.output.contains("trouble: runs cannot be written to file/run: "), "\(result.output)")
      }
    }
  }
}
