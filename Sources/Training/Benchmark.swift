import BERT4RecModel
import CKernels
import Communication
import SystemSupport

/// Measures training steps as they are: the same code on the same data, but nothing is written.
package struct Benchmark {
  /// Steps that are not counted: caches, page faults, first allocations.
  package static let warmUpSteps = 3

  package struct Result: Sendable {
    package let ranks, threads, steps: Int
    /// Medians over the measured steps.
    package let secondsPerStep, fastestStep, slowestStep: Double
    package let instancesPerSecond, tokensPerSecond: Double
    /// Seconds per step of rank 0's first thread.
    package let phases: [(phase: StepPhase, seconds: Double)]
    /// Useful work, forward and backward (the cost model), per step.
    package let flopPerStep: Double
    /// One core's rate in OpenBLAS's 1024 x 1024 x 1024 product, all ranks at once.
    package let sgemmRate: Double
    /// Independent fused multiply-adds in registers, which is the processor's own limit; 0 without them.
    package let fmaPeak: Double
    package let backend: BackendChoice
    /// Largest resident memory of any rank, in bytes.
    package let peakMemory: Int
    /// Gradient buffer in bytes, seconds to sum it over the ranks as the step does, and a small message's seconds.
    package let gradientBytes: Int
    package let allreduceSeconds, latencySeconds: Double
    package let reduction: String
    /// Of rows of the table and their gradients, bytes per step and rank: touched by a rank's shards, and sent to other ranks; 0 with a
    /// loss that touches all rows.
    package let touchedRowBytes, sentRowBytes: Double
    /// Seconds per step of the updates that rows had not had when the last step was done: rank 0's time to do them all, over all steps.
    /// They belong to the steps, and are in none of them.
    package let deferredSeconds: Double
    /// Gradient shards, of which each rank or thread takes whole ones.
    package let shards: Int
    /// With the full loss over a sharded table.
    package let divided: DividedStep?

    /// Useful FLOP / s over what the cores could do by `sgemmRate`.
    package var utilisation: Double { flopPerStep / secondsPerStep / (sgemmRate * Double(ranks * threads)) }
  }

  /// Assumed where one rank cannot measure it: 10 Gbit/s and 50 us.
  package static let assumedBandwidth = 1.25e9
  package static let assumedLatency = 50e-6

  /// Every rank gets the result.
  package static func run(
    _ options: TrainingOptions, steps: Int, communicator: any Communicator, log: @escaping (String) -> Void
  ) throws(CollectiveFailure) -> Result {
    let (setup, state, step) = try prepare(options, RankContext(communicator, log: log))
    let probes = StepProbes(step, state, setup.configuration.loss, communicator)
    let rate = try sgemmRate(communicator)
    let peak = try mean(kernel_fma_rate(0.2), communicator)

    var times: [Double] = []
    var (tokens, masked, flop) = (0, 0, 0.0)
    var (touchedBytes, sentBytes) = (0, 0)
    for index in 0..<(warmUpSteps + steps) {
      if index == warmUpSteps {
        step.clock.reset()
        sentBytes = step.rowTraffic?.sent ?? 0
      }
      try communicator.waitForAll()
      let watch = Stopwatch()
      let result = try step()
      let seconds = watch.seconds
      guard result.loss.isFinite else {
        throw .onEveryRank(.internalFault, "step \(index + 1): the loss is \(result.loss)")
      }
      if index >= warmUpSteps {
        times.append(seconds)
        tokens += result.tokenCount
        masked += result.maskedCount
        flop += probes.usefulFlop
        touchedBytes += step.rowTraffic?.touched ?? 0
      }
    }
    sentBytes = (step.rowTraffic?.sent ?? 0) - sentBytes
    let phases = StepPhase.all.map { ($0, step.clock.seconds($0) / Double(steps)) }
    try communicator.waitForAll()
    let watch = Stopwatch()
    step.catchUpAll()
    let deferredSeconds = watch.seconds / Double(warmUpSteps + steps)
    let rows = try [touchedBytes, sentBytes].map { bytes throws(CollectiveFailure) in try mean(Double(bytes), communicator) / Double(steps)
    }
    times.sort()
    let median = times[times.count / 2]
    let network = try probes.measureReduction()
    return Result(
      ranks: communicator.size, threads: step.threadCount, steps: steps, secondsPerStep: median, fastestStep: times[0],
      slowestStep: times[times.count - 1], instancesPerSecond: Double(setup.configuration.batchSize) / median,
      tokensPerSecond: Double(tokens) / Double(steps) / median, phases: phases, flopPerStep: flop / Double(steps),
      sgemmRate: rate, fmaPeak: peak, backend: setup.configuration.backend, peakMemory: try communicator.allGather(peakMemory).max() ?? 0,
      gradientBytes: network.bytes,
      allreduceSeconds: network.seconds, latencySeconds: network.latency, reduction: step.reduction.methodDescription,
      touchedRowBytes: rows[0], sentRowBytes: rows[1], deferredSeconds: deferredSeconds,
      shards: setup.configuration.gradientShards,
      divided: divided(setup, state, rows: Double(masked) / Double(steps), tokens: Double(tokens) / Double(steps)))
  }

  private static func divided(_ setup: RunSetup, _ state: ModelState, rows: Double, tokens: Double) -> DividedStep? {
    guard setup.configuration.loss.kind == .full, state.table != nil else { return nil }
    return DividedStep(
      rows: rows, tokens: tokens, hidden: state.configuration.hiddenSize,
      tiles: VocabularyTile.count(vocabularySize: state.configuration.vocabularySize),
      besidesBytes: state.layout.besidesTable.count * MemoryLayout<Float>.stride)
  }

  /// A run's first step, ready to be measured.
  static func prepare(
    _ options: TrainingOptions, _ context: RankContext
  ) throws(CollectiveFailure) -> (setup: RunSetup, state: ModelState, step: TrainingStep) {
    let setup = try RunSetup(try RunSetup.configuration(context) { () throws(ProgramFailure) in try options.configuration() }, context)
    context.log(try MemoryCheck.run(MemoryPlan(.benchmark, setup, context.communicator), context.communicator))
    let state = try setup.makeState(context.communicator)
    try state.share(isInitial: true, seed: setup.configuration.seed, context.communicator)
    let step = try TrainingStep(
      state: state, configuration: setup.configuration, instances: setup.instances, threads: setup.threads, context: context)
    return (setup, state, step)
  }

  /// FLOP / s of one core in cblas_sgemm itself, whatever the backend: the best of several products, on all ranks at the same time.
  private static func sgemmRate(_ communicator: any Communicator) throws(CollectiveFailure) -> Double {
    let size = 1024
    let workspace = Workspace()
    let matrices = (0..<3).map { _ in Matrix(workspace.floats(size * size), size, size) }
    for index in 0..<(size * size) {
      matrices[0].base[index] = Float(index % 7) - 3
      matrices[1].base[index] = Float(index % 5) - 2
    }
    var best = Double.infinity
    try communicator.waitForAll()
    for _ in 0..<8 {
      let watch = Stopwatch()
      OpenBLASBackend.multiplySquares(
        UnsafePointer(matrices[0].base), UnsafePointer(matrices[1].base), into: matrices[2].base, size: size)
      best = min(best, watch.seconds)
    }
    return 2 * Double(size * size * size) / (try mean(best, communicator))
  }

  private static func mean(_ value: Double, _ communicator: any Communicator) throws(CollectiveFailure) -> Double {
    try communicator.allGather(value).reduce(0, +) / Double(communicator.size)
  }

  /// The high-water mark of this program's own memory; getrusage would count what its parent had when it started it.
  private static var peakMemory: Int {
    let status = (try? FileSystem.read("/proc/self/status", limit: 1 << 16)) ?? []
    let line = String(decoding: status, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return (line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0) * 1024
  }

  /// The CPU's name and how this process may use it.
  package static var machine: String {
    let information = (try? FileSystem.read("/proc/cpuinfo", limit: 1 << 20)) ?? []
    let lines = String(decoding: information, as: UTF8.self).split(separator: "\n")
    let name =
      lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last.map { $0.drop { $0 == " " } }
      ?? "unknown CPU"
    return "\(name), \(lines.count { $0.hasPrefix("processor") }) cores; rank 0 is bound to \(ThreadCount.coreList)"
  }
}

extension Benchmark.Result {
  /// Bytes / s of the reduction, counting each byte once; nil with one rank.
  package var bandwidth: Double? {
    ranks > 1 ? 2 * Double(gradientBytes) * Double(ranks - 1) / Double(ranks) / allreduceSeconds : nil
  }

  /// T(1) / (n T(n)) for n ranks of one thread, with T(n) = C ceil(G / n) / G + U + 2 B (n - 1) / (n W) + 2 L log2 n: C what one
  /// core needs for all shards, G shards, U norm and update (every rank does all of it), B bytes of gradient, W bandwidth, L latency.
  package func predictedEfficiency(ranks n: Int, bandwidth: Double, latency: Double) -> Double {
    if let divided { return predictedEfficiency(divided, ranks: n, bandwidth: bandwidth, latency: latency) }
    func seconds(_ phase: StepPhase) -> Double { phases.first { $0.phase == phase }?.seconds ?? 0 }
    let shared: [StepPhase] = [.embedding, .attention, .dense, .head, .treeSum, .batch]
    let compute = shared.reduce(0) { $0 + seconds($1) } * Double(ranks * threads)
    let update = seconds(.update) * Double(threads)
    let count = Double(n)
    let network =
      n == 1
      ? 0
      : 2 * Double(gradientBytes) * (count - 1) / (count * bandwidth) + 2 * latency
        * Double(n.bitWidth - (n - 1).leadingZeroBitCount)
    let time = compute * Double((shards + n - 1) / n) / Double(shards) + update + network
    return (compute + update) / (count * time)
  }
}
