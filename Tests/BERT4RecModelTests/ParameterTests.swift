import BERT4RecModel
import Testing

@Suite struct ParameterTests {
  let layout = ParameterLayout(Example.configuration())

  @Test func slotsTileTheBuffer() {
    var next = 0
    for slot in layout.slots {
      #expect(slot.offset == next)
      next += slot.count
    }
    #expect(next == layout.count)
    #expect(Set(layout.slots.map(\.name)).count == layout.slots.count)
  }

  @Test func offsetsAreThoseOfTheNames() {
    func offset(_ name: String) -> Int? { layout.slots.first { $0.name == name }?.offset }
    #expect(offset("bert.embeddings.word_embeddings.weight") == layout.wordEmbeddings)
    #expect(offset("bert.encoder.layer.1.attention.self.query.weight") == layout.layers[1].queryKeyValue.weight)
    #expect(offset("bert.encoder.layer.1.attention.self.key.weight") == layout.layers[1].queryKeyValue.weight + 21 * 21)
    #expect(offset("bert.encoder.layer.1.attention.self.value.bias") == layout.layers[1].queryKeyValue.bias + 42)
    #expect(offset("bert.encoder.layer.0.output.LayerNorm.bias") == layout.layers[0].outputNorm.bias)
    #expect(offset("cls.predictions.bias") == layout.predictionBias)
  }

  @Test func whatDecays() {
    let exempt = Set(layout.slots.filter { !$0.decays }.map(\.name))
    #expect(layout.slots.allSatisfy { exempt.contains($0.name) == ($0.name.hasSuffix("bias") || $0.name.contains("LayerNorm")) })
    #expect(layout.slots.first { $0.name.contains("word_embeddings") }?.decays == true)
  }

  @Test func initializationIsATruncatedNormal() {
    let configuration = Example.configuration()
    var values = [Float](repeating: -9, count: layout.count)
    layout.initialize(&values, standardDeviation: 0.02, seed: 1)
    var again = values
    layout.initialize(&again, standardDeviation: 0.02, seed: 1)
    #expect(values == again)
    layout.initialize(&again, standardDeviation: 0.02, seed: 2)
    #expect(values != again)
    for slot in layout.slots {
      let part = values[slot.range]
      switch slot.initialization {
      case .ones: #expect(part.allSatisfy { $0 == 1 })
      case .zeros: #expect(part.allSatisfy { $0 == 0 })
      case .truncatedNormal: #expect(part.allSatisfy { abs($0) <= 0.04 })
      }
    }
    let words = values[0..<(configuration.vocabularySize * configuration.hiddenSize)].map(Double.init)
    let mean = words.reduce(0, +) / Double(words.count)
    let variance = words.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(words.count)
    #expect(abs(mean) < 0.001)
    // A normal cut at two deviations keeps 0.88 of its deviation.
    #expect(abs(variance.squareRoot() / 0.02 - 0.8796) < 0.02)
    #expect(Set(words).count > words.count - 200)
  }
}
