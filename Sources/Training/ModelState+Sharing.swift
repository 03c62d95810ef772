import BERT4RecModel
import Checkpoints
import Communication
import SystemSupport

/// A state on several ranks, whole on each or with a table whose rows belong to them: how rank 0 reads and writes it for checkpoints, and
/// how it comes to all.
extension ModelState {
  /// The state to train from on every rank: the initial one, which each makes for itself, or rank 0's, which has loaded it.
  func share(isInitial: Bool, seed: UInt64, _ communicator: any Communicator) throws(CollectiveFailure) {
    if isInitial {
      (step, skippedSteps) = (0, 0)
      if let table {
        table.begin { initialize(seed: seed, elements: $0) }
        return
      }
      for buffer in [parameters, firstMoment, secondMoment] { buffer.update(repeating: 0) }
      initialize(seed: seed)
      return
    }
    step = try communicator.broadcast(step)
    skippedSteps = try communicator.broadcast(skippedSteps)
    for buffer in StateBuffer.allCases { try share(buffer, communicator) }
  }

  /// What rank 0 has of a buffer, on all ranks; of a sharded table its owners have got the rows already (`overwrite`).
  func share(_ buffer: StateBuffer, _ communicator: any Communicator) throws(CollectiveFailure) {
    let elements = elements(buffer)
    let shared = table == nil ? elements : UnsafeMutableBufferPointer(rebasing: elements[layout.besidesTable])
    try communicator.broadcastBytes(UnsafeMutableRawBufferPointer(shared))
  }

  /// Collective. Rank 0 runs `work`, in which it may `read` and `overwrite` this state, and makes no collective calls besides; the others
  /// wait without using their cores. Every rank returns rank 0's value, or throws rank 0's failure.
  func fromRankZero<Value: Communicable>(
    _ communicator: any Communicator, _ work: () throws(ProgramFailure) -> Value
  ) throws(CollectiveFailure) -> Value {
    if let table { return try table.fromRankZero(work) }
    return try communicator.fromRankZero(work)
  }

  /// On rank 0. Calls `take` with the whole buffer or, of a sharded table, with one part of it after the other.
  func read(_ buffer: StateBuffer, _ take: (UnsafeBufferPointer<Float>) throws(ProgramFailure) -> Void) throws(ProgramFailure) {
    guard let table else { return try take(UnsafeBufferPointer(elements(buffer))) }
    try table.read(buffer.rawValue, take)
  }

  /// On rank 0. Calls `fill`, which writes these elements of the buffer, for all of it: at once or, of a sharded table, part after part.
  func overwrite(_ buffer: StateBuffer, _ fill: (Range<Int>) throws(ProgramFailure) -> Void) throws(ProgramFailure) {
    guard let table else { return try fill(0..<layout.count) }
    try table.overwrite(buffer.rawValue, fill)
  }
}

/// What a checkpoint is written of, on rank 0 within the state's `fromRankZero`.
protocol SavedState {
  var step: Int { get }
  var skippedSteps: Int { get }

  func read(_ buffer: StateBuffer, _ take: (UnsafeBufferPointer<Float>) throws(ProgramFailure) -> Void) throws(ProgramFailure)
}

extension ModelState: SavedState {}

/// A copy of a state as it was: on rank 0 or, of a sharded table, the rows on their owners.
struct KeptState: SavedState {
  let step: Int
  let skippedSteps: Int
  private let source: Source

  private enum Source {
    case whole(ModelState)
    case rows(ShardedTable)
  }

  /// The memory of `former`, which is no longer wanted, is used again.
  init(_ state: ModelState, inPlaceOf former: KeptState?) throws(ProgramFailure) {
    (step, skippedSteps) = (state.step, state.skippedSteps)
    if let table = state.table {
      try table.keep()
      source = .rows(table)
    } else if case .whole(let copy) = former?.source {
      copy.copy(state)
      source = .whole(copy)
    } else {
      let copy = try ModelState(state.configuration)
      copy.copy(state)
      source = .whole(copy)
    }
  }

  func read(_ buffer: StateBuffer, _ take: (UnsafeBufferPointer<Float>) throws(ProgramFailure) -> Void) throws(ProgramFailure) {
    switch source {
    case .whole(let state): try state.read(buffer, take)
    case .rows(let table): try table.readKept(buffer.rawValue, take)
    }
  }
}
