import BERT4RecModel
import Checkpoints
import InteractionData
import SystemSupport

/// Checkpoint folders with one damaged file, whose checksums are often made right again, and what points to them.
enum CheckpointTargets {
  private static let names = [
    CheckpointName.modelConfiguration, CheckpointName.items, CheckpointName.model, CheckpointName.optimizer,
    CheckpointName.trainer,
  ]
  private static let words = [
    "step", "seed", "best", "score", "files", "bytes", "sha256", "format_version", "program_version", "hidden_size",
    "vocab_size", "num_hidden_layers", "max_position_embeddings", "dtype", "F32", "BF16", "shape", "data_offsets",
    "__metadata__", "parameter_hash", "configuration", "bert", "gelu", "[4611686018427387904,4]", "[0,0]", "[]",
  ]

  static func all(in folder: String) throws -> [FuzzTarget] {
    try names.map { try file($0, folder) } + [
      try runFolder(folder), try safetensors(folder), items(folder), try pointers(folder), metrics(folder),
      try huggingFaceFolder(folder), try tensorFlow("tensorflow-checkpoint", folder), try tensorFlow("tensorflow-index", folder),
    ]
  }

  /// One file of a checkpoint.
  private static func file(_ name: String, _ folder: String) throws -> FuzzTarget {
    let title = "checkpoint-" + name
    let run = RunFolder("\(folder)/\(title)")
    let path = try Example.write(Example.state(step: 20), in: run)
    let original = try FileSystem.read(path + "/" + name)
    let trainer = try FileSystem.read(path + "/" + CheckpointName.trainer)
    var state = try TrainerState(decoding: trainer, path: "trainer.json")
    let resumed = RunFolder("\(folder)/\(title)-resumed")
    return FuzzTarget(title, corpus: [original], words: words, places: [path]) { input, random in
      var input = input
      if random.chance(4, in: 5) {
        if name == CheckpointName.trainer {
          input = Repair.trainer(input)
        } else {
          if name.hasSuffix(".safetensors") { input = Repair.safetensors(input) }
          state.files[name] = FileRecord(sha256: sha256Hex(input), bytes: input.count)
          if name == CheckpointName.model { state.parameterHash = Repair.dataHash(input) }
          put(state.encoded(), path + "/" + CheckpointName.trainer)
        }
      } else {
        put(trainer, path + "/" + CheckpointName.trainer)
      }
      put(input, path + "/" + name)
      try use(CheckpointReader.open(path, withMoments: true), resumed)
    }
  }

  /// Goes on from a checkpoint that was accepted, as a run does: what was read is written again.
  private static func use(_ checkpoint: CheckpointReader, _ run: RunFolder) throws {
    let buffers = (0..<3).map { _ in UnsafeMutableBufferPointer<Float>.allocate(capacity: checkpoint.layout.count) }
    defer { for buffer in buffers { buffer.deallocate() } }
    checkpoint.copyParameters(into: buffers[0])
    checkpoint.copyMoments(first: buffers[1], second: buffers[2])
    try require(checkpoint.itemIDs.count == checkpoint.itemCounts.count, "as many counts as ids")
    let tokens = TokenIDs(itemCount: checkpoint.itemIDs.count)
    try require(checkpoint.configuration.vocabularySize == tokens.vocabularySize, "the vocabulary is that of the items")
    try FileSystem.removeRecursively(run.path)
    let writer = CheckpointWriter(
      run: run, configuration: checkpoint.configuration, itemIDs: checkpoint.itemIDs,
      itemCounts: checkpoint.itemCounts, keepCheckpoints: 1)
    let written = try writer.write(
      state: checkpoint.state, parameters: UnsafeBufferPointer(buffers[0]),
      firstMoment: UnsafeBufferPointer(buffers[1]), secondMoment: UnsafeBufferPointer(buffers[2]))
    if let best = checkpoint.state.best { _ = CheckpointName.folder(step: best.step) }
    let again = try CheckpointReader.open(written, withMoments: true)
    var state = checkpoint.state
    // Of the new folder: config.json may be written in another way.
    state.files = again.state.files
    try require(again.state == state, "a checkpoint that is written again has the same state")
    try require(again.itemIDs == checkpoint.itemIDs, "a checkpoint that is written again has the same items")
  }

