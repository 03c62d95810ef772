import BERT4RecModel

/// The flat buffers of a state, in `ParameterLayout` order.
package enum StateBuffer: Int, CaseIterable, Sendable {
  case parameters, firstMoment, secondMoment
}

extension ParameterLayout {
  /// The tensors of optimizer.safetensors: all first moments, then all second ones.
  var momentTensors: [(name: String, shape: [Int])] {
    ["first_moment.", "second_moment."].flatMap { prefix in slots.map { (prefix + $0.name, $0.shape) } }
  }
}
