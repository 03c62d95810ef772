import ArgumentParser
import BERT4RecDist

/// `bert4rec-dist train`
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train a model; alone or under mpirun. Goes on from the run folder's newest checkpoint.",
    discussion: """
      With none of --data, --recipe and --config it trains on a built-in demo data set with settings of its own.

      The run folder gets config.yaml, metrics.jsonl and checkpoints/, which load with Hugging Face's BertForMaskedLM. \
      Only rank 0's host needs the data, the configuration and the run folder. The result is the same, bit for bit, on any \
      number of ranks and threads. SIGUSR1, SIGTERM, SIGINT and SIGHUP save and stop with exit code 75; SIGUSR2 saves and \
      continues. The same command, or --run alone, resumes the run: what is not given is as its config.yaml says.

      Configuration keys, for --config (lines `key: value`) and --set (the defaults stand in brackets):
      \(Self.keys)

      \(CommandHelp.end(
        examples: [
          "mpirun -np 8 bert4rec-dist train --data ratings.csv", "bert4rec-dist train --run runs/ratings",
          "bert4rec-dist train --data d --config bert_config.json --set holdout=test",
          "bert4rec-dist train --data d --tfrecord 'r/*.train.tfrecord' --recipe ml-1m",
        ], saves: true))
      """)

  private static var keys: String {
    let defaults = RunSettings().values
    return ConfigurationKey.all.map { key in
      let value = defaults[key.name] ?? ""
      return "  \(key.name) [\(value.isEmpty ? "none" : value)]: \(key.help)"
    }.joined(separator: "\n")
  }

  @Option(
    help: ArgumentHelp("One of the program's recipes: \(TrainingOptions.recipes).", valueName: "name"),
    completion: CommandHelp.recipes)
  var recipe: String?

  @Option(
    help: ArgumentHelp(
      "Configuration in YAML, or the original's bert_config in JSON; its values win over a recipe's.", valueName: "file"),
    completion: .file())
  var config: String?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "A prepared folder, or any files that prepare reads, which are one data set (- is standard input).", valueName: "path"),
    completion: .file())
  var data: [String] = []

  @OptionGroup(title: "What the data are") var reading: FormatOptions

  @Option(
    name: .customLong("tfrecord"),
    help: ArgumentHelp(
      "Train on the masked instances of these TFRecord files of the original's (a pattern, or several with commas between), as they are; "
        + "items.tsv stands beside them, and --data is what they were made of.", valueName: "pattern"),
    completion: .file(extensions: ["tfrecord"]))
  var recordedInstances: String?

  @Option(
    help: ArgumentHelp(
      "Train on what is before this time and test on what users did from then on, in place of each user's last item: 2014-07-23, "
        + "2014-07-23T10:00:00Z or an epoch.", valueName: "time"))
  var splitTime: String?

  @Option(
    name: .customLong("run"),
    help: ArgumentHelp(
      "Run folder, new or to be resumed with its own settings (default: runs/NAME, NAME from the data set).", valueName: "folder"),
    completion: .directory)
  var runFolder: String?

  @Option(
    help: ArgumentHelp(
      "auto: from the newest good checkpoint of the run folder; never: only where there is none; or a checkpoint.",
      valueName: "auto|never|checkpoint"))
  var resume = "auto"

  @Option(
    help: ArgumentHelp(
      "Begin a new run with the parameters of this model, by the items' ids: a checkpoint, a run folder, a Hugging Face folder "
        + "with items.tsv, or the prefix of a TensorFlow checkpoint (model.ckpt-1000) with bert_config.json and items.tsv beside it. "
        + "A run that has checkpoints of its own resumes from them.",
      valueName: "folder"), completion: .file())
  var initCheckpoint: String?

  @Flag(help: "With --init-checkpoint, keep Adam's moments of the rows that it knows; else all start at zero.")
  var keepMoments = false

  @Flag(
    help: "Read everything, measure a few steps, say what the run would take (time, memory, disk), and write nothing.")
  var dryRun = false

  @OptionGroup var display: ProgressOptions

  @Flag(help: "A line per report (report_steps), and the original's line of metrics per validation and protocol.")
  var verbose = false

  @Option(help: ArgumentHelp("Threads per rank (default: the cores available to it).", valueName: "n"))
  var threads: Int?

  @Flag(help: "Write reports and evaluations for TensorBoard, too (tensorboard --logdir FOLDER): into tensorboard/ of the run folder.")
  var tensorboard = false

  @Option(help: ArgumentHelp("Save and stop after this step, with exit code 75.", valueName: "step"))
  var stopAfter: Int?

  @Option(
    name: .customLong("set"), help: ArgumentHelp("Set a configuration key; may be repeated.", valueName: "key=value"),
    completion: CommandHelp.keys)
  var settings: [String] = []

  func validate() throws {
    if let stopAfter, stopAfter < 1 { throw ValidationError("--stop-after must be at least 1.") }
  }

  func run() throws {
    var options = TrainingOptions()
    options.recipe = recipe
    options.configurationFile = config
    options.data = data.isEmpty ? nil : InputPaths.joined(data)
    options.splitTime = splitTime
    options.recordedInstances = recordedInstances
    options.runFolder = runFolder
    options.resume = ResumeMode(resume)
    options.initialCheckpoint = initCheckpoint
    options.keepsMoments = keepMoments
    options.threads = threads
    options.stopAfter = stopAfter
    options.settings = settings + reading.settings + (tensorboard ? ["tensorboard=true"] : [])
    options.lines = verbose ? .everyReport : display.lines
    Ranks.withCommunicator(showing: display.mode) { (communicator) throws(CollectiveFailure) in
      if dryRun {
        let progress = try Ranks.watch(communicator, limit: 300)
        progress.enter(.data)
        try DryRun.run(options, communicator: communicator)
        return .success
      }
      return try TrainingRun(options, communicator: communicator).run() == .stopped ? .stopped : .success
    }
  }
}
