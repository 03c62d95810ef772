import Glibc

/// The plain twin of the fast backend: one scalar at a time, in double, slow and obviously right. Tests hold the fast one to it.
package final class ReferenceBackend: Backend {
  package init() {}

  package func multiply(
    _ a: Matrix, transposed transposesA: Bool, _ b: Matrix, transposed transposesB: Bool, into c: Matrix, scale: Float,
    accumulates: Bool
  ) {
    let inner = transposesA ? a.rows : a.columns
    for row in 0..<c.rows {
      for column in 0..<c.columns {
        var sum = 0.0
        for k in 0..<inner {
          sum +=
            Double(transposesA ? a[k, row] : a[row, k]) * Double(transposesB ? b[column, k] : b[k, column])
        }
        c[row, column] = Float((accumulates ? Double(c[row, column]) : 0) + Double(scale) * sum)
      }
    }
  }

  package func addBias(_ bias: UnsafePointer<Float>, to values: Matrix) {
    for row in 0..<values.rows { for column in 0..<values.columns { values[row, column] += bias[column] } }
  }

  package func addColumnSums(of values: Matrix, to sums: UnsafeMutablePointer<Float>) {
    for row in 0..<values.rows { for column in 0..<values.columns { sums[column] += values[row, column] } }
  }

  package func activate(
    _ values: Matrix, bias: UnsafePointer<Float>, _ activation: Activation, derivative: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<values.rows {
      for column in 0..<values.columns {
        let (value, slope) = activation.valueAndDerivative(Double(values[row, column] + bias[column]))
        values[row, column] = Float(value)
        derivative[row * values.columns + column] = Float(slope)
      }
    }
  }

  package func activateBackward(
    _ gradient: Matrix, derivative: UnsafePointer<Float>, biasGradient: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<gradient.rows {
      for column in 0..<gradient.columns {
        gradient[row, column] *= derivative[row * gradient.columns + column]
        biasGradient[column] += gradient[row, column]
      }
    }
  }

  package func residualNorm(
    _ input: Matrix, inputBias: UnsafePointer<Float>?, inputDropout: RowDropout, residual: UnsafePointer<Float>?,
    norm: NormParameters, outputDropout: RowDropout, output: UnsafeMutablePointer<Float>, saved: NormState
  ) {
    let size = input.columns
    for row in 0..<input.rows {
      let x = (0..<size).map { column -> Double in
        let value = Double(input[row, column] + (inputBias?[column] ?? 0)) * inputDropout.factor(row, column)
        return value + Double(residual?[row * size + column] ?? 0)
      }
      let mean = x.reduce(0, +) / Double(size)
      let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(size)
      let inverse = 1 / (variance + Double(ModelConfiguration.layerNormEpsilon)).squareRoot()
      saved.inverseDeviation[row] = Float(inverse)
      for column in 0..<size {
        let normalized = (x[column] - mean) * inverse
        saved.normalized[row * size + column] = Float(normalized)
        output[row * size + column] = Float(
          (normalized * Double(norm.weight[column]) + Double(norm.bias[column])) * outputDropout.factor(row, column))
      }
    }
  }

  package func residualNormBackward(
    _ outputGradient: Matrix, saved: NormState, norm: NormParameters, inputDropout: RowDropout, outputDropout: RowDropout,
    residualGradient: UnsafeMutablePointer<Float>, inputGradient: UnsafeMutablePointer<Float>?, gradients: NormGradients,
    inputBiasGradient: UnsafeMutablePointer<Float>?
  ) {
    let size = outputGradient.columns
    for row in 0..<outputGradient.rows {
      let x = (0..<size).map { Double(saved.normalized[row * size + $0]) }
      let dy = (0..<size).map { Double(outputGradient[row, $0]) * outputDropout.factor(row, $0) }
      let g = (0..<size).map { dy[$0] * Double(norm.weight[$0]) }
      let meanG = g.reduce(0, +) / Double(size)
      let meanGX = (0..<size).reduce(0) { $0 + g[$1] * x[$1] } / Double(size)
      for column in 0..<size {
        gradients.weight[column] += Float(dy[column] * x[column])
        gradients.bias[column] += Float(dy[column])
        let dx = (g[column] - meanG - x[column] * meanGX) * Double(saved.inverseDeviation[row])
        residualGradient[row * size + column] = Float(dx)
        let dInput = Float(dx * inputDropout.factor(row, column))
        inputGradient?[row * size + column] = dInput
        inputBiasGradient?[column] += dInput
      }
    }
  }

  package func softmax(_ scores: Matrix, dropped: Matrix, dropout: RowDropout) {
    for row in 0..<scores.rows {
      let values = (0..<scores.columns).map { Double(scores[row, $0]) }
      let highest = values.max() ?? 0
      let exponentials = values.map { exp($0 - highest) }
      let sum = exponentials.reduce(0, +)
      for column in 0..<scores.columns {
        let probability = exponentials[column] / sum
        let factor = dropout.factor(row, column)
        scores[row, column] = factor == 0 ? -Float(probability) : Float(probability)
        dropped[row, column] = Float(probability * factor)
      }
    }
  }

  package func softmaxBackward(_ signedProbabilities: Matrix, gradient: Matrix, dropped: Matrix, rate: DropoutRate) {
    for row in 0..<gradient.rows {
      let columns = 0..<gradient.columns
      let p = columns.map { Double(signedProbabilities[row, $0]) }
      let factors = p.map { $0.sign == .minus ? 0 : Double(rate.scale) }
      let g = columns.map { Double(gradient[row, $0]) * factors[$0] }
      let sum = columns.reduce(0) { $0 + abs(p[$1]) * g[$1] }
      for column in columns {
        dropped[row, column] = Float(abs(p[column]) * factors[column])
        gradient[row, column] = Float(abs(p[column]) * (g[column] - sum))
      }
    }
  }

  package func tileExponentials(_ logits: Matrix, bias: UnsafePointer<Float>?, _ sums: SoftmaxSums) {
    for row in 0..<logits.rows {
      let values = (0..<logits.columns).map { Double(logits[row, $0] + (bias?[$0] ?? 0)) }
      let highest = max(values.max() ?? 0, Double(sums.maximum[row]))
      let exponentials = values.map { exp($0 - highest) }
      let factor = exp(Double(sums.maximum[row]) - highest)
      sums.sum[row] = Float(Double(sums.sum[row]) * factor + exponentials.reduce(0, +))
      sums.maximum[row] = Float(highest)
      for column in 0..<logits.columns { logits[row, column] = Float(exponentials[column]) }
    }
  }

  package func softmaxFactors(
    tileMaximum: UnsafePointer<Float>, _ sums: SoftmaxSums, rows: Int, into factors: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<rows {
      factors[row] = Float(exp(Double(tileMaximum[row] - sums.maximum[row])) / Double(sums.sum[row]))
    }
  }

  package func addTile(_ sums: SoftmaxSums, products: UnsafePointer<Float>?, rows: Int, hidden: Int, to total: OnlineSoftmax) {
    for row in 0..<rows {
      let (old, own) = (Double(total.sums.maximum[row]), Double(sums.maximum[row]))
      let isFirst = old == -.infinity
      let (before, now) = (exp(old - max(old, own)), exp(own - max(old, own)))
      total.sums.sum[row] = Float(Double(sums.sum[row]) * now + Double(total.sums.sum[row]) * before)
      total.sums.maximum[row] = Float(max(old, own))
      guard let products, let gradients = total.rowGradients else { continue }
      for index in row * hidden..<(row + 1) * hidden {
        gradients[index] = Float(Double(products[index]) * now + (isFirst ? 0 : Double(gradients[index]) * before))
      }
    }
  }

  package func multiplyRows(
    _ values: Matrix, by factors: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<values.rows {
      for column in 0..<values.columns { target[row * values.columns + column] = values[row, column] * factors[row] }
    }
  }

  package func addWeightedColumnSums(
    of values: Matrix, weights: UnsafePointer<Float>, to sums: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<values.rows { for column in 0..<values.columns { sums[column] += values[row, column] * weights[row] } }
  }

  package func subtractLabels(
    _ labels: UnsafePointer<Int32>, _ t: Matrix, words: UnsafePointer<Float>, tGradient: UnsafeMutablePointer<Float>,
    wordGradient: UnsafeMutablePointer<Float>, biasGradient: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<t.rows {
      let label = Int(labels[row])
      biasGradient[label] -= 1
      for column in 0..<t.columns {
        tGradient[row * t.columns + column] -= words[label * t.columns + column]
        wordGradient[label * t.columns + column] -= t[row, column]
      }
    }
  }

  package func sumEmbeddings(
    _ tokens: UnsafePointer<Int32>, words: UnsafePointer<Float>, type: UnsafePointer<Float>,
    positions: UnsafePointer<Float>, into sums: Matrix
  ) {
    for row in 0..<sums.rows {
      for column in 0..<sums.columns {
        let word = words[Int(tokens[row]) * sums.columns + column]
        sums[row, column] = word + type[column] + positions[row * sums.columns + column]
      }
    }
  }

  package func addEmbeddingGradients(
    _ sums: Matrix, tokens: UnsafePointer<Int32>, words: UnsafeMutablePointer<Float>,
    positions: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<sums.rows {
      for column in 0..<sums.columns {
        words[Int(tokens[row]) * sums.columns + column] += sums[row, column]
        positions[row * sums.columns + column] += sums[row, column]
      }
    }
  }
}

extension Activation {
  /// f(x) and f'(x).
  package func valueAndDerivative(_ x: Double) -> (value: Double, derivative: Double) {
    switch self {
    case .gelu:
      let cumulative = 0.5 * erfc(-x / 2.0.squareRoot())
      return (x * cumulative, cumulative + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot())
    case .relu: return x > 0 ? (x, 1) : (0, 0)
    case .tanh: return (Glibc.tanh(x), 1 - Glibc.tanh(x) * Glibc.tanh(x))
    case .linear: return (x, 1)
    }
  }
}
