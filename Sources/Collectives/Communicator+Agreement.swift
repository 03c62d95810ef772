import SystemSupport

/// What keeps the ranks together: results and failures that reach all of them, so that all go on or all leave with one
/// exit code.
extension Communicator {
  /// Rank 0's array on every rank; only rank 0's argument counts, and only rank 0 needs to know its length.
  public func broadcastArray<Element: BitwiseCopyable>(_ array: [Element]) throws(Failure) -> [Element] {
    var count = array.count
    try broadcastValue(&count)
    if rank == 0 {
      var own = array
      try broadcastElements(&own)
      return own
    }
    if count == 0 {
      // All empty arrays share one storage, which threads must not write.
      try broadcast(UnsafeMutableRawBufferPointer(start: nil, count: 0))
      return []
    }
    var problem: Failure?
    let received = [Element](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      do throws(Failure) {
        try broadcast(UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[..<count])))
        initializedCount = count
      } catch { problem = error }
    }
    if let problem { throw problem }
    return received
  }

  /// Array k of rank 0's, of which there is one per rank, on rank k; those of other ranks do not count.
  public func scatterArrays<Element: BitwiseCopyable>(_ arrays: [[Element]]) throws(Failure) -> [Element] {
    if size == 1 { return arrays[0] }
    let bytes = try scatter(rank == 0 ? arrays.map { array in array.withUnsafeBytes { Array($0) } } : [])
    let count = bytes.count / MemoryLayout<Element>.stride
    return [Element](unsafeUninitializedCapacity: count) { elements, initializedCount in
      UnsafeMutableRawBufferPointer(elements).copyBytes(from: bytes.prefix(count * MemoryLayout<Element>.stride))
      initializedCount = count
    }
  }

  /// Rank 0's text on every rank.
  public func broadcastText(_ text: String) throws(Failure) -> String {
    String(decoding: try broadcastArray(Array(text.utf8)), as: UTF8.self)
  }

  /// Rank 0 runs `work`, which makes no collective calls; the others wait without using their cores. Every rank returns
  /// rank 0's bytes, or throws rank 0's failure.
  public func fromRankZero(_ work: () throws(Failure) -> [UInt8]) throws(Failure) -> [UInt8] {
    var bytes: [UInt8] = []
    var failure: Failure?
    if rank == 0 {
      do throws(Failure) { bytes = try work() } catch { failure = error }
    }
    try waitForAll()
    var code = failure.map { Int($0.exitCode.rawValue) } ?? noFailure
    try broadcastValue(&code)
    if code != noFailure {
      throw shared(Failure(exitCode(code), try broadcastText(failure?.message ?? "")))
    }
    return try broadcastArray(bytes)
  }

  /// Rank 0 runs `work` for what it does, the others wait; a failure reaches all.
  public func onRankZero(_ work: () throws(Failure) -> Void) throws(Failure) {
    _ = try fromRankZero { () throws(Failure) in
      try work()
      return []
    }
  }

  /// Every rank brings its own failure, or nil. When there is any, all ranks throw that of the lowest rank that failed;
  /// its message names the rank and its host when it is not rank 0.
  public func agree(on failure: Failure?) throws(Failure) {
    // The usual case, no failure at all, costs one small message.
    var code = failure.map { Int($0.exitCode.rawValue) } ?? noFailure
    var codes = [Int](repeating: noFailure, count: size)
    try gatherEverywhere(&code, &codes)
    guard let first = codes.firstIndex(where: { $0 != noFailure }) else { return }
    var message = rank == first ? failure?.message ?? "" : ""
    if rank == first && rank != 0 { message = "rank \(rank) on \(hostName): \(message)" }
    let messages = try gather(Array(message.utf8))
    let text = String(decoding: try broadcastArray(rank == 0 ? messages[first] : []), as: UTF8.self)
    throw shared(Failure(exitCode(codes[first]), text))
  }

  /// Every rank runs `work`, which makes no collective calls. If it fails anywhere, it fails everywhere, as
  /// `agree(on:)` says.
  public func onEveryRank<R>(_ work: () throws(Failure) -> R) throws(Failure) -> R {
    var failure: Failure?
    var result: R?
    do throws(Failure) { result = try work() } catch { failure = error }
    try agree(on: failure)
    guard let result else { preconditionFailure("agree(on:) returns only when no rank failed") }
    return result
  }

  /// Refuses to go on unless every rank brings the same `value`. `what` names it: "the program's version".
  public func requireSame(_ what: String, _ value: String) throws(Failure) {
    let groups = try holders(of: value)
    try onRankZero { () throws(Failure) in
      guard groups.count > 1 else { return }
      throw Failure(
        .usage, "the ranks differ in \(what): \(groups.joined(separator: "; ")); make it the same on every host")
    }
  }

  /// Who brings which value, in the order of the lowest ranks: "'1.0' on rank 0 (node1)", ...; one where all bring the same.
  /// On rank 0; empty elsewhere.
  public func holders(of value: String) throws(Failure) -> [String] {
    var order: [String] = []
    var holders: [String: [String]] = [:]
    for (rank, bytes) in try gather(Array("\(hostName)\0\(value)".utf8)).enumerated() {
      let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
      let host = String(decoding: parts[0], as: UTF8.self)
      let value = String(decoding: parts.last ?? [], as: UTF8.self)
      if holders[value] == nil { order.append(value) }
      holders[value, default: []].append("\(rank) (\(host))")
    }
    return order.map { value in
      let ranks = holders[value] ?? []
      let rest = ranks.count > 3 ? " and \(ranks.count - 3) more" : ""
      return "'\(value)' on \(ranks.count == 1 ? "rank" : "ranks") \(ranks.prefix(3).joined(separator: ", "))\(rest)"
    }
  }

  /// Marks a failure that every rank throws at this point, each having come to it by itself.
  public func shared(_ failure: Failure) -> Failure {
    sharedFailure = failure
    return failure
  }

  /// The end of every run: prints the failure, if any, takes leave of the other ranks and gives the exit code to leave
  /// with.
  ///
  /// A failure that all ranks know is printed by rank 0 alone, and all ranks leave with its code. One that only this
  /// rank knows is printed here, and ends the whole run, since the other ranks would wait for this one for ever.
  public func finish(after failure: Failure? = nil) -> ExitCode {
    do throws(Failure) {
      if let failure {
        guard failure == sharedFailure || size == 1 else { throw failure }
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

  // MARK: - Parts

  private var noFailure: Int { -1 }

  private func exitCode(_ code: Int) -> ExitCode { Int32(exactly: code).flatMap(ExitCode.init) ?? .internalFault }

  private func broadcastValue(_ value: inout Int) throws(Failure) {
    var one = [value]
    try broadcastElements(&one)
    value = one[0]
  }

  private func broadcastElements<Element: BitwiseCopyable>(_ array: inout [Element]) throws(Failure) {
    try array.withUnsafeMutableBufferPointer { buffer throws(Failure) in
      try broadcast(UnsafeMutableRawBufferPointer(buffer))
    }
  }

  private func gatherEverywhere(_ value: inout Int, _ values: inout [Int]) throws(Failure) {
    let own = [value]
    try values.withUnsafeMutableBufferPointer { all throws(Failure) in
      try own.withUnsafeBufferPointer { one throws(Failure) in
        try allGather(UnsafeRawBufferPointer(one), into: UnsafeMutableRawBufferPointer(all))
      }
    }
  }
}
