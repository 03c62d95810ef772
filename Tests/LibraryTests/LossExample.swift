import BERT4RecModel
import SystemSupport

/// Bayesian personalised ranking (Rendle et al. 2009): the label against one negative per masked row,
///
///     loss = Σ -log σ(d),  d = t · (E[label] - E[negative])
///
/// t (M, H) the masked rows' outputs, E (V, H) the table; gradients are added.
func pairwiseLoss(
  _ t: Matrix, labels: [Int32], negatives: [Int32], table: Matrix, tGradient: Matrix, tableGradient: Matrix
) -> Double {
  var loss = 0.0
  for row in 0..<t.rows {
    let (label, negative) = (Int(labels[row]) * table.stride, Int(negatives[row]) * table.stride)
    let own = t.base + row * t.stride
    var difference: Float = 0
    for column in 0..<t.columns { difference += own[column] * (table.base[label + column] - table.base[negative + column]) }

    // log(1 + exp(-d)) without overflow, by routines that have the same bits everywhere.
    let distance = Double(difference)
    let small = PortableMath.exp(-abs(distance))
    loss += max(0, -distance) + PortableMath.log(1 + small)

    // d loss / d d = -σ(-d)
    let slope = Float(-(distance >= 0 ? small : 1) / (1 + small))
    for column in 0..<t.columns {
      tGradient.base[row * tGradient.stride + column] += slope * (table.base[label + column] - table.base[negative + column])
      tableGradient.base[label + column] += slope * own[column]
      tableGradient.base[negative + column] -= slope * own[column]
    }
  }
  return loss
}
