import ArgumentParser
import BERT4RecDist

/// `bert4rec-dist bench`
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure training steps on this machine and data; alone or under mpirun. Writes nothing.",
    discussion: """
      Utilisation is useful work (the cost model in docs/benchmarks.md) over what the used cores could do at the rate of a
      1024 x 1024 x 1024 product measured in the same run. Without --data and --config it measures the demo.

      \(CommandHelp.end(examples: ["bert4rec-dist bench --config configs/ml-1m-64.yaml --data ml-1m.zip"]))
      """)

  @Option(help: ArgumentHelp("Configuration in YAML; configs/ has recipes.", valueName: "file"), completion: .file())
  var config: String?

  @Option(help: ArgumentHelp("A prepared folder, or any file that prepare reads.", valueName: "path"), completion: .file())
  var data: String?

  @Option(help: ArgumentHelp("Steps to measure, after \(Benchmark.warmUpSteps) that are not.", valueName: "n"))
  var steps = 10

  @Option(help: ArgumentHelp("Threads per rank (default: the cores available to it).", valueName: "n"))
  var threads: Int?

  @Option(
    name: .customLong("set"), help: ArgumentHelp("Set a configuration key; may be repeated.", valueName: "key=value"),
    completion: CommandHelp.keys)
  var settings: [String] = []

  @Flag(help: "Print one JSON object as the last line of standard output.")
  var json = false

  func validate() throws {
    if steps < 1 { throw ValidationError("--steps must be at least 1.") }
  }

  func run() throws {
    var options = TrainingOptions()
    options.configurationFile = config
    options.data = data
    options.threads = threads
    options.settings = settings
    Ranks.withCommunicator { (communicator) throws(CollectiveFailure) in
      let isRoot = communicator.rank == 0
      let result = try Benchmark.run(options, steps: steps, communicator: communicator) { if isRoot { printError($0) } }
      if isRoot { json ? printJSON(result) : printTable(result) }
      return .success
    }
  }

  private func printTable(_ result: Benchmark.Result) {
    func row(_ name: String, _ value: String) { print(name + String(repeating: " ", count: max(0, 22 - name.count)) + value) }
    func number(_ value: Double, _ digits: Int = 1) -> String { DecimalText.fixed(value, digits) }
    row("machine", Benchmark.machine)
    row("backend", ProgramVersion.arithmetic(result.backend))
    row("ranks x threads", "\(result.ranks) x \(result.threads)")
    row("gradients", result.reduction)
    row("sgemm", "\(number(result.sgemmRate / 1e9)) GFLOP/s per core (OpenBLAS, 1024 x 1024 x 1024)")
    if result.fmaPeak > 0 { row("FMA peak", "\(number(result.fmaPeak / 1e9)) GFLOP/s per core (in registers)") }
    row("instances", "\(number(result.instancesPerSecond)) /s")
    row("tokens", "\(number(result.tokensPerSecond, 0)) /s")
    row(
      "step",
      "\(number(1e3 * result.secondsPerStep)) ms, median of \(result.steps) "
        + "(\(number(1e3 * result.fastestStep)) to \(number(1e3 * result.slowestStep)))")
    for (phase, seconds) in result.phases {
      row("  \(phase.name)", "\(number(1e3 * seconds, 2)) ms")
    }
    if result.deferredSeconds > 1e-6 {
      row("deferred updates", "\(number(1e3 * result.deferredSeconds)) ms a step besides, when rows are read again or saved")
    }
    row(
      "useful work",
      "\(number(result.flopPerStep / 1e9, 2)) GFLOP a step, \(number(result.flopPerStep / result.secondsPerStep / 1e9)) GFLOP/s"
    )
    row("utilisation", "\(number(100 * result.utilisation)) %")
    row("peak memory", "\(number(Double(result.peakMemory) / 1_048_576)) MiB a rank")
    if result.ranks > 1 {
      row(
        "allreduce",
        "\(number(Double(result.gradientBytes) / 1_048_576)) MiB in \(number(1e3 * result.allreduceSeconds, 2)) ms "
          + "(\(number(Double(result.gradientBytes) / result.allreduceSeconds / 1e9, 2)) GB/s); "
          + "64 bytes in \(number(1e6 * result.latencySeconds)) us")
    }
    if result.ranks > 1 && result.touchedRowBytes > 0 {
      row(
        "rows",
        "\(number(result.touchedRowBytes / 1_048_576, 2)) MiB touched and \(number(result.sentRowBytes / 1_048_576, 2)) MiB sent a step and "
          + "rank (\(number(result.sentRowBytes / result.touchedRowBytes, 2))x)")
    }
    let (bandwidth, latency) = (
      result.bandwidth ?? Benchmark.assumedBandwidth,
      result.ranks > 1 ? result.latencySeconds : Benchmark.assumedLatency
    )
    let counts = [2, 4, 8, 16, 32].filter { $0 <= result.shards }
    row(
      "predicted efficiency",
      counts.map { ranks in
        let efficiency = result.predictedEfficiency(ranks: ranks, bandwidth: bandwidth, latency: latency)
        return "\(ranks) ranks \(number(100 * efficiency, 0)) %"
      }.joined(separator: ", "))
    row(
      "",
      "from \(number(bandwidth / 1e9, 2)) GB/s and \(number(1e6 * latency)) us, "
        + (result.ranks > 1 ? "measured here" : "assumed: run it under mpirun to measure"))
  }

  private func printJSON(_ result: Benchmark.Result) {
    var fields: [(String, JSON)] = [
      ("ranks", .integer(result.ranks)), ("threads", .integer(result.threads)), ("steps", .integer(result.steps)),
      ("instances_per_s", .double(result.instancesPerSecond)), ("tokens_per_s", .double(result.tokensPerSecond)),
      ("ms_per_step", .double(1e3 * result.secondsPerStep)), ("ms_per_step_min", .double(1e3 * result.fastestStep)),
      ("ms_per_step_max", .double(1e3 * result.slowestStep)), ("gflop_per_step", .double(result.flopPerStep / 1e9)),
      ("utilisation", .double(result.utilisation)), ("sgemm_gflops", .double(result.sgemmRate / 1e9)),
      ("fma_peak_gflops", .double(result.fmaPeak / 1e9)), ("backend", .string(result.backend.rawValue)),
      ("peak_mib", .double(Double(result.peakMemory) / 1_048_576)), ("gradient_bytes", .integer(result.gradientBytes)),
      ("reduction_ms", .double(1e3 * result.allreduceSeconds)), ("latency_us", .double(1e6 * result.latencySeconds)),
    ]
    if result.touchedRowBytes > 0 {
      fields += [("touched_row_bytes", .double(result.touchedRowBytes)), ("sent_row_bytes", .double(result.sentRowBytes))]
    }
    if result.deferredSeconds > 1e-6 { fields.append(("deferred_ms_per_step", .double(1e3 * result.deferredSeconds))) }
    for phase in result.phases { fields.append(("\(phase.phase.name)_ms", .double(1e3 * phase.seconds))) }
    print(JSON.object(fields.map { JSON.Member($0.0, $0.1) }).line)
  }
}