  /// A run of two checkpoints, of which the newer one is damaged: the older one is taken, and one line says so.
  private static func runFolder(_ folder: String) throws -> FuzzTarget {
    let run = RunFolder(folder + "/run")
    let older = try Example.write(Example.state(step: 10), in: run)
    let newer = try Example.write(Example.state(step: 20), in: run)
    let originals = try names.map { try FileSystem.read(newer + "/" + $0) }
    var damaged: String?
    return FuzzTarget("run-folder", corpus: originals, words: words, places: [newer]) { input, random in
      if let damaged {
        try FileSystem.removeRecursively(newer + "/" + damaged)
        put(originals[names.firstIndex(of: damaged) ?? 0], newer + "/" + damaged)
      }
      let place = random.below(names.count)
      let file = newer + "/" + names[place]
      damaged = names[place]
      switch random.below(40) {
      case 0: try FileSystem.removeRecursively(file)
      case 1:
        try FileSystem.removeRecursively(file)
        try FileSystem.createDirectories(file + "/x")
      case 2: put(try FileSystem.read(older + "/" + names[place]), file)
      default: put(input, file)
      }
      let before = try? FileSystem.read(file)
      var lines: [String] = []
      let checkpoint = try run.newestGood { lines.append($0) }
      for line in lines { try requirePrintable(line) }
      try require((try? FileSystem.read(file)) == before, "a damaged checkpoint is left untouched")
      if checkpoint?.path == newer {
        try require(lines.isEmpty, "nothing is said of a good checkpoint")
        try require(originals[place] == before, "\(names[place]) is as it was written")
      } else {
        try require(checkpoint?.path == older, "the older checkpoint is taken")
        try require(lines.count == 1 && lines[0].contains(newer), "one line names what is damaged: \(lines)")
        // For the statistics.
        throw ProgramFailure(.badData, lines[0])
      }
    }
  }

  private static func safetensors(_ folder: String) throws -> FuzzTarget {
    let path = folder + "/x.safetensors"
    let header =
      #"{"h":{"dtype":"F16","shape":[3],"data_offsets":[4,10]},"s":{"dtype":"F32","shape":[],"#
      + #""data_offsets":[0,4]},"e":{"dtype":"I64","shape":[0,5],"data_offsets":[10,10]}}"#
    let model = try FileSystem.read(
      Example.write(Example.state(step: 20), in: RunFolder(folder + "/model")) + "/" + CheckpointName.model)
    let corpus = [Repair.lengthPrefix(header.utf8.count) + Array(header.utf8) + [UInt8](repeating: 7, count: 10), model]
    return FuzzTarget("safetensors", corpus: corpus, words: words, places: [path]) { input, random in
      put(random.chance(3, in: 4) ? Repair.safetensors(input) : input, path)
      let file = try SafeTensors(path)
      var end = 0
      for tensor in file.tensors {
        try require(tensor.range.lowerBound == end, "the tensors tile the data")
        end = tensor.range.upperBound
        if tensor.type == "F32" {
          try require(try file.floats(tensor.name).count == tensor.count, "a tensor has the elements of its shape")
        } else {
          do { _ = try file.floats(tensor.name) } catch let failure as ProgramFailure where failure.exitCode == .badData {}
        }
      }
      try require(end == file.data.count, "the tensors fill the data")
    }
  }

  private static func items(_ folder: String) -> FuzzTarget {
    let corpus = [
      ItemTable.encode(ids: Example.itemIDs, counts: Example.itemCounts),
      Array("id\texternal_id\tcount\n1\tx\t9\n2\ty\t8\n".utf8),
    ]
    return FuzzTarget("items.tsv", corpus: corpus, places: ["items.tsv"]) { input, _ in
      let (ids, counts) = try input.withUnsafeBytes { try ItemTable.decode($0, path: "items.tsv") }
      let again = try ItemTable.encode(ids: ids, counts: counts).withUnsafeBytes {
        try ItemTable.decode($0, path: "items.tsv")
      }
      try require(again.ids == ids && again.counts == counts, "items are read as they are written")
    }
  }

  /// The files `latest` and `best`.
  private static func pointers(_ folder: String) throws -> FuzzTarget {
    let run = RunFolder(folder + "/pointers")
    for step in [10, 20] { try Example.write(Example.state(step: step), in: run) }
    let corpus = ["step-00000010\n", "step-00000020", "step-123456789\n"].map { Array($0.utf8) }
    let words = ["../step-00000010", "step-00000010/..", "step-00000010/trainer.json", "step-", "00000010"]
    return FuzzTarget(
      "latest-and-best", corpus: corpus, words: words, codes: [.badData], places: [run.checkpointsPath]
    ) { input, random in
      let isBest = random.chance(1, in: 2)
      try FileSystem.removeRecursively(run.checkpointsPath + "/best")
      put(isBest ? Array("step-00000010\n".utf8) : input, run.checkpointsPath + "/latest")
      if isBest { put(input, run.checkpointsPath + "/best") }
      var lines: [String] = []
      let path = try RunFolder.open(run.path) { lines.append($0) }.path
      for line in lines { try requirePrintable(line) }
      let known = [10, 20].map { "\(run.checkpointsPath)/\(CheckpointName.folder(step: $0))" }
      try require(known.contains(path), "\(path) is a checkpoint of the run")
      // For the statistics.
      if let line = lines.first { throw ProgramFailure(.badData, line) }
    }
  }

