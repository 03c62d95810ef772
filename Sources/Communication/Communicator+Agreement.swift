import SystemSupport

/// What keeps the ranks together: results and failures that reach all of them, so that all go on or all leave with one
/// exit code.
extension Communicator {
  /// Rank 0 runs `work`, which makes no collective calls; the others wait without using their cores. Every rank returns
  /// rank 0's value, or throws rank 0's failure.
  package func fromRankZero<Value: Communicable>(
    _ work: () throws(ProgramFailure) -> Value
  ) throws(CollectiveFailure) -> Value {
    var outcome: Outcome<Value>?
    if rank == 0 {
      do throws(ProgramFailure) { outcome = .value(try work()) } catch { outcome = .failure(error) }
    }
    try waitForAll()
    switch try broadcast(outcome) {
    case .value(let value): return value
    case .failure(let failure): throw CollectiveFailure(failure, reach: .everyRank)
    }
  }

  /// Rank 0 runs `work`, which makes no collective calls, the others wait without using their cores; a failure reaches all. The result
  /// is on rank 0, nil elsewhere.
  @discardableResult
  package func onRankZero<R>(_ work: () throws(ProgramFailure) -> R) throws(CollectiveFailure) -> R? {
    var result: R?
    _ = try fromRankZero { () throws(ProgramFailure) in
      result = try work()
      return true
    }
    return result
  }

  /// Every rank brings its own failure, or nil. When there is any, all ranks throw that of the lowest rank that failed;
  /// its message names the rank and its host when it is not rank 0.
  package func agree(on failure: ProgramFailure?) throws(CollectiveFailure) {
    // The usual case, no failure at all, costs one small message.
    let failed = try ranks(where: failure != nil)
    guard let first = failed.first else { return }
    var own = failure
    if rank != 0, let failure { own = ProgramFailure(failure.exitCode, "rank \(rank) on \(hostName): \(failure.message)") }
    guard let shared = try allGather(own)[first] else { throw CollectiveFailure(MessageReader.damage, reach: .thisRank) }
    throw CollectiveFailure(shared, reach: .everyRank)
  }

  /// Every rank runs `work`, which makes no collective calls. If it fails anywhere, it fails everywhere, as
  /// `agree(on:)` says.
  package func onEveryRank<R>(_ work: () throws(ProgramFailure) -> R) throws(CollectiveFailure) -> R {
    var failure: ProgramFailure?
    var result: R?
    do throws(ProgramFailure) { result = try work() } catch { failure = error }
    try agree(on: failure)
    guard let result else { preconditionFailure("agree(on:) returns only when no rank failed") }
    return result
  }

  /// Refuses to go on unless every rank brings the same `value`. `what` names it: "the program's version".
  package func requireSame(_ what: String, _ value: String) throws(CollectiveFailure) {
    let groups = try holders(of: value)
    try onRankZero { () throws(ProgramFailure) in
      guard groups.count > 1 else { return }
      throw ProgramFailure(
        .usage, "the ranks differ in \(what): \(groups.joined(separator: "; ")); make it the same on every host")
    }
  }

  /// Who brings which value, in the order of the lowest ranks: "'1.0' on rank 0 (node1)", ...; one where all bring the same.
  /// On rank 0; empty elsewhere.
  package func holders(of value: String) throws(CollectiveFailure) -> [String] {
    var order: [String] = []
    var holders: [String: [Int]] = [:]
    for (rank, value) in try gather(value).enumerated() {
      if holders[value] == nil { order.append(value) }
      holders[value, default: []].append(rank)
    }
    return order.map { "'\($0)' on \(names(of: holders[$0] ?? []))" }
  }

  /// "rank 3 (node2)", "ranks 0 (node1), 1 (node1), 2 (node2) and 2 more".
  package func names(of ranks: [Int]) -> String {
    let shown = ranks.prefix(3).map { "\($0) (\(hosts[$0]))" }.joined(separator: ", ")
    return (ranks.count == 1 ? "rank " : "ranks ") + shown + (ranks.count > 3 ? " and \(ranks.count - 3) more" : "")
  }

  /// The end of every run: prints the failure, if any, takes leave of the other ranks and gives the exit code to leave
  /// with.
  ///
  /// A failure that all ranks throw is printed by rank 0 alone, and all ranks leave with its code. One that only this
  /// rank knows is printed here, and ends the whole run, since the other ranks would wait for this one for ever.
  public func finish(after failure: CollectiveFailure? = nil) -> ProgramExitCode {
    do throws(CollectiveFailure) {
      if let failure {
        guard failure.reach == .everyRank || size == 1 else { throw failure }
        // Before the leave-taking: mpirun ends the remaining ranks as soon as one has left with an exit code that is
        // not 0.
        if rank == 0 { printError("error: \(failure.message)") }
      }
      try finish()
      return failure?.exitCode ?? .success
    } catch {
      printError("error: \(size == 1 ? "" : "rank \(rank) on \(hostName): ")\(error.message)")
      abort(error.exitCode)
    }
  }
}

/// What came of rank 0's work.
private enum Outcome<Value: Communicable>: Communicable {
  case value(Value)
  case failure(ProgramFailure)

  func write(to message: inout MessageWriter) {
    switch self {
    case .value(let value):
      message.write(true)
      message.write(value)
    case .failure(let failure):
      message.write(false)
      message.write(failure)
    }
  }

  init(from message: inout MessageReader) throws(ProgramFailure) {
    self = try message.read(Bool.self) ? .value(try message.read()) : .failure(try message.read())
  }
}

extension ProgramExitCode: Communicable {}

extension ProgramFailure: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(exitCode)
    message.write(self.message)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    let exitCode = try message.read(ProgramExitCode.self)
    self.init(exitCode, try message.read(String.self))
  }
}
