import SystemSupport

/// A file's size and SHA-256 (hex), as trainer.json keeps them.
package struct FileRecord: Sendable, Equatable {
  package let sha256: String
  package let bytes: Int

  package init(sha256: String, bytes: Int) {
    self.sha256 = sha256
    self.bytes = bytes
  }
}

/// What a run needs besides parameters and moments to go on as if it had not stopped: trainer.json.
package struct TrainerState: Sendable, Equatable {
  /// The best validation so far.
  package struct Best: Sendable, Equatable {
    package var step: Int
    package var score: Double
    /// As in metrics.jsonl, such as "ndcg@10[full]".
    package var metric: String

    package init(step: Int, score: Double, metric: String) {
      self.step = step
      self.score = score
      self.metric = metric
    }
  }

  /// Rises when a reader of the old form would misread the new one.
  package static let formatVersion = 1

  /// Updates done.
  package var step: Int
  package var seed: UInt64
  package var best: Best?
  /// Steps, among `step`, that were skipped because their numbers were not finite.
  package var skippedSteps = 0
  /// Of training, in this and earlier starts; recorded where the run is limited in time, 0 elsewhere.
  package var trainedSeconds = 0.0
  /// `Dataset.name` and `Dataset.fingerprint`.
  package var dataName: String
  package var dataFingerprint: String
  /// Version of the constants that shape the arithmetic; a run is resumed under its own only.
  package var numericsVersion: Int
  package var programVersion: String
  /// What besides these decides the last bits, such as the processor where OpenBLAS multiplies: a run may be resumed under another, but
  /// not to the same bits. Empty in checkpoints of programs that did not record it.
  package var arithmetic: [String: String]
  /// The resolved run configuration.
  package var configuration: [String: String]
  /// The checkpoint or folder whose parameters the run began with (`init_checkpoint` may name a run folder); nil: random ones.
  package var initialModel: String?
  /// SHA-256 (hex) of the flat parameter buffer, which is the data section of model.safetensors. Set by the writer.
  package var parameterHash = ""
  /// The folder's other files. Set by the writer.
  package var files: [String: FileRecord] = [:]

  package init(
    step: Int, seed: UInt64, best: Best? = nil, skippedSteps: Int = 0, trainedSeconds: Double = 0, dataName: String,
    dataFingerprint: String, numericsVersion: Int,
    programVersion: String, arithmetic: [String: String] = [:], configuration: [String: String], initialModel: String? = nil
  ) {
    self.step = step
    self.seed = seed
    self.best = best
    self.skippedSteps = skippedSteps
    self.trainedSeconds = trainedSeconds
    self.dataName = dataName
    self.dataFingerprint = dataFingerprint
    self.numericsVersion = numericsVersion
    self.programVersion = programVersion
    self.arithmetic = arithmetic
    self.configuration = configuration
    self.initialModel = initialModel
  }
}

// MARK: - trainer.json

extension TrainerState {
  /// The last member is the SHA-256 of all text before its line: trainer.json holds the checksums of the other files,
  /// and nobody else would hold its own.
  private static let checksumKey = "  \"sha256\": \""

  /// The text of trainer.json.
  package func encoded() -> [UInt8] {
    var members = [
      JSON.Member("format_version", .integer(Self.formatVersion)),
      JSON.Member("step", .integer(step)),
      JSON.Member("seed", .integer(seed)),
    ]
    if let best {
      members.append(
        JSON.Member("best", ["step": .integer(best.step), "score": .double(best.score), "metric": .string(best.metric)]))
    }
    if skippedSteps > 0 { members.append(JSON.Member("skipped_steps", .integer(skippedSteps))) }
    if trainedSeconds > 0 { members.append(JSON.Member("trained_seconds", .double(trainedSeconds))) }
    if let initialModel { members.append(JSON.Member("initial_model", .string(initialModel))) }
    members += [
      JSON.Member("data_name", .string(dataName)),
      JSON.Member("data_fingerprint", .string(dataFingerprint)),
      JSON.Member("numerics_version", .integer(numericsVersion)),
      JSON.Member("program_version", .string(programVersion)),
      JSON.Member("parameter_hash", .string(parameterHash)),
      JSON.Member("arithmetic", .strings(arithmetic)),
      JSON.Member("configuration", .strings(configuration)),
      JSON.Member(
        "files",
        .object(
          files.sorted { $0.key < $1.key }.map { name, record in
            JSON.Member(name, ["bytes": .integer(record.bytes), "sha256": .string(record.sha256)])
          })),
    ]
    // The object's own end makes room for the checksum.
    let body = Array((JSON.object(members).pretty.dropLast(2) + ",\n").utf8)
    return body + Self.checksumLine(of: body)
  }

