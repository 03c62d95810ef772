import BERT4RecModel
import Testing

@Suite struct DropoutTests {
  @Test func scaleIsTheQuantisedProbabilitys() {
    #expect(DropoutRate(0.5).threshold == 32768 && DropoutRate(0.5).scale == 2)
    #expect(DropoutRate(0).threshold == 0 && DropoutRate(0).scale == 1)
    #expect(DropoutRate(0.2).threshold == 13107)
    #expect(DropoutRate(0.2).scale == 65536 / Float(65536 - 13107))
  }

  /// Over many rows the kept part is 1 - p, and neighbours in a row, in a column and in a word know nothing of each other.
  @Test(arguments: [0.1, 0.2, 0.5]) func decisionsAreFairAndIndependent(_ probability: Double) {
    let key = DropoutKey(seed: 5, step: 17)
    let (rows, columns) = (2000, 64)
    let rate = DropoutRate(probability)
    var kept = [[Double]]()
    for row in 0..<rows {
      let site = key.site(.attentionOutput(layer: 1), place: Int32(row / 50))
      let rowKey = DropoutKey.row(site: site, position: row % 50)
      kept.append((0..<columns).map { DropoutBits.value(rowKey: rowKey, element: $0) < rate.threshold ? 0 : 1 })
    }
    let count = Double(rows * columns)
    let p = 1 - Double(rate.threshold) / 65536
    let deviation = (p * (1 - p) / count).squareRoot()
    #expect(abs(kept.joined().reduce(0, +) / count - p) < 4 * deviation)
    func correlation(_ rowShift: Int, _ columnShift: Int) -> Double {
      var (sum, n) = (0.0, 0.0)
      for row in 0..<(rows - rowShift) {
        for column in 0..<(columns - columnShift) {
          sum += (kept[row][column] - p) * (kept[row + rowShift][column + columnShift] - p)
          n += 1
        }
      }
      return sum / n / (p * (1 - p))
    }
    for (rowShift, columnShift) in [(0, 1), (0, 8), (0, 16), (1, 0), (1, 1), (50, 0)] {
      #expect(abs(correlation(rowShift, columnShift)) < 5 / count.squareRoot())
    }
  }

  @Test func everyKeyMatters() {
    func bits(seed: UInt64, step: Int, site: DropoutSite, place: Int32, position: Int) -> [UInt32] {
      let key = DropoutKey(seed: seed, step: step).site(site, place: place)
      return (0..<64).map { DropoutBits.value(rowKey: DropoutKey.row(site: key, position: position), element: $0) }
    }
    let base = bits(seed: 1, step: 2, site: .embeddings, place: 3, position: 4)
    let others = [
      bits(seed: 2, step: 2, site: .embeddings, place: 3, position: 4),
      bits(seed: 1, step: 3, site: .embeddings, place: 3, position: 4),
      bits(seed: 1, step: 2, site: .attentionOutput(layer: 0), place: 3, position: 4),
      bits(seed: 1, step: 2, site: .feedForwardOutput(layer: 0), place: 3, position: 4),
      bits(seed: 1, step: 2, site: .attentionProbabilities(layer: 0, head: 0), place: 3, position: 4),
      bits(seed: 1, step: 2, site: .attentionProbabilities(layer: 0, head: 1), place: 3, position: 4),
      bits(seed: 1, step: 2, site: .embeddings, place: 4, position: 4),
      bits(seed: 1, step: 2, site: .embeddings, place: 3, position: 5),
    ]
    for other in others { #expect(zip(base, other).filter { $0 == $1 }.count < 4) }
    #expect(base == bits(seed: 1, step: 2, site: .embeddings, place: 3, position: 4))
  }
}
