import BERT4RecModel
import Glibc
import GradientSum
import TableSharding
import Testing
import Training

@Suite struct LearningRateScheduleTests {
  /// By the definition, step by step, with the C library's functions.
  @Test(arguments: [(0, 50), (3, 2000), (20, 3000), (100, 1500), (100, 60), (5_000, 6_000), (30_000, 40_000), (50_000, 25_000)])
  func theEffectivePeak(warmupSteps: Int, totalSteps: Int) {
    let schedule = LearningRateSchedule(peak: 5e-3, warmupSteps: warmupSteps, totalSteps: totalSteps)
    let rates = (1...totalSteps).map { step -> Double in
      let (first, second) = (1 - pow(0.9, Double(step)), 1 - pow(0.999, Double(step)))
      return schedule.rate(step: step - 1) * first / second.squareRoot()
    }
    let expected = rates.max() ?? 0
    #expect(abs(schedule.effectivePeak.rate - expected) < 1e-8 * expected)
    #expect(abs(rates[schedule.effectivePeak.step - 1] - expected) < 1e-8 * expected)
  }

  @Test func effectivePeaksOfKnownRuns() {
    func peak(_ rate: Double, _ warmupSteps: Int) -> Double {
      LearningRateSchedule(peak: rate, warmupSteps: warmupSteps, totalSteps: 3000).effectivePeak.rate
    }
    let safe = LearningRateSchedule.safeEffectiveRate
    #expect(peak(2e-3, 100) < safe && peak(1e-3, 100) < safe && peak(1e-4, 100) < safe)
    #expect(peak(3e-3, 100) > safe && abs(peak(5e-3, 20) - 0.031) < 0.0005)
    // The longest schedule there may be takes no time.
    #expect(LearningRateSchedule(peak: 1, warmupSteps: 1_000_000_000, totalSteps: 1_000_000_000).effectivePeak.step == 1_000_000_000)
  }

  @Test func risesThenFallsAsTheFormulaSays() {
    let schedule = LearningRateSchedule(peak: 1e-4, warmupSteps: 100, totalSteps: 400_000)
    #expect(schedule.rate(step: 0) == 0)
    #expect(schedule.rate(step: 1) == 1e-6 && schedule.rate(step: 50) == 5e-5)
    // The decay counts from step 0, so the rate never quite reaches its peak.
    #expect(schedule.rate(step: 99) == 1e-4 * 99 / 100)
    #expect(schedule.rate(step: 100) == 1e-4 * (1 - 100.0 / 400_000))
    #expect(schedule.rate(step: 200_000) == 5e-5)
    #expect(schedule.rate(step: 399_999) == 1e-4 * (1 - 399_999.0 / 400_000))
    #expect(schedule.rate(step: 400_000) == 0 && schedule.rate(step: 500_000) == 0)
  }

  @Test func withoutWarmUpItBeginsAtThePeak() {
    let schedule = LearningRateSchedule(peak: 3, warmupSteps: 0, totalSteps: 4)
    #expect((0...4).map(schedule.rate) == [3, 2.25, 1.5, 0.75, 0])
  }

  @Test func aCosineFallsFromThePeakAtTheEndOfTheWarmUp() {
    let schedule = LearningRateSchedule(.cosine, peak: 2, warmupSteps: 10, totalSteps: 30)
    #expect(schedule.rate(step: 5) == 1 && schedule.rate(step: 10) == 2)
    #expect(abs(schedule.rate(step: 15) - (1 + 0.5.squareRoot())) < 1e-15)
    #expect(abs(schedule.rate(step: 20) - 1) < 1e-15)
    #expect(abs(schedule.rate(step: 30)) < 1e-15 && abs(schedule.rate(step: 99)) < 1e-15)
    #expect(LearningRateSchedule(.cosine, peak: 1, warmupSteps: 8, totalSteps: 8).rate(step: 8) == 1)
  }

  @Test func aConstantRateStays() {
    let schedule = LearningRateSchedule(.constant, peak: 3, warmupSteps: 4, totalSteps: 10)
    #expect([0, 2, 4, 9, 1000].map(schedule.rate) == [0, 1.5, 3, 3, 3])
  }

