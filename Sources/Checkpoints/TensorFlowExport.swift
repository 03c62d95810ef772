import BERT4RecModel
import InteractionData
import SystemSupport
import TensorFlowFiles

extension ModelExport {
  /// Writes what the original restores from its `checkpointDir`: `model.ckpt-STEP` in TensorFlow's second format, with Adam's moments and
  /// the step, the file `checkpoint` that names it, and besides these `bert_config.json` and `items.tsv`.
  ///
  /// The checkpoint must have been opened with its moments. Fails as `writeArrays` does.
  package static func writeTensorFlow(_ checkpoint: CheckpointReader, to folder: String) throws(ProgramFailure) {
    let name = tensorFlowName(checkpoint)
    var copies: [TransposedMatrix] = []
    var contents: [TensorBundle.Content] = []
    for slot in checkpoint.layout.slots {
      let parameter = TensorFlowParameter(slot)
      let moments = checkpoint.moments(slot)
      for (suffix, bytes) in [
        ("", checkpoint.parameter(slot)), (TensorFlowParameter.firstMoment, moments.first),
        (TensorFlowParameter.secondMoment, moments.second),
      ] {
        var stored = bytes
        if parameter.isTransposed {
          let copy = TransposedMatrix(bytes, rows: slot.shape[0], columns: slot.shape[1])
          copies.append(copy)
          stored = copy.bytes
        }
        contents.append(TensorBundle.Content(parameter.name + suffix, .float, parameter.shape, stored))
      }
    }
    try NewFolder.write(folder) { folder throws(ProgramFailure) in
      let step = [Int64(checkpoint.state.step).littleEndian]
      let result = step.withUnsafeBytes { step in
        Result { () throws(ProgramFailure) in
          try TensorBundle.write(
            folder + "/" + name, contents + [TensorBundle.Content(TensorFlowParameter.step, .int64, [], step)])
        }
      }
      try result.get()
      // What tf.train.latest_checkpoint reads.
      try FileSystem.writeDurably(
        folder + "/checkpoint", Array("model_checkpoint_path: \"\(name)\"\nall_model_checkpoint_paths: \"\(name)\"\n".utf8))
      try FileSystem.writeDurably(
        folder + "/" + TensorFlowModel.modelConfiguration, Array((checkpoint.configuration.originalJSON.pretty + "\n").utf8))
      try writeItems(checkpoint, to: folder)
    }
    // Until here the contents point to them.
    withExtendedLifetime(copies) {}
  }

  /// The last part of the checkpoint's prefix, as the original's estimator names it.
  package static func tensorFlowName(_ checkpoint: CheckpointReader) -> String { "model.ckpt-\(checkpoint.state.step)" }
}
