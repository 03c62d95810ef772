import Communication
import SystemSupport

/// What a rank tells rank 0 after a round: its users' results in user order, or why it failed.
struct RoundResults {
  /// A failure, and the block that it happened in.
  struct BlockFailure {
    let block: Int
    let failure: ProgramFailure
  }

  private(set) var users: [UserResult] = []
  private(set) var failure: BlockFailure?

  /// The results of some blocks, ascending, or the failure of the first one that fails.
  init(blocks: [Int], _ results: [Result<[UserResult], ProgramFailure>]) {
    for (block, result) in zip(blocks, results) {
      switch result {
      case .success(let users): self.users += users
      case .failure(let failure):
        users = []
        self.failure = BlockFailure(block: block, failure: failure)
        return
      }
    }
  }
}

extension RoundResults: Communicable {
  func write(to message: inout MessageWriter) {
    message.write(users)
    message.write(failure)
  }

  init(from message: inout MessageReader) throws(ProgramFailure) {
    users = try message.read()
    failure = try message.read()
  }
}

extension RoundResults.BlockFailure: Communicable {
  func write(to message: inout MessageWriter) {
    message.write(block)
    message.write(failure)
  }

  init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(block: try message.read(), failure: try message.read())
  }
}

extension UserResult: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(user)
    message.write(label)
    message.write(outcomes)
    message.write(maskedItemLoss)
    message.write(isTopPrediction)
    message.write(topItems)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(
      user: try message.read(), label: try message.read(), outcomes: try message.read(), maskedItemLoss: try message.read(),
      isTopPrediction: try message.read(), topItems: try message.read())
  }
}

extension ProtocolOutcome: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(evaluationProtocol)
    message.write(rank)
    message.write(candidateCount)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(evaluationProtocol: try message.read(), rank: try message.read(), candidateCount: try message.read())
  }
}

extension EvaluationProtocol: Communicable {}