  private static func checksumLine(of body: [UInt8]) -> [UInt8] {
    Array("\(checksumKey)\(sha256Hex(body))\"\n}\n".utf8)
  }

  /// Of a checkpoint folder, without a look at its other files. Exit code 66 where trainer.json is not there or not readable.
  package static func read(_ checkpoint: String) throws(ProgramFailure) -> TrainerState {
    let path = checkpoint + "/" + CheckpointName.trainer
    guard FileSystem.kind(path) == .file else {
      throw ProgramFailure(
        .unreadable, "\(checkpoint) has no \(CheckpointName.trainer): not a checkpoint of this program, or an incomplete copy")
    }
    return try TrainerState(decoding: FileSystem.read(path, limit: 1 << 24), path: path)
  }

  /// Reads trainer.json; `path` is for the messages. Exit code 65 where it is damaged or newer than this program.
  package init(decoding bytes: [UInt8], path: String) throws(ProgramFailure) {
    let json: JSON
    do throws(JSONError) { json = try JSON.parse(bytes) } catch {
      throw ProgramFailure(.badData, "\(path) is damaged: \(error)")
    }
    guard let version = json["format_version"]?.int, version >= 1 else {
      throw ProgramFailure(.badData, "\(path) has no format_version: not a checkpoint of this program, or damaged")
    }
    guard version <= Self.formatVersion else {
      let writer = json["program_version"]?.string.map { " (\($0))" } ?? ""
      throw ProgramFailure(
        .badData,
        "\(path) has format_version \(version), this program reads up to \(Self.formatVersion): the checkpoint was "
          + "written by a newer program\(writer); use that one or a later one")
    }
    let body = Array(bytes.dropLast(Self.checksumLine(of: []).count))
    guard Array(bytes.dropFirst(body.count)) == Self.checksumLine(of: body) else {
      throw ProgramFailure(.badData, "\(path) is damaged or was changed: its checksum is wrong")
    }

    let fields = JSONFields(json, path: path)
    step = try fields.count("step")
    seed = try fields.unsigned("seed")
    if fields.has("best") {
      let best = try fields.fields("best")
      self.best = Best(step: try best.count("step"), score: try best.double("score"), metric: try best.string("metric"))
    }
    if fields.has("skipped_steps") { skippedSteps = try fields.count("skipped_steps") }
    if fields.has("trained_seconds") { trainedSeconds = try fields.size("trained_seconds") }
    dataName = try fields.string("data_name")
    dataFingerprint = try fields.string("data_fingerprint")
    numericsVersion = try fields.int("numerics_version")
    programVersion = try fields.string("program_version")
    parameterHash = try fields.string("parameter_hash")
    func texts(_ key: String) throws(ProgramFailure) -> [String: String] {
      try fields.each(key) { (texts, name) throws(ProgramFailure) in try texts.string(name) }
    }
    if fields.has("initial_model") { initialModel = try fields.string("initial_model") }
    arithmetic = fields.has("arithmetic") ? try texts("arithmetic") : [:]
    configuration = try texts("configuration")
    files = try fields.each("files") { (files, name) throws(ProgramFailure) in
      let record = try files.fields(name)
      return FileRecord(sha256: try record.string("sha256"), bytes: try record.int("bytes"))
    }
  }
}
