import ArgumentParser
import BERT4RecDist

/// `bert4rec-dist export`
struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write a trained model for other programs.",
    discussion: """
      With --npy: item_embeddings.npy (items, hidden) and item_bias.npy (items), float32, and items.tsv, whose rows are in the same \
      order. With --hugging-face: config.json and model.safetensors, which BertForMaskedLM loads, and items.tsv. With --tensorflow: \
      a checkpoint model.ckpt-STEP with Adam's moments, which the original BERT4Rec restores from its checkpointDir, and \
      bert_config.json and items.tsv. A folder must not be there yet.

      \(CommandHelp.end(examples: [
        "bert4rec-dist export --checkpoint runs/r --npy vectors --hugging-face model",
        "bert4rec-dist export --checkpoint runs/r --tensorflow checkpoint",
      ]))
      """)

  @Option(
    help: ArgumentHelp(
      "A checkpoint folder, or a run folder (its best whole checkpoint, else its latest).", valueName: "folder"))
  var checkpoint: String

  @Option(help: ArgumentHelp("Where to write the items' embeddings and biases for NumPy.", valueName: "folder"))
  var npy: String?

  @Option(help: ArgumentHelp("Where to write the model for Hugging Face's transformers.", valueName: "folder"))
  var huggingFace: String?

  @Option(
    name: .customLong("tensorflow"),
    help: ArgumentHelp("Where to write a checkpoint for the original's TensorFlow code.", valueName: "folder"))
  var tensorFlow: String?

  private var targets: [String] { [npy, huggingFace, tensorFlow].compactMap(\.self) }

  func validate() throws {
    if targets.isEmpty { throw ValidationError("Give --npy, --hugging-face or --tensorflow: what to write, and where.") }
    let distinct = Set(targets.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 })
    if distinct.count < targets.count { throw ValidationError("Give each export a folder of its own.") }
  }

  func run() throws {
    Ranks.withCommunicator { (communicator) throws(CollectiveFailure) in
      try communicator.onRankZero { () throws(ProgramFailure) in
        // Before the work, so that nothing is written where something else would be refused.
        for target in targets { try NewFolder.checkTarget(target) }
        let model = try RunFolder.open(checkpoint, withMoments: tensorFlow != nil, log: { printError($0) })
        if let npy { try ModelExport.writeArrays(model, to: npy) }
        if let huggingFace { try ModelExport.writeHuggingFace(model, to: huggingFace) }
        if let tensorFlow { try ModelExport.writeTensorFlow(model, to: tensorFlow) }
        let written = targets.joined(separator: " and ")
        printError("\(model.path): step \(model.state.step), \(model.itemIDs.count) items, written to \(written)")
      }
      return .success
    }
  }
}
