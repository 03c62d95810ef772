import SystemSupport

/// A file's size and SHA-256 (hex), as trainer.json keeps them.
public struct FileRecord: Sendable, Equatable {
  public let sha256: String
  public let bytes: Int

  public init(sha256: String, bytes: Int) {
    self.sha256 = sha256
    self.bytes = bytes
  }
}

/// What a run needs besides parameters and moments to go on as if it had not stopped: trainer.json.
public struct TrainerState: Sendable, Equatable {
  /// The best validation so far.
  public struct Best: Sendable, Equatable {
    public var step: Int
    public var score: Double
    /// As in metrics.jsonl, such as "ndcg@10[full]".
    public var metric: String

    public init(step: Int, score: Double, metric: String) {
      self.step = step
      self.score = score
      self.metric = metric
    }
  }

  /// Rises when a reader of the old form would misread the new one.
  public static let formatVersion = 1

  /// Updates done.
  public var step: Int
  public var seed: UInt64
  public var best: Best?
  /// Steps, among `step`, that were skipped because their numbers were not finite.
  public var skippedSteps = 0
  /// Of training, in this and earlier starts; recorded where the run is limited in time, 0 elsewhere.
  public var trainedSeconds = 0.0
  /// `Dataset.name` and `Dataset.fingerprint`.
  public var dataName: String
  public var dataFingerprint: String
  /// Version of the constants that shape the arithmetic; a run is resumed under its own only.
  public var numericsVersion: Int
  public var programVersion: String
  /// What besides these decides the last bits, such as the processor where OpenBLAS multiplies: a run may be resumed under another, but
  /// not to the same bits. Empty in checkpoints of programs that did not record it.
  public var arithmetic: [String: String]
  /// The resolved run configuration.
  public var configuration: [String: String]
  /// The checkpoint or folder whose parameters the run began with (`init_checkpoint` may name a run folder); nil: random ones.
  public var initialModel: String?
  /// SHA-256 (hex) of the flat parameter buffer, which is the data section of model.safetensors. Set by the writer.
  public package(set) var parameterHash = ""
  /// The folder's other files. Set by the writer.
  public package(set) var files: [String: FileRecord] = [:]

  public init(
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
        JSON.Member(
          "best",
          .object([
            JSON.Member("step", .integer(best.step)), JSON.Member("score", .double(best.score)),
            JSON.Member("metric", .string(best.metric)),
          ])))
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
      JSON.Member("arithmetic", Self.object(arithmetic)),
      JSON.Member("configuration", Self.object(configuration)),
      JSON.Member(
        "files",
        .object(
          files.sorted { $0.key < $1.key }.map { name, record in
            JSON.Member(
              name,
              .object([JSON.Member("bytes", .integer(record.bytes)), JSON.Member("sha256", .string(record.sha256))]))
          })),
    ]
    // The object's own end makes room for the checksum.
    let body = Array((JSON.object(members).pretty.dropLast(2) + ",\n").utf8)
    return body + Self.checksumLine(of: body)
  }

  private static func object(_ values: [String: String]) -> JSON {
    .object(values.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .string($0.value)) })
  }

  private static func checksumLine(of body: [UInt8]) -> [UInt8] {
    Array("\(checksumKey)\(sha256Hex(body))\"\n}\n".utf8)
  }

  /// Of a checkpoint folder, without a look at its other files. Exit code 66 where trainer.json is not there or not readable.
  package static func read(_ checkpoint: String) throws(Failure) -> TrainerState {
    let path = checkpoint + "/" + CheckpointName.trainer
    guard FileSystem.kind(path) == .file else {
      throw Failure(
        .unreadable, "\(checkpoint) has no \(CheckpointName.trainer): not a checkpoint of this program, or an incomplete copy")
    }
    return try TrainerState(decoding: FileSystem.read(path, limit: 1 << 24), path: path)
  }

  /// Reads trainer.json; `path` is for the messages. Exit code 65 where it is damaged or newer than this program.
  package init(decoding bytes: [UInt8], path: String) throws(Failure) {
    let json: JSON
    do throws(JSONError) { json = try JSON.parse(bytes) } catch {
      throw Failure(.badData, "\(path) is damaged: \(error)")
    }
    guard let version = json["format_version"]?.int, version >= 1 else {
      throw Failure(.badData, "\(path) has no format_version: not a checkpoint of this program, or damaged")
    }
    guard version <= Self.formatVersion else {
      let writer = json["program_version"]?.string.map { " (\($0))" } ?? ""
      throw Failure(
        .badData,
        "\(path) has format_version \(version), this program reads up to \(Self.formatVersion): the checkpoint was "
          + "written by a newer program\(writer); use that one or a later one")
    }
    let body = Array(bytes.dropLast(Self.checksumLine(of: []).count))
    guard Array(bytes.dropFirst(body.count)) == Self.checksumLine(of: body) else {
      throw Failure(.badData, "\(path) is damaged or was changed: its checksum is wrong")
    }

    func field<T>(_ key: String, _ value: T?) throws(Failure) -> T {
      guard let value else { throw Failure(.badData, "\(path): \"\(key)\" is missing or not of its type") }
      return value
    }
    step = try field("step", json["step"]?.int.flatMap { $0 >= 0 ? $0 : nil })
    seed = try field("seed", json["seed"]?.unsigned)
    if let value = json["best"] {
      best = Best(
        step: try field("best.step", value["step"]?.int.flatMap { $0 >= 0 ? $0 : nil }),
        // JSON has numbers that are too large for a Double.
        score: try field("best.score", value["score"]?.double.flatMap { $0.isFinite ? $0 : nil }),
        metric: try field("best.metric", value["metric"]?.string))
    }
    if let value = json["skipped_steps"] {
      skippedSteps = try field("skipped_steps", value.int.flatMap { $0 >= 0 ? $0 : nil })
    }
    if let value = json["trained_seconds"] {
      trainedSeconds = try field("trained_seconds", value.double.flatMap { $0 >= 0 && $0.isFinite ? $0 : nil })
    }
    if let value = json["initial_model"] { initialModel = try field("initial_model", value.string) }
    dataName = try field("data_name", json["data_name"]?.string)
    dataFingerprint = try field("data_fingerprint", json["data_fingerprint"]?.string)
    numericsVersion = try field("numerics_version", json["numerics_version"]?.int)
    programVersion = try field("program_version", json["program_version"]?.string)
    parameterHash = try field("parameter_hash", json["parameter_hash"]?.string)
    func texts(_ key: String, _ members: [JSON.Member]?) throws(Failure) -> [String: String] {
      var texts: [String: String] = [:]
      for member in try field(key, members) { texts[member.key] = try field("\(key).\(member.key)", member.value.string) }
      return texts
    }
    arithmetic = try json["arithmetic"].map { value throws(Failure) in try texts("arithmetic", value.members) } ?? [:]
    configuration = try texts("configuration", json["configuration"]?.members)
    for member in try field("files", json["files"]?.members) {
      files[member.key] = FileRecord(
        sha256: try field("files.\(member.key).sha256", member.value["sha256"]?.string),
        bytes: try field("files.\(member.key).bytes", member.value["bytes"]?.int))
    }
  }
}

extension JSON {
  fileprivate var unsigned: UInt64? {
    guard case .number(let text) = self else { return nil }
    return UInt64(text)
  }
}