  @Test func aWarmUpLongerThanTheRunOnlyRises() {
    let schedule = LearningRateSchedule(peak: 1, warmupSteps: 8, totalSteps: 5)
    #expect((0..<5).map(schedule.rate) == [0, 0.125, 0.25, 0.375, 0.5])
  }
}

@Suite struct AdamTests {
  /// Several blocks of 65,536 in one run of decayed parameters, and a last block that is not full.
  static let configuration = ModelConfiguration(
    vocabularySize: 4001, hiddenSize: 36, layerCount: 1, headCount: 3, intermediateSize: 11, maximumSequenceLength: 7,
    hiddenDropout: 0, attentionDropout: 0)

  private func numbers(_ count: Int, scale: Double, seed: UInt64) -> [Float] {
    var state = seed
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float((Double(state >> 11) / 0x1p53 - 0.5) * scale)
    }
  }

  private func start() throws -> ModelState {
    let state = try ModelState(Self.configuration)
    _ = state.parameters.update(from: numbers(state.layout.count, scale: 0.3, seed: 1))
    return state
  }

  private func run(
    _ adam: inout Adam, _ state: ModelState, _ gradients: [Float], rate: Double, masked: Int, threads: Int
  ) {
    for thread in (0..<threads).reversed() { adam.addSquares(gradients, thread: thread, of: threads) }
    adam.begin(rate: rate, norm: adam.norm(maskedCount: masked), maskedCount: masked)
    for thread in (0..<threads).reversed() { adam.update(state, gradients: gradients, thread: thread, of: threads) }
  }

  /// In double, element by element, from the formula alone; `clipped` says whether the norm is above 5.
  @Test(arguments: [(scale: 100.0, clipped: true), (scale: 0.1, clipped: false)])
  func agreesWithAPlainLoop(scale: Double, clipped: Bool) throws {
    let state = try start()
    let layout = state.layout
    var adam = Adam(layout)
    var parameters = state.parameters.map(Double.init)
    var (first, second) = ([Double](repeating: 0, count: layout.count), [Double](repeating: 0, count: layout.count))
    let masked = 3
    // The constants are float32; 0.1 and 0.001 are meant as such, not as what 1 - 0.999 rounds to.
    let (beta1, beta2) = (Double(Float(0.9)), Double(Float(0.999)))
    let (weight1, weight2) = (Double(Float(0.1)), Double(Float(0.001)))
    for step in 0..<4 {
      let gradients = numbers(layout.count, scale: scale, seed: UInt64(7 + step))
      let rate = 0.01 / Double(1 + step)
      var squares = 0.0
      for gradient in gradients { squares += Double(gradient) * Double(gradient) }
      let norm = squares.squareRoot() / Double(masked)
      #expect((norm > 5) == clipped)
      for slot in layout.slots {
        // Weight decay spares biases and LayerNorms, and nothing else.
        let decay = slot.name.hasSuffix(".bias") || slot.name.contains("LayerNorm") ? 0.0 : 0.01
        for index in slot.range {
          let gradient = Double(gradients[index]) / Double(masked) * (norm > 5 ? 5 / norm : 1)
          first[index] = beta1 * first[index] + weight1 * gradient
          second[index] = beta2 * second[index] + weight2 * gradient * gradient
          parameters[index] -= rate * (first[index] / (second[index].squareRoot() + 1e-6) + decay * parameters[index])
        }
      }
      run(&adam, state, gradients, rate: rate, masked: masked, threads: 1)
      let found = adam.norm(maskedCount: masked)
      #expect(abs(found - norm) <= 1e-9 * norm)
    }
    var worst = 0.0
    for index in 0..<layout.count { worst = max(worst, abs(Double(state.parameters[index]) - parameters[index])) }
    // Parameters are below 0.4 and took steps of up to 0.03: this is float rounding.
    #expect(worst < 2e-7, "\(worst)")
  }

  @Test(arguments: [2, 3, 5, 64]) func anyNumberOfThreadsGivesTheSameBits(threads: Int) throws {
    let (one, many) = (try start(), try start())
    var (adamOfOne, adamOfMany) = (Adam(one.layout), Adam(many.layout))
    for step in 0..<3 {
      let gradients = numbers(one.layout.count, scale: 3, seed: UInt64(step))
      run(&adamOfOne, one, gradients, rate: 0.01, masked: 7, threads: 1)
      run(&adamOfMany, many, gradients, rate: 0.01, masked: 7, threads: threads)
    }
    #expect(one.parameterHash == many.parameterHash)
    #expect(try one.parameterHash != start().parameterHash)
  }

  /// Rows of the table and what stands beside it are the same gradient as a whole buffer, wherever blocks end.
  @Test(arguments: [1, 3]) func aGradientOfRows(threads: Int) throws {
    var model = ModelConfiguration(vocabularySize: 7001, hiddenSize: 21, headCount: 3, intermediateSize: 16, maximumSequenceLength: 9)
    model.layerCount = 1
    let (whole, parts) = (try ModelState(model), try ModelState(model))
    whole.initialize(seed: 3)
    parts.initialize(seed: 3)
    let layout = whole.layout
    let ownership = RowOwnership(rowCount: 7001, size: 1)
    var (adamOfWhole, adamOfParts) = (Adam(layout, threads: threads), Adam(layout, rows: ownership, readsAll: true, threads: threads))
    var left: UInt64?
    for step in 0..<3 {
      var gradients = numbers(layout.count, scale: 3, seed: UInt64(step))
      let touched = (0..<7001).filter { ($0 * 37 + step) % 3 == 0 && !(2000..<6000).contains($0) }
      let rows = RowList(width: 22)
      rows.resize(touched.count)
      for (index, row) in touched.enumerated() {
        rows.ids[index] = Int32(row)
        for column in 0..<21 { rows.values[index * 22 + column] = gradients[row * 21 + column] }
        rows.values[index * 22 + 21] = gradients[layout.predictionBias + row]
      }
      let isTouched = Set(touched)
      for row in 0..<7001 where !isTouched.contains(row) {
        for column in 0..<21 { gradients[row * 21 + column] = 0 }
        gradients[layout.predictionBias + row] = 0
      }
      let beside = Array(gradients[layout.besidesTable])
      run(&adamOfWhole, whole, gradients, rate: 0.01, masked: 7, threads: 1)
      beside.withUnsafeBufferPointer { beside in
        let gradient = SummedGradient(beside.baseAddress!, layout, rows: rows)
        for thread in 0..<threads { adamOfParts.addSquares(gradient, thread: thread, of: threads) }
        // The same numbers in another order.
        let norm = adamOfWhole.norm(maskedCount: 7)
        #expect(abs(adamOfParts.norm(maskedCount: 7) - norm) < 1e-12 * norm)
        adamOfParts.begin(rate: 0.01, norm: norm, maskedCount: 7)
        for thread in 0..<threads { adamOfParts.update(parts, gradient, thread: thread, of: threads) }
      }
      #expect(left == nil || adamOfParts.bitSums.before == left)
      #expect(adamOfParts.bitSum(of: parts) == adamOfParts.bitSums.after)
      left = adamOfParts.bitSums.after
    }
    #expect(whole.parameterHash == parts.parameterHash)
  }

  /// A lazy update is the whole one where rows have a gradient, and changes no others; the sums of bits follow it, and a flipped bit.
  @Test(arguments: [1, 3]) func aLazyUpdate(threads: Int) throws {
    let (whole, lazy) = (try start(), try start())
    let layout = whole.layout
    let (vocabulary, hidden) = (Self.configuration.vocabularySize, Self.configuration.hiddenSize)
    var (adam, adamOfRows) = (Adam(layout), Adam(layout, table: .lazy, rows: RowOwnership(rowCount: vocabulary, size: 1), threads: threads))
    var gradients = numbers(layout.count, scale: 3, seed: 5)
    let touched = (0..<vocabulary).filter { $0 % 7 == 3 }
    let rows = RowList(width: hidden + 1)
    rows.resize(touched.count)
    for (index, row) in touched.enumerated() {
      rows.ids[index] = Int32(row)
      for column in 0..<hidden { rows.values[index * rows.width + column] = gradients[row * hidden + column] }
      rows.values[index * rows.width + hidden] = gradients[layout.predictionBias + row]
    }
    for row in 0..<vocabulary where row % 7 != 3 {
      for column in 0..<hidden { gradients[row * hidden + column] = 0 }
      gradients[layout.predictionBias + row] = 0
    }
    let beside = Array(gradients[layout.besidesTable])
    let before = Array(whole.parameters)
    run(&adam, whole, gradients, rate: 0.01, masked: 7, threads: 1)
    var sums = (whole: adamOfRows.bitSum(of: lazy), rows: adamOfRows.rowBitSum(of: lazy))
    beside.withUnsafeBufferPointer { beside in
      let gradient = SummedGradient(beside.baseAddress!, layout, rows: rows)
      for thread in (0..<threads).reversed() { adamOfRows.addSquares(gradient, thread: thread, of: threads) }
      #expect(abs(adamOfRows.norm(maskedCount: 7) - adam.norm(maskedCount: 7)) < 1e-12 * adam.norm(maskedCount: 7))
      adamOfRows.begin(rate: 0.01, norm: adam.norm(maskedCount: 7), maskedCount: 7)
      for thread in (0..<threads).reversed() { adamOfRows.update(lazy, gradient, thread: thread, of: threads) }
    }
    let after = Array(whole.parameters)
    for row in 0..<vocabulary {
      let expected = row % 7 == 3 ? after : before
      for element in [row * hidden, row * hidden + hidden - 1, layout.predictionBias + row]
      where lazy.parameters[element] != expected[element] { Issue.record("row \(row)") }
    }
    #expect(Array(lazy.parameters[layout.besidesTable]) == Array(whole.parameters[layout.besidesTable]))
    #expect(adamOfRows.bitSums.before == sums.whole)
    sums = (adamOfRows.bitSums.after, sums.rows &+ adamOfRows.takeRowBitChange())
    #expect(adamOfRows.bitSum(of: lazy) == sums.whole && adamOfRows.rowBitSum(of: lazy) == sums.rows)
    lazy.secondMoment[9 * hidden + 1] = Float(bitPattern: lazy.secondMoment[9 * hidden + 1].bitPattern ^ 1)
    #expect(adamOfRows.bitSum(of: lazy) == sums.whole && adamOfRows.rowBitSum(of: lazy) != sums.rows)
  }

  /// Owners of a sharded table update their own rows to the same bits as one that has them all, whatever the others' hold, by a norm with
  /// the same bits; what they leave in memory is what they find.
  @Test(arguments: [(TableAdam.exact, 1, 2), (.lazy, 1, 2), (.exact, 3, 1), (.lazy, 2, 3)])
  func ownersOfRows(table: TableAdam, size: Int, threads: Int) throws {
    var model = ModelConfiguration(
      vocabularySize: 4 * RowOwnership.blockRows + 9, hiddenSize: 6, headCount: 2, intermediateSize: 5, maximumSequenceLength: 4)
    model.layerCount = 1
    let (rows, hidden) = (model.vocabularySize, model.hiddenSize)
    let whole = try ModelState(model)
    whole.initialize(seed: 3)
    let layout = whole.layout
    let list = RowList(width: hidden + 1)
    let touched = (0..<rows).filter { $0 % 5 == 2 }
    let gradients = numbers(layout.count, scale: 3, seed: 8)
    func fill(_ list: RowList, _ rows: [Int]) {
      list.resize(rows.count)
      for (index, row) in rows.enumerated() {
        list.ids[index] = Int32(row)
        for column in 0..<hidden { list.values[index * list.width + column] = gradients[row * hidden + column] }
        list.values[index * list.width + hidden] = gradients[layout.predictionBias + row]
      }
    }
    let beside = Array(gradients[layout.besidesTable])
    func update(_ adam: inout Adam, _ state: ModelState, _ list: RowList, _ squares: UnsafeMutableBufferPointer<Double>?) -> Double {
      beside.withUnsafeBufferPointer { beside in
        let gradient = SummedGradient(beside.baseAddress!, layout, rows: list)
        for thread in (0..<threads).reversed() { adam.addSquares(gradient, thread: thread, of: threads) }
        if let squares {
          for block in squares.indices where adam.rowSquares[block] != squares[block] && adam.rowSquares[block] != 0 {
            Issue.record("squares of block \(block)")
          }
          _ = adam.rowSquares.update(fromContentsOf: squares)
        }
        let norm = adam.norm(maskedCount: 2)
        adam.begin(rate: 0.01, norm: norm, maskedCount: 2)
        for thread in (0..<threads).reversed() { adam.update(state, gradient, thread: thread, of: threads) }
        adam.end()
        for thread in 0..<threads { adam.catchUpAll(state, thread: thread, of: threads) }
        return norm
      }
    }
    var adam = Adam(layout, table: table, rows: RowOwnership(rowCount: rows, size: 1), threads: threads)
    fill(list, touched)
    let norm = update(&adam, whole, list, nil)
    let ownership = RowOwnership(rowCount: rows, size: size)
    for rank in 0..<size {
      let state = try ModelState(model)
      state.initialize(seed: 3)
      let isOwn = (0..<rows).map { ownership.owner(ofRow: $0) == rank }
      for row in 0..<rows where !isOwn[row] {
        for element in Array(row * hidden..<(row + 1) * hidden) + [layout.predictionBias + row] { state.parameters[element] = .nan }
      }
      var own = Adam(layout, table: table, rows: ownership, rank: rank, threads: threads)
      fill(list, touched.filter { isOwn[$0] })
      let rowsBefore = own.rowBitSum(of: state)
      #expect(update(&own, state, list, adam.rowSquares) == norm)
      for row in 0..<rows {
        for element in Array(row * hidden..<(row + 1) * hidden) + [layout.predictionBias + row] {
          if isOwn[row] {
            if state.parameters[element] != whole.parameters[element] { Issue.record("row \(row) of rank \(rank)") }
            if state.secondMoment[element] != whole.secondMoment[element] { Issue.record("moments of row \(row)") }
          } else if !state.parameters[element].isNaN || state.secondMoment[element] != 0 {
            Issue.record("row \(row) is not of rank \(rank)")
          }
        }
      }
      #expect(Array(state.parameters[layout.besidesTable]) == Array(whole.parameters[layout.besidesTable]))
      #expect(own.bitSum(of: state) == own.bitSums.after && own.bitSumBesidesTable(of: state) == own.bitSumBesidesTable)
      #expect(own.rowBitSum(of: state) == rowsBefore &+ own.takeRowBitChange())
    }
  }

  /// Rows that steps do not touch are brought up to date now and then, all or some of them, by any number of threads: to the same bits as
  /// after each step, and to what an update of the whole table makes of them, up to rounding. The sums of bits follow.
  @Test(arguments: [1, 3]) func updatesThatWait(threads: Int) throws {
    var model = ModelConfiguration(vocabularySize: 4500, hiddenSize: 6, headCount: 2, intermediateSize: 5, maximumSequenceLength: 4)
    model.layerCount = 1
    let (rows, hidden, steps) = (model.vocabularySize, model.hiddenSize, 400)
    let states = try (0..<3).map { _ in try ModelState(model) }
    for state in states { state.initialize(seed: 3) }
    let (waiting, prompt, whole) = (states[0], states[1], states[2])
    let layout = whole.layout
    func make() -> Adam { Adam(layout, rows: RowOwnership(rowCount: rows, size: 1), threads: threads) }
    var (adam, promptAdam, wholeAdam) = (make(), make(), Adam(layout))
    func catchUpAll(_ adam: Adam, _ state: ModelState) {
      for thread in (0..<threads).reversed() { adam.catchUpAll(state, thread: thread, of: threads) }
      adam.endCatchingUp()
    }
    var rowSum = adam.rowBitSum(of: waiting)
    let list = RowList(width: hidden + 1)
    for step in 0..<steps {
      // Few rows, of which some come again soon and some once; none in the last 250 steps, so that moments are spent.
      let touched = step >= 150 ? [] : (0..<rows).filter { ($0 * 31 + step * 7) % 97 == 0 || ($0 % 501 == 3 && step % 4 == 0) }
      let some = numbers(touched.count * (hidden + 1), scale: 0.02, seed: UInt64(step))
      list.resize(touched.count)
      var gradients = numbers(layout.count, scale: 0.02, seed: UInt64(1000 + step))
      for index in 0..<layout.besidesTable.lowerBound { gradients[index] = 0 }
      for index in layout.predictionBias..<layout.count { gradients[index] = 0 }
      for (index, row) in touched.enumerated() {
        list.ids[index] = Int32(row)
        for column in 0..<hidden {
          list.values[index * list.width + column] = some[index * list.width + column]
          gradients[row * hidden + column] = some[index * list.width + column]
        }
        list.values[index * list.width + hidden] = some[index * list.width + hidden]
        gradients[layout.predictionBias + row] = some[index * list.width + hidden]
      }
      let rate = 0.005 * (1 - Double(step) / 500)
      let beside = Array(gradients[layout.besidesTable])
      if step % 50 == 7 { catchUpAll(adam, waiting) }
      // What this step reads: some of what it touches.
      let read = touched.filter { $0 % 3 == 0 }.map(Int32.init)
      read.withUnsafeBufferPointer { read in
        for thread in 0..<threads { adam.catchUp(read, waiting, thread: thread, of: threads) }
      }
      run(&wholeAdam, whole, gradients, rate: rate, masked: 2, threads: 1)
      beside.withUnsafeBufferPointer { beside in
        let gradient = SummedGradient(beside.baseAddress!, layout, rows: list)
        func update(_ adam: inout Adam, _ state: ModelState) {
          for thread in 0..<threads { adam.addSquares(gradient, thread: thread, of: threads) }
          adam.begin(rate: rate, norm: adam.norm(maskedCount: 2), maskedCount: 2)
          for thread in (0..<threads).reversed() { adam.update(state, gradient, thread: thread, of: threads) }
          adam.end()
        }
        update(&adam, waiting)
        update(&promptAdam, prompt)
      }
      catchUpAll(promptAdam, prompt)
      rowSum &+= adam.takeRowBitChange()
      if step % 37 == 0 { #expect(adam.rowBitSum(of: waiting) == rowSum) }
    }
    #expect(waiting.parameterHash != prompt.parameterHash)
    catchUpAll(adam, waiting)
    for (one, other) in [
      (waiting.parameters, prompt.parameters), (waiting.firstMoment, prompt.firstMoment), (waiting.secondMoment, prompt.secondMoment),
    ] {
      let isEqual = Array(one) == Array(other)
      #expect(isEqual)
    }
    #expect(adam.rowBitSum(of: waiting) == rowSum &+ adam.takeRowBitChange())
    let largest = zip(waiting.parameters, whole.parameters).reduce(0) { max($0, abs($1.0 - $1.1)) }
    #expect(largest < 1e-5)
    #expect(waiting.firstMoment[..<(rows * hidden)].allSatisfy { $0 == 0 })
  }

  @Test func aRateOfZeroMovesTheMomentsAlone() throws {
    let state = try start()
    var adam = Adam(state.layout)
    let before = state.parameterHash
    run(&adam, state, numbers(state.layout.count, scale: 1, seed: 3), rate: 0, masked: 1, threads: 1)
    #expect(state.parameterHash == before)
    let after = try start()
    var other = Adam(after.layout)
    let gradients = numbers(state.layout.count, scale: 1, seed: 4)
    run(&adam, state, gradients, rate: 0.01, masked: 1, threads: 1)
    run(&other, after, gradients, rate: 0.01, masked: 1, threads: 1)
    #expect(state.parameterHash != after.parameterHash)
  }

  /// What an update leaves in memory is what the next one finds, on any number of threads; a flipped bit of any buffer is seen.
  @Test(arguments: [1, 3]) func bitSumsFollowTheState(threads: Int) throws {
    let state = try start()
    var adam = Adam(state.layout)
    let buffers = [state.parameters, state.firstMoment, state.secondMoment]
    var left: UInt64?
    for step in 0..<6 {
      if step == 4 {
        // Half of the buffer's length lies in a block that is not the first.
        let damaged = buffers[threads % 3]
        let place = damaged.count / 2
        damaged[place] = Float(bitPattern: damaged[place].bitPattern ^ 1)
      }
      let now = adam.bitSum(of: state)
      run(&adam, state, numbers(state.layout.count, scale: 1, seed: UInt64(step)), rate: 0.01, masked: 7, threads: threads)
      let sums = adam.bitSums
      #expect(sums.before == now)
      #expect(adam.bitSum(of: state) == sums.after)
      if let left { #expect((sums.before == left) == (step != 4)) }
      left = sums.after
    }
  }
}
