import SystemSupport

/// What a rank tells rank 0 after a round: its users' results in user order, or why it failed.
///
/// Bytes, in the machine's order (ranks run the same program): exit code (0: fine) and block of the failure as Int64;
/// then the failure's text, or a record a user.
struct ResultMessage {
  private(set) var bytes: [UInt8] = []

  /// The results of some blocks, ascending, or the failure of the first one that fails.
  init(blocks: [Int], _ results: [Result<[UserResult], Failure>]) {
    append(Int64(0), Int64(0))
    for (block, result) in zip(blocks, results) {
      switch result {
      case .success(let users): for user in users { append(user) }
      case .failure(let failure):
        bytes = []
        append(Int64(failure.exitCode.rawValue), Int64(block))
        bytes += Array(failure.message.utf8)
        return
      }
    }
  }

  private mutating func append(_ result: UserResult) {
    append(Int64(result.user), Int64(result.label))
    append(result.maskedItemLoss, result.isTopPrediction ? Int64(1) : 0)
    for outcome in result.outcomes { append(outcome.rank, Int64(outcome.candidateCount)) }
    append(Int32(result.topItems.count), Int32(0))
    for item in result.topItems { append(item) }
  }

  private mutating func append<each T: BitwiseCopyable>(_ values: repeat each T) {
    for value in repeat each values { withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) } }
  }
}

/// Reads one rank's message.
struct ResultReader {
  private let bytes: [UInt8]
  private var place = 0
  /// The rank's failure, and the block it happened in.
  let failure: (block: Int, failure: Failure)?

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    let code = Self.read(bytes, at: 0, as: Int64.self)
    let block = Self.read(bytes, at: 8, as: Int64.self)
    place = 16
    failure =
      code == 0
      ? nil
      : (
        Int(block),
        Failure(
          ExitCode(rawValue: Int32(truncatingIfNeeded: code)) ?? .internalFault,
          String(decoding: bytes[16...], as: UTF8.self))
      )
  }

  mutating func next(_ protocols: [EvaluationProtocol]) -> UserResult {
    let user = next(Int64.self)
    let label = next(Int64.self)
    let loss = next(Double.self)
    let isTop = next(Int64.self) == 1
    var outcomes: [ProtocolOutcome] = []
    for evaluationProtocol in protocols {
      let rank = next(Double.self)
      outcomes.append(
        ProtocolOutcome(
          evaluationProtocol: evaluationProtocol, rank: rank, candidateCount: Int(next(Int64.self))))
    }
    let topCount = next(Int32.self)
    _ = next(Int32.self)
    let topItems = (0..<topCount).map { _ in next(Int32.self) }
    return UserResult(
      user: Int(user), label: Int32(label), outcomes: outcomes, maskedItemLoss: loss, isTopPrediction: isTop,
      topItems: topItems)
  }

  private mutating func next<T: BitwiseCopyable>(_ type: T.Type) -> T {
    defer { place += MemoryLayout<T>.size }
    return Self.read(bytes, at: place, as: type)
  }

  private static func read<T: BitwiseCopyable>(_ bytes: [UInt8], at place: Int, as type: T.Type) -> T {
    bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: type) }
  }
}
