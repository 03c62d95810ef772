import BERT4RecModel

extension Benchmark {
  /// What a step with the full loss over a sharded table depends on besides time: the letters of the cost model.
  package struct DividedStep: Sendable {
    /// Masked rows M and tokens T of a step.
    package let rows, tokens: Double
    /// Numbers of a row, H.
    package let hidden: Int
    /// Tiles of the table, N.
    package let tiles: Int
    /// Bytes of the gradient beside the table, B.
    package let besidesBytes: Int

    /// Bytes that one of n ranks sends in a step, but for the sum of what stands beside the table: fetched rows, all ranks' rows, sums
    /// that go from rank to rank, the tokens' gradients.
    package func sentBytes(ranks n: Int) -> Double {
      let (count, width) = (Double(n), Double(hidden + 1))
      let (others, fetched) = ((count - 1) / count, rows + tokens)
      return 4 * (fetched / count * others * width + rows * others * width + tokens / count * others * width) + sumBytes * others
    }

    /// Bytes of all rows' sums, which go through all ranks.
    private var sumBytes: Double { 4 * rows * Double(hidden + 3) }

    /// Seconds that the network takes in a step of n ranks.
    package func networkSeconds(ranks n: Int, bandwidth: Double, latency: Double) -> Double {
      let (count, messages) = (Double(n), 9.0)
      // Pieces of two neighbouring ranks follow each other.
      let pieces = max(count, sumBytes / Double(4 * LossPlan.pieceElements))
      let sums = (pieces + count - 2) * (latency + sumBytes / pieces / bandwidth)
      let back = (sumBytes * (count - 1) / count + 8 * rows * (count - 1)) / bandwidth
      let others = (sentBytes(ranks: n) - sumBytes * (count - 1) / count) / bandwidth
      return sums + back + others + messages * latency + 2 * Double(besidesBytes) * (count - 1) / (count * bandwidth)
        + 2 * latency * Double(n.bitWidth - (n - 1).leadingZeroBitCount)
    }
  }
}

extension Benchmark.Result {
  /// T(1) / (n T(n)) for n ranks of one thread, with T(n) = E ceil(G / n) / G + D ceil(N / n) / N + U / n + S(n): E what one core needs for
  /// all encoders, D for the loss and the table's gradient, S what the network takes.
  func predictedEfficiency(_ step: Benchmark.DividedStep, ranks n: Int, bandwidth: Double, latency: Double) -> Double {
    func seconds(_ phases: [StepPhase]) -> Double {
      self.phases.reduce(0) { $0 + (phases.contains($1.phase) ? $1.seconds : 0) } * Double(ranks * threads)
    }
    let (encoders, loss) = (seconds([.embedding, .attention, .dense, .batch]), seconds([.head, .treeSum]))
    // Measured on several ranks, each has done its part.
    let update = seconds([.update]) / (ranks > 1 ? 1 : Double(threads))
    func part(_ whole: Int) -> Double { Double((whole + n - 1) / n) / Double(whole) }
    let time =
      encoders * part(shards) + loss * part(step.tiles) + update / Double(n)
      + (n == 1 ? 0 : step.networkSeconds(ranks: n, bandwidth: bandwidth, latency: latency))
    return (encoders + loss + update) / (Double(n) * time)
  }
}