  /// A folder without checksums, one file of it damaged: what is accepted can be copied whole.
  private static func huggingFaceFolder(_ folder: String) throws -> FuzzTarget {
    let path = try Example.write(Example.state(step: 20), in: RunFolder(folder + "/hugging-face"))
    for name in [CheckpointName.trainer, CheckpointName.optimizer] { try FileSystem.removeRecursively(path + "/" + name) }
    let names = [CheckpointName.modelConfiguration, CheckpointName.items, CheckpointName.model]
    let originals = try names.map { try FileSystem.read(path + "/" + $0) }
    return FuzzTarget("hugging-face-folder", corpus: originals, words: words, places: [path]) { input, random in
      for (name, original) in zip(names, originals) { put(original, path + "/" + name) }
      let place = random.below(names.count)
      put(names[place] == CheckpointName.model && random.chance(3, in: 4) ? Repair.safetensors(input) : input, path + "/" + names[place])
      let model = try InitialModel.open(path, withMoments: false) { _ in }
      try require(model.configuration.vocabularySize == model.itemIDs.count + 4, "the vocabulary is that of the items")
      for slot in ParameterLayout(model.configuration).slots {
        try require(model.parameter(slot).count == slot.count * 4, "\(slot.name) has the bytes of its shape")
      }
    }
  }

  /// A checkpoint of TensorFlow: one of its files is damaged, or the entries of its index, whose checksums are made right.
  private static func tensorFlow(_ title: String, _ folder: String) throws -> FuzzTarget {
    let checkpoint = try Example.write(Example.state(step: 20), in: RunFolder("\(folder)/\(title)-run"))
    let path = "\(folder)/\(title)"
    let reader = try CheckpointReader.open(checkpoint, withMoments: true)
    try FileSystem.removeRecursively(path)
    try ModelExport.writeTensorFlow(reader, to: path)
    let prefix = path + "/" + ModelExport.tensorFlowName(reader)
    let names = [prefix + ".index", prefix + ".data-00000-of-00001", path + "/bert_config.json", path + "/items.tsv"]
    let originals = try names.map { try FileSystem.read($0) }
    let isOfEntries = title == "tensorflow-index"
    let corpus = isOfEntries ? [Repair.firstBlock(ofTable: originals[0])] : originals
    let words = words + ["bert/embeddings/word_embeddings", "/adam_m", "global_step", "\u{8}\u{1}\u{12}"]
    // 64 where there are no moments to keep, 66 where the index names another file of data.
    return FuzzTarget(title, corpus: corpus, words: words, codes: [.badData, .usage, .unreadable], places: [path]) { input, random in
      for (name, original) in zip(names, originals) { put(original, name) }
      put(isOfEntries ? Repair.table(ofBlock: input) : input, isOfEntries ? names[0] : names[random.below(names.count)])
      let model = try InitialModel.open(prefix, withMoments: random.chance(1, in: 2)) { line in
        precondition(FuzzTarget.fault(ofLine: ProgramFailure(.badData, line).message) == nil, "the log is printable")
      }
      try require(model.configuration.vocabularySize == model.itemIDs.count + 4, "the vocabulary is that of the items")
      for slot in ParameterLayout(model.configuration).slots {
        try require(model.parameter(slot).count == slot.count * 4, "\(slot.name) has the bytes of its shape")
        guard let moments = model.moments(slot) else { continue }
        try require(moments.first.count == slot.count * 4 && moments.second.count == slot.count * 4, "moments of \(slot.name)'s shape")
      }
    }
  }

  /// metrics.jsonl is never refused: what cannot be read is removed and counted.
  private static func metrics(_ folder: String) -> FuzzTarget {
    let path = folder + "/metrics.jsonl"
    let text = (1...6).map { #"{"step":\#($0 * 10),"loss":6.5e-1,"parameter_hash":"0a","seconds":1.0}"# + "\n" }
    return FuzzTarget("metrics.jsonl", corpus: [Array(text.joined().utf8)], words: ["step"], codes: [], places: []) {
      input, random in
      let step = random.below(8) * 10
      put(input, path)
      let log = try MetricsLog(path, resumingAfter: step)
      try log.append([("step", .int(step)), ("loss", .double(.nan))])
      let kept = try FileSystem.read(path).split(separator: 0x0A, omittingEmptySubsequences: false)
      try require(kept.last?.isEmpty == true, "whole lines are kept")
      for line in kept.dropLast() {
        let lineStep = (try? JSON.parse(Array(line)))?["step"]?.int
        try require(lineStep.map { $0 <= step } ?? false, "lines of steps up to \(step) are kept")
      }
      let lineCount = input.count { $0 == 0x0A } + (input.isEmpty || input.last == 0x0A ? 0 : 1)
      try require(log.removedLines + kept.count - 2 == lineCount, "every line is kept or counted")
      try require(try MetricsLog(path, resumingAfter: step).removedLines == 0, "what was kept is kept again")
    }
  }
}
