import BERT4RecModel
import InteractionData
import SystemSupport

/// A checkpoint's model in folders for other programs. Each is new, and complete or not there.
package enum ModelExport {
  package static let embeddings = "item_embeddings.npy"
  package static let bias = "item_bias.npy"

  /// Writes the items' rows of the embedding table, (items, hidden), and of the output bias, (items), for NumPy, and `items.tsv`, whose
  /// line i + 2 says whose row i is. A score of the model is its transformed hidden state times the item's row, plus the item's bias.
  ///
  /// Exit code 64 where something stands at the path, 74 where the disk does not take it; nothing half-written stays.
  package static func writeArrays(_ checkpoint: CheckpointReader, to folder: String) throws(ProgramFailure) {
    let (count, hidden) = (checkpoint.itemIDs.count, checkpoint.configuration.hiddenSize)
    try NewFolder.write(folder) { folder throws(ProgramFailure) in
      try NumPyFile.write(
        folder + "/" + embeddings, shape: [count, hidden],
        items(checkpoint, "bert.embeddings.word_embeddings.weight", rowBytes: hidden * MemoryLayout<Float>.size))
      try NumPyFile.write(
        folder + "/" + bias, shape: [count], items(checkpoint, "cls.predictions.bias", rowBytes: MemoryLayout<Float>.size))
      try writeItems(checkpoint, to: folder)
    }
  }

  /// Writes what Hugging Face's `BertForMaskedLM` loads, `config.json` and `model.safetensors`, and `items.tsv`: the files of a
  /// checkpoint without those that only training needs.
  ///
  /// Fails as `writeArrays` does.
  package static func writeHuggingFace(_ checkpoint: CheckpointReader, to folder: String) throws(ProgramFailure) {
    let mask = TokenIDs(itemCount: checkpoint.itemIDs.count).mask
    let parameters = UnsafeMutableBufferPointer<Float>.allocate(capacity: checkpoint.layout.count)
    defer { parameters.deallocate() }
    checkpoint.copyParameters(into: parameters)
    try NewFolder.write(folder) { folder throws(ProgramFailure) in
      try FileSystem.writeDurably(
        folder + "/" + CheckpointName.modelConfiguration,
        Array((checkpoint.configuration.huggingFaceJSON(maskToken: mask).pretty + "\n").utf8))
      try SafeTensors.write(
        folder + "/" + CheckpointName.model, tensors: checkpoint.layout.slots.map { ($0.name, $0.shape) },
        data: [UnsafeBufferPointer(parameters)])
      try writeItems(checkpoint, to: folder)
    }
  }

  static func writeItems(_ checkpoint: CheckpointReader, to folder: String) throws(ProgramFailure) {
    try FileSystem.writeDurably(
      folder + "/" + CheckpointName.items, ItemTable.encode(ids: checkpoint.itemIDs, counts: checkpoint.itemCounts))
  }

  /// A parameter's rows 1 ... items: without padding, `[MASK]` and the two others.
  private static func items(_ checkpoint: CheckpointReader, _ name: String, rowBytes: Int) -> UnsafeRawBufferPointer {
    guard let slot = checkpoint.layout.slots.first(where: { $0.name == name }) else {
      preconditionFailure("\(name) is a parameter of every model")
    }
    let all = checkpoint.parameter(slot)
    return UnsafeRawBufferPointer(rebasing: all[rowBytes..<(rowBytes * (checkpoint.itemIDs.count + 1))])
  }
}
