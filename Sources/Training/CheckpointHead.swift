import BERT4RecModel
import Communication
import InteractionData
import SystemSupport

/// What rank 0 tells the other ranks of a checkpoint besides its parameters.
struct CheckpointHead {
  let path: String
  let model: ModelConfiguration
  let step: Int
  let backend: BackendChoice
  let holdout: Holdout
  let dataName: String
  let dataFingerprint: String
}

extension CheckpointHead: Communicable {
  func write(to message: inout MessageWriter) {
    message.write(path)
    message.write(model)
    message.write(step)
    message.write(backend)
    message.write(holdout)
    message.write(dataName)
    message.write(dataFingerprint)
  }

  init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(
      path: try message.read(), model: try message.read(), step: try message.read(), backend: try message.read(),
      holdout: try message.read(), dataName: try message.read(), dataFingerprint: try message.read())
  }
}

extension ModelConfiguration: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(vocabularySize)
    message.write(hiddenSize)
    message.write(layerCount)
    message.write(headCount)
    message.write(intermediateSize)
    message.write(maximumSequenceLength)
    message.write(hiddenDropout)
    message.write(attentionDropout)
    message.write(activation)
    message.write(initializerRange)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(
      vocabularySize: try message.read(), hiddenSize: try message.read(), layerCount: try message.read(),
      headCount: try message.read(), intermediateSize: try message.read(), maximumSequenceLength: try message.read(),
      hiddenDropout: try message.read(), attentionDropout: try message.read(), activation: try message.read(),
      initializerRange: try message.read())
  }
}

extension Activation: Communicable {}
extension BackendChoice: Communicable {}
extension Holdout: Communicable {}
