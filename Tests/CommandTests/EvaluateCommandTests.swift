import Foundation
import Testing

extension CommandTests {
  @Suite struct Evaluate {
    static let names = ["hit@1", "hit@5", "hit@10", "ndcg@1", "ndcg@5", "ndcg@10", "mrr"]

    private func evaluate(_ more: String..., ranks: Int? = nil) throws -> CommandResult {
      let demo = try TrainedDemo.shared.get()
      let arguments = ["evaluate", "--checkpoint", demo.run.path, "--data", demo.data] + more
      let result = try ranks.map { try Program.mpirun(ranks: $0, arguments) } ?? Program.run(arguments)
      try #require(result.status == 0, "\(result.errors)")
      return result
    }

    private func json(_ result: CommandResult) throws -> [String: Any] {
      let line = try #require(result.lines.last)
      return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    /// Both have all that the other has, numbers to the last digit; notes stand in no metrics line.
    private func expectEqual(_ report: [String: Any], _ line: [String: Any]) {
      let report = report.filter { $0.key != "notes" }
      #expect(Set(report.keys) == Set(line.keys))
      for (key, value) in line { #expect(report[key] as? NSObject == value as? NSObject, "\(key)") }
    }

    @Test func theDemoLearns() throws {
      let demo = try TrainedDemo.shared.get()
      #expect(demo.result.status == 0, "\(demo.result.errors)")
      #expect(demo.result.errors.contains("This is the built-in demo"))
      #expect(demo.result.output.contains("test split") && demo.result.output.contains("bert4rec-dist recommend --checkpoint"))
      let test = try demo.run.evaluation("test")
      let model = try #require(test["ndcg@10[full]"] as? Double)
      let popularity = try #require(test["popularity/ndcg@10[full]"] as? Double)
      // Found: 0.80 to 0.84 on eight seeds and six arithmetics.
      #expect(model > 0.7 && popularity < 0.1, "\(model), popularity \(popularity)")
      #expect(!demo.result.errors.contains("warning"), "\(demo.result.errors)")
    }

    /// That it learns is no luck of one seed.
    @Test func theDemoLearnsFromAnotherSeed() throws {
      try Program.withTemporaryFolder { folder in
        let result = try Program.run(["train", "--set", "seed=1", "--set", "eval_every=1500"], in: folder)
        try #require(result.status == 0, "\(result.errors)")
        let test = try RunFiles(folder + "/runs/demo").evaluation("test")
        let model = try #require(test["ndcg@10[full]"] as? Double)
        #expect(model > 0.7, "\(model)")
        #expect(!result.errors.contains("warning"), "\(result.errors)")
      }
    }

    @Test func jsonIsTheTestLineOfTraining() throws {
      let demo = try TrainedDemo.shared.get()
      let result = try evaluate("--json")
      #expect(result.lines.count == 1 && result.output.hasSuffix("}\n"))
      let report = try json(result)
      for name in Self.names {
        for kind in ["full", "pop100", "uniform100"] {
          for prefix in ["", "popularity/"] {
            let value = report["\(prefix)\(name)[\(kind)]"] as? Double
            #expect(value.map { $0 > 0 && $0 <= 1 } == true, "\(prefix)\(name)[\(kind)]")
          }
        }
      }
      #expect(report["split"] as? String == "test" && report["users"] as? Int == 400)
      expectEqual(report, try demo.run.evaluation("test"))
      // People get the table on standard error.
      #expect(result.errors.contains("test split, step "))
    }

    @Test func ranksChangeNothing() throws {
      let alone = try evaluate("--json")
      let ranks = try evaluate("--json", ranks: 3)
      #expect(ranks.output == alone.output)
      #expect(ranks.count(ofErrors: "test split, step ") == 1)
    }

    @Test func threadsChangeNothing() throws {
      let alone = try evaluate("--json", "--threads", "1")
      for threads in ["2", "5"] { #expect(try evaluate("--json", "--threads", threads).output == alone.output) }
      #expect(try evaluate("--json", "--threads", "3", ranks: 2).output == alone.output)
      let demo = try TrainedDemo.shared.get()
      let refused = try Program.run(["evaluate", "--checkpoint", demo.run.path, "--data", demo.data, "--threads", "0"])
      #expect(refused.status == 64 && refused.errors.contains("--threads must be from 1 to 1024"), "\(refused.errors)")
    }

    /// Validations of some users in some protocols, and how files and people are told; the test is of everybody in everything.
    @Test func aValidationOfSome() throws {
      let asked = settings(["num_train_steps": 30, "eval_every": 15, "validation_users": 100, "validation_protocols": "full,pop100"])
      var all: [[String]] = []
      for ranks in [1, 3] {
        try Program.withTemporaryFolder { folder in
          let result = try Program.mpirun(ranks: ranks, ["train", "--verbose"] + asked, in: folder)
          try #require(result.status == 0, "\(result.errors)")
          #expect(result.count(ofErrors: "[full, 100 of 400 users] ") == 2 && !result.errors.contains("uniform100"), "\(result.errors)")
          #expect(result.output.contains("[uniform100, 400 users] "))
          let run = RunFiles(folder + "/runs/demo")
          let validations = try run.lines.filter { $0["split"] as? String == "validation" }
          #expect(validations.count == 2)
          for line in validations {
            #expect(line["users"] as? Int == 100 && line["users_of"] as? Int == 400)
            #expect(line["mrr[pop100]"] is Double && line["mrr[uniform100]"] == nil)
            // The same users each time: the baseline, which learns nothing, stays what it is.
            #expect(line["popularity/mrr[full]"] as? Double == validations[0]["popularity/mrr[full]"] as? Double)
          }
          let test = try run.evaluation("test")
          #expect(test["users"] as? Int == 400 && test["users_of"] == nil && test["mrr[uniform100]"] is Double)
          all.append(try run.comparableLines)
        }
      }
      #expect(all[0] == all[1])
    }

    @Test func aMonitorThatValidationsLeaveOut() throws {
      try Program.withTemporaryFolder { folder in
        let result = try Program.mpirun(ranks: 2, ["train"] + settings(["validation_protocols": "pop100"]), in: folder)
        #expect(result.status == 64, "\(result.errors)")
        #expect(result.count(ofErrors: "error: monitor ndcg@10[full] is of a protocol that validations leave out") == 1, "\(result.errors)")
      }
    }

    @Test func theValidationSplit() throws {
      let demo = try TrainedDemo.shared.get()
      let best = try demo.run.text("checkpoints/best").trimmingCharacters(in: .newlines)
      let report = try json(evaluate("--split", "validation", "--json"))
      let step = try #require(report["step"] as? Int)
      #expect(best.hasSuffix("\(step)"))
      let line = try #require(
        try demo.run.lines.first { $0["split"] as? String == "validation" && $0["step"] as? Int == step })
      expectEqual(report, line)
    }

    /// Without held-out validation items the model has been trained on them, which the report says.
    @Test(arguments: [false, true]) func itemsThatTheModelWasTrainedOn(holdsOut: Bool) throws {
      try Program.withTemporaryFolder { folder in
        let train = ["train", "--run", "run"] + settings(["num_train_steps": 4, "validation": holdsOut])
        try #require(try Program.run(train, in: folder).status == 0)
        for split in ["validation", "test"] {
          let command = ["evaluate", "--checkpoint", "run", "--data", "builtin:demo", "--split", split]
          let words = "the model was trained on these very items (holdout: test)"
          let isSaid = split == "validation" && !holdsOut
          let report = try json(Program.run(command + ["--json"], in: folder))
          #expect((report["notes"] as? [String])?.contains { $0.hasPrefix(words) } ?? false == isSaid)
          let table = try Program.mpirun(ranks: 2, command, in: folder)
          #expect(table.output.components(separatedBy: "note: " + words).count == (isSaid ? 2 : 1), "\(table.output)")
        }
      }
    }

    @Test func oneProtocolAlone() throws {
      let all = try json(evaluate("--json"))
      let full = try json(evaluate("--protocol", "full", "--json"))
      #expect(full.keys.contains("ndcg@10[full]") && !full.keys.contains { $0.contains("100]") })
      for name in Self.names { #expect(full["\(name)[full]"] as? Double == all["\(name)[full]"] as? Double) }
      let two = try json(evaluate("--protocol", "uniform100", "--protocol", "pop100", "--json"))
      #expect(!two.keys.contains("mrr[full]"))
      #expect(two["mrr[pop100]"] as? Double == all["mrr[pop100]"] as? Double)
      #expect(two["mrr[uniform100]"] as? Double == all["mrr[uniform100]"] as? Double)
    }

    @Test func withoutJSONPeopleGetATable() throws {
      let result = try evaluate()
      #expect(result.output.contains("test split, step ") && result.output.contains("\nuniform100  "))
      #expect(!result.errors.contains("test split"))
    }

    @Test func dataWithoutACommonItem() throws {
      let demo = try TrainedDemo.shared.get()
      try Program.withTemporaryFolder { folder in
        try "u a\nu b\nu c\nv a\nv c\nv b\n".write(toFile: folder + "/other.txt", atomically: true, encoding: .utf8)
        for command in ["evaluate", "recommend"] {
          let result = try Program.run([command, "--checkpoint", demo.run.path, "--data", "other.txt"], in: folder)
          #expect(result.status == 65 && result.output.isEmpty)
          #expect(result.count(ofErrors: "error: none of the 3 items of other is known to ") == 1, "\(result.errors)")
        }
      }
    }

    /// Items that are new since the training are left out, and said.
    @Test func dataWithUnknownItems() throws {
      let demo = try TrainedDemo.shared.get()
      try Program.withTemporaryFolder { folder in
        let text = try String(contentsOfFile: demo.data, encoding: .utf8)
        // The new item stands at the beginning of its user: all that is asked and all answers stay the same.
        try ("user0 brand-new\n" + text).write(toFile: folder + "/newer.txt", atomically: true, encoding: .utf8)
        let result = try Program.run(
          ["evaluate", "--checkpoint", demo.run.path, "--data", "newer.txt", "--protocol", "full", "--json"],
          in: folder)
        #expect(result.status == 0)
        #expect(result.errors.contains("1 items in 1 interactions are unknown to the model and left out"))
        let known = try json(evaluate("--protocol", "full", "--json"))
        #expect(try json(result)["mrr[full]"] as? Double == known["mrr[full]"] as? Double)
      }
    }

    /// A held-out item that the model does not know cannot be ranked, and an older one is not taken for it.
    @Test func usersWhoseHeldOutItemIsUnknown() throws {
      let demo = try TrainedDemo.shared.get()
      let lines = try String(contentsOfFile: demo.data, encoding: .utf8).split(separator: "\n")
      let rest = lines.filter { !$0.hasPrefix("user0 ") && !$0.hasPrefix("user1 ") }
      let (user0, user1) = (lines.filter { $0.hasPrefix("user0 ") }, lines.filter { $0.hasPrefix("user1 ") })
      func evaluate(_ lines: [Substring], _ split: String, protocol name: String = "full") throws -> [String: Any] {
        try Program.withTemporaryFolder { folder in
          try (lines.joined(separator: "\n") + "\n").write(toFile: folder + "/newer.txt", atomically: true, encoding: .utf8)
          let result = try Program.run(
            ["evaluate", "--checkpoint", demo.run.path, "--data", "newer.txt", "--split", split, "--protocol", name, "--json"], in: folder)
          try #require(result.status == 0, "\(result.errors)")
          return try json(result)
        }
      }
      // As if the two were not there.
      let expected = try evaluate(rest, "test")
      let newer = try evaluate(user0 + ["user0 new1"] + user1 + ["user1 new1"] + rest, "test")
      #expect(newer["users"] as? Int == 398 && newer["mrr[full]"] as? Double == expected["mrr[full]"] as? Double)
      let notes = try #require(newer["notes"] as? [String])
      #expect(notes.contains("2 of 400 users have a held-out item that the model does not know: they are not ranked"), "\(notes)")
      #expect(notes.contains { $0.hasPrefix("newer is not the data that the model was trained on (demo)") })
      let validation = try evaluate(user0.dropLast() + ["user0 new1", user0[user0.count - 1]] + rest, "validation")
      #expect(validation["users"] as? Int == 398)
      // The last item that the model knows is the validation item, asked for with all before it.
      for name in ["full", "pop100"] {
        let last = try evaluate(user0 + user1, "test", protocol: name)
        let nextToLast = try evaluate(user0 + ["user0 new1"] + user1 + ["user1 new2"], "validation", protocol: name)
        #expect(nextToLast["mrr[\(name)]"] as? Double == last["mrr[\(name)]"] as? Double && last["users"] as? Int == 2)
      }
    }

    @Test func whereNobodyCanBeRanked() throws {
      let demo = try TrainedDemo.shared.get()
      try Program.withTemporaryFolder { folder in
        let text = "u ring0-item1\nu ring0-item2\nu x\nv ring0-item3\nv y\nv ring0-item4\n"
        try text.write(toFile: folder + "/other.txt", atomically: true, encoding: .utf8)
        let result = try Program.mpirun(
          ranks: 2, ["evaluate", "--checkpoint", demo.run.path, "--data", "other.txt"], in: folder)
        #expect(result.status == 65 && result.output.isEmpty)
        #expect(result.count(ofErrors: "error: none of the 2 users of other can be ranked: ") == 1, "\(result.errors)")
      }
    }

    /// What every rank finds wrong by itself is said once, and ends no run by force.
    @Test func aFormatThatIsNoneIsRefusedOnce() throws {
      let demo = try TrainedDemo.shared.get()
      let result = try Program.mpirun(
        ranks: 2, ["evaluate", "--checkpoint", demo.run.path, "--data", demo.data, "--data-format", "odd"])
      #expect(result.status == 64 && result.output.isEmpty, "\(result.output)")
      #expect(result.count(ofErrors: "error: ") == 1, "\(result.errors)")
      #expect(result.count(ofErrors: "error: --format: no format is called \"odd\"") == 1, "\(result.errors)")
      #expect(!result.errors.contains("MPI_ABORT"), "\(result.errors)")
    }

    @Test(arguments: Damage.allCases) func aDamagedCheckpoint(_ damage: Damage) throws {
      let demo = try TrainedDemo.shared.get()
      try Program.withTemporaryFolder { folder in
        try demo.copyCheckpoint(to: folder + "/checkpoint")
        try damage.apply(to: folder + "/checkpoint/model.safetensors")
        for arguments in [["evaluate", "--data", demo.data], ["recommend", "--data", demo.data]] {
          let command = arguments + ["--checkpoint", "checkpoint"]
          for result in [
            try Program.run(command, in: folder), try Program.mpirun(ranks: 2, command, in: folder),
          ] {
            #expect(result.status == 65 && result.output.isEmpty)
            #expect(result.count(ofErrors: "error: checkpoint/model.safetensors") == 1, "\(result.errors)")
          }
        }
      }
    }
  }
}
