import Foundation
import Testing

extension CommandTests {
  @Suite struct Prepare {
    @Test func statisticsFolderAndPairs() throws {
      try Program.withTemporaryFolder { folder in
        let text = "u,b,1,1500000001\nu,a,1,1500000000\nv,a,2,1500000000\n"
        try text.write(toFile: folder + "/tiny.csv", atomically: true, encoding: .utf8)
        let raw = try Program.run(
          ["prepare", "tiny.csv", "--output", "out/set", "--write-pairs", "pairs.txt"], in: folder)
        #expect(raw.status == 0)
        #expect(raw.output.contains("data set                  tiny\n"))
        #expect(raw.output.contains("interactions              3\n"))
        #expect(
          raw.output.hasPrefix(
            """
            tiny.csv: read as: columns separated by commas
              user: column 1
              item: column 2
              time: column 4, epoch in seconds
              not used: column 3 (such as "1")

            """))
        #expect(try String(contentsOfFile: folder + "/pairs.txt", encoding: .utf8) == "u a\nu b\nv a\n")

        let prepared = try Program.run(["prepare", "out/set"], in: folder)
        #expect(prepared.status == 0 && prepared.output.hasPrefix("out/set: read as: prepared folder tiny\n"))
        #expect(prepared.lines.dropFirst() == raw.lines.dropFirst(5))
        #expect(prepared.errors.contains("nothing written (use --output, --write-pairs or --write-tfrecord)"))
        let again = try Program.run(["prepare", "pairs.txt", "--output", "out/set"], in: folder)
        #expect(again.status == 0 && again.output.contains("data set                  pairs\n"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/out") == ["set"])
      }
    }

    @Test func standardInput() throws {
      let result = try Program.run(["prepare", "-"], input: "u a\nu b\n")
      #expect(result.status == 0 && result.output.contains("data set                  data\n"))
      #expect(result.output.hasPrefix("standard input: read as: pairs separated by one space\n"))
      let empty = try Program.run(["prepare", "-"], input: "")
      #expect(empty.status == 65 && empty.errors.contains("standard input"))
    }

    @Test func exitCodes() throws {
      try Program.withTemporaryFolder { folder in
        try "u a\nu b\n".write(toFile: folder + "/good.txt", atomically: true, encoding: .utf8)
        try "u a\nu b\nodd\nu c\n".write(toFile: folder + "/odd.txt", atomically: true, encoding: .utf8)
        func run(_ arguments: String...) throws -> CommandResult {
          try Program.run(["prepare"] + arguments, in: folder)
        }
        #expect(try run().status == 64)
        #expect(try run("good.txt", "--no-such-option").status == 64)
        #expect(try run("absent.txt").status == 66)
        #expect(try run(".").status == 65)
        let odd = try run("odd.txt", "--output", "set", "--write-pairs", "pairs.txt")
        #expect(odd.status == 65 && odd.output.isEmpty && odd.errors.contains("odd.txt:3: \"odd\""))
        let skipped = try run("odd.txt", "--skip-bad-rows")
        #expect(
          skipped.status == 0 && skipped.output.contains("rows left out             1 (1 wrong number of columns)"))
        let refused = try run("good.txt", "--output", ".")
        #expect(refused.status == 64 && refused.errors.hasPrefix("error: . exists"))
        #expect(try run("good.txt", "--output", "good.txt").status == 64)
        let overwriting = try run("good.txt", "--write-pairs", "./good.txt")
        #expect(overwriting.status == 64 && overwriting.errors.contains("is an input"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["good.txt", "odd.txt"])
      }
    }

    @Test func optionsSayWhatAFileIs() throws {
      try Program.withTemporaryFolder { folder in
        let text = "kunde;ware;wann;art;note\nu;c;3.5.2021;view;1\nu;a;1.5.2021;buy;5\nu;b;2.5.2021;buy;4\nv;a;2.5.2021;buy;5\n"
        try text.write(toFile: folder + "/laden.csv", atomically: true, encoding: .utf8)
        func pairs(_ options: String...) throws -> String {
          let result = try Program.run(["prepare", "laden.csv", "--write-pairs", "pairs.txt"] + options, in: folder)
          #expect(result.status == 0, "\(result.errors)")
          return try String(contentsOfFile: folder + "/pairs.txt", encoding: .utf8)
        }
        let refused = try Program.run(["prepare", "laden.csv"], in: folder)
        #expect(refused.status == 65 && refused.errors.contains("--columns"))
        let columns = ["--columns", "user=kunde,item=ware"]
        #expect(try pairs(columns[0], columns[1]) == "u a\nu b\nu c\nv a\n")
        #expect(try pairs(columns[0], "user=kunde,item=ware,time=none", "--format", "semicolons") == "u c\nu a\nu b\nv a\n")
        #expect(try pairs(columns[0], columns[1], "--time-format", "%d.%m.%Y", "--before", "2021-05-03") == "u a\nu b\nv a\n")
        #expect(try pairs(columns[0], "user=kunde,item=ware,event=art", "--events", "buy") == "u a\nu b\nv a\n")
        #expect(try pairs(columns[0], "user=kunde,item=ware,rating=note", "--min-rating", "4.5") == "u a\nv a\n")
        #expect(try pairs(columns[0], columns[1], "--last", "1") == "u c\nv a\n")
        let few = try Program.run(["prepare", "laden.csv", "--min-user-count", "2", "--after", "2021-05-02"] + columns, in: folder)
        #expect(few.status == 0 && few.output.contains("rows filtered             2 (1 rows before --after, 1 rows of users below"))
        for wrong in [["--columns", "who=1"], ["--format", "excel"], ["--time-format", "%Q"], ["--after", "soon"], ["--last", "0"]] {
          #expect(try Program.run(["prepare", "laden.csv"] + wrong, in: folder).status == 64, "\(wrong)")
        }
      }
    }

    @Test func onRanksOneReads() throws {
      try Program.withTemporaryFolder { folder in
        try "u a\nu b\n".write(toFile: folder + "/p1.txt", atomically: true, encoding: .utf8)
        try "v a\n".write(toFile: folder + "/p2.txt", atomically: true, encoding: .utf8)
        let alone = try Program.run(["prepare", "p?.txt", "--output", "set"], in: folder)
        #expect(alone.status == 0 && alone.output.contains("interactions              3\n"))
        let ranks = try Program.mpirun(ranks: 2, ["prepare", "p?.txt", "--output", "set"], in: folder)
        #expect(ranks.status == 0 && ranks.output == alone.output, "\(ranks.errors)")
        let refused = try Program.mpirun(ranks: 2, ["prepare", "q?.txt"], in: folder)
        #expect(refused.status == 66 && refused.count(ofErrors: "error: cannot read q?.txt: no file matches it") == 1, "\(refused.errors)")
      }
    }

    @Test func aFullDiskLeavesNothing() throws {
      // A file system of its own would need root; a limit on the size of files fails in the same place.
      try Program.withTemporaryFolder { folder in
        let rows = (0..<20_000).map { "user\($0 % 50) item\($0)\n" }.joined()
        try rows.write(toFile: folder + "/rows.txt", atomically: true, encoding: .utf8)
        for option in ["--output", "--write-pairs"] {
          let result = try Program.execute(
            "/bin/bash",
            ["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" prepare rows.txt \(option) target", Program.path],
            in: folder)
          #expect(result.status == 74 && result.errors.contains("cannot write"), "\(result.errors)")
          #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["rows.txt"])
        }
      }
    }
  }
}
