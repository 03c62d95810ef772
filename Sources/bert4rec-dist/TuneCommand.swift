import ArgumentParser
import BERT4RecDist

/// `bert4rec-dist tune`
struct TuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tune",
    abstract: "Search for better settings: many short training runs, the best of them longer; alone or under mpirun.",
    discussion: """
      The space is a YAML file of configuration keys with the values to try, or a range:
        learning_rate: {from: 3e-4, to: 3e-3, scale: log}
        batch_size: [32, 64, 128]

      Trials are drawn at random (by the key seed); the first one has the configuration as it is. All train for a short time,
      the best third of them three times as long from the start, and so on. They are compared by the best validation of the
      key monitor; the test items are never looked at. The run folder gets trials.tsv, with each trial's curve, best.yaml, and a run
      folder per trial; interrupted, the same command resumes.

      \(CommandHelp.end(examples: ["bert4rec-dist tune --data ratings.csv --space space.yaml --budget 60"], saves: true))
      """)

  @Option(help: ArgumentHelp("The keys and values to search among, in YAML.", valueName: "file"), completion: .file())
  var space: String

  @Option(help: ArgumentHelp("Minutes of training, all trials together.", valueName: "minutes"))
  var budget = 60.0

  @Option(help: ArgumentHelp("Trials of the first rung.", valueName: "n"))
  var trials = 9

  @Option(
    help: ArgumentHelp("A recipe to begin with: \(TrainingOptions.recipes).", valueName: "name"),
    completion: CommandHelp.recipes)
  var recipe: String?

  @Option(help: ArgumentHelp("Configuration in YAML to begin with.", valueName: "file"), completion: .file())
  var config: String?

  @Option(help: ArgumentHelp("A prepared folder, or any file that prepare reads.", valueName: "path"), completion: .file())
  var data: String?

  @OptionGroup(title: "What the data are") var reading: FormatOptions

  @Option(
    name: .customLong("run"), help: ArgumentHelp("Folder of the search (default: runs/tune).", valueName: "folder"), completion: .directory)
  var runFolder: String?

  @OptionGroup var display: ProgressOptions

  @Option(help: ArgumentHelp("Threads per rank (default: the cores available to it).", valueName: "n"))
  var threads: Int?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("Set a configuration key for all trials; may be repeated.", valueName: "key=value"), completion: CommandHelp.keys)
  var settings: [String] = []

  func validate() throws {
    if !(budget > 0 && budget < 1e7) { throw ValidationError("--budget must be above 0 minutes.") }
    if !(1...10_000).contains(trials) { throw ValidationError("--trials must be from 1 to 10000.") }
  }

  func run() throws {
    var options = TuningOptions()
    options.training.recipe = recipe
    options.training.configurationFile = config
    options.training.data = data
    options.training.runFolder = runFolder
    options.training.threads = threads
    options.training.settings = settings + reading.settings
    options.space = space
    options.budget = budget
    options.trials = trials
    Ranks.withCommunicator(showing: display.mode) { (communicator) throws(CollectiveFailure) in
      try TuningRun(options, communicator: communicator).run() == .stopped ? .stopped : .success
    }
  }
}
