/// The draws of NumPy's legacy `RandomState.choice(n, size, replace=False, p=p)`, bit for bit.
///
/// NumPy's algorithm: draw as many uniform numbers as are missing; set the probability of what was found to 0; take
/// the sequential cumulative sum and divide it by its last; look each number up (`searchsorted`, right); keep first
/// occurrences in the order they were drawn; repeat until there are enough.
///
/// Repeating the sum over the whole catalogue for each user is what makes this slow, and is almost never needed: how
/// far NumPy's rounded sum can stand from the first sum minus what was found is known (about 6 n 2^-53). A number
/// further than that from both neighbouring boundaries falls where NumPy lets it fall; only for the others the sum is
/// really taken.
package final class WeightedChoice {
  private let probabilities: [Double]  // (n)
  /// The first pass's cumulative sum, divided by its last.
  private let distribution: [Double]  // (n)
  private let total: Double
  /// How many indices can be drawn at all.
  package let drawableCount: Int
  private let doubt: Double
  /// Passes for which the whole sum was taken.
  package private(set) var exactPassCount = 0

  // Scratch, kept between calls.
  private var seen: ItemMarks
  private var found: [Int] = []  // ascending
  private var removed: [Double] = [0]  // sums of the first k found ones' shares
  private var exactSum: [Double] = []
  private var exactSumIsCurrent = false

  /// `probabilities`: not negative, with a sum of 1 up to rounding (NumPy refuses others). `alwaysExact` takes every
  /// sum, as NumPy does: the same draws, slowly.
  package init(probabilities: [Double], alwaysExact: Bool = false) {
    precondition(!probabilities.isEmpty && probabilities.allSatisfy { $0 >= 0 && $0 <= 1 })
    self.probabilities = probabilities
    var sums: [Double] = []
    sums.reserveCapacity(probabilities.count)
    var sum = 0.0
    for probability in probabilities {
      sum += probability
      sums.append(sum)
    }
    precondition(abs(sum - 1) < 1e-8)
    total = sum
    distribution = sums.map { $0 / sum }
    drawableCount = probabilities.count { $0 > 0 }
    doubt = alwaysExact ? .infinity : Double(8 * (probabilities.count + 256)) * 0x1p-53
    seen = ItemMarks(count: probabilities.count)
  }

  /// Overwrites `drawn` with `count` distinct indices from 0, in the order NumPy returns them.
  package func draw(_ count: Int, from state: inout NumPyRandomState, into drawn: inout [Int]) {
    precondition(count <= drawableCount)
    drawn.removeAll(keepingCapacity: true)
    found.removeAll(keepingCapacity: true)
    removed.removeAll(keepingCapacity: true)
    removed.append(0)
    seen.removeAll()
    while drawn.count < count {
      let missing = count - drawn.count
      let foundBefore = drawn.count
      exactSumIsCurrent = false
      for _ in 0..<missing {
        let number = state.randomSample()
        let index = foundBefore == 0 ? firstIndex(in: distribution, above: number) : laterIndex(of: number)
        if seen.insert(index) { drawn.append(index) }
      }
      if drawn.count < count { remove(drawn[foundBefore...]) }
    }
  }

  /// Keeps `found` ascending and `removed` the sums of shares up to each.
  private func remove(_ indices: ArraySlice<Int>) {
    found.append(contentsOf: indices)
    found.sort()
    removed.removeAll(keepingCapacity: true)
    removed.append(0)
    var sum = 0.0
    for index in found {
      sum += probabilities[index] / total
      removed.append(sum)
    }
  }

  /// Where a number falls when all of `found` have probability 0.
  private func laterIndex(of number: Double) -> Int {
    let target = number * (1 - removed[found.count])
    // How many found indices lie below the target: their boundaries, less what was removed up to them, ascend.
    var (low, high) = (0, found.count)
    while low < high {
      let middle = (low + high) / 2
      if distribution[found[middle]] - removed[middle + 1] > target { high = middle } else { low = middle + 1 }
    }
    let index = firstIndex(in: distribution, above: target + removed[low])
    let lower = low == 0 ? -1 : found[low - 1]
    let upper = low == found.count ? distribution.count : found[low]
    guard index > lower, index < upper, distribution[index] - removed[low] - target > doubt,
      index == 0 || target - (distribution[index - 1] - removed[low]) > doubt
    else { return exactIndex(of: number) }
    return index
  }

  private func exactIndex(of number: Double) -> Int {
    if !exactSumIsCurrent { takeExactSum() }
    let last = exactSum[exactSum.count - 1]
    // The quotient is taken in the search: the same bits as dividing everything first.
    var (low, high) = (0, exactSum.count)
    while low < high {
      let middle = (low + high) / 2
      if exactSum[middle] / last > number { high = middle } else { low = middle + 1 }
    }
    return low
  }

  private func takeExactSum() {
    exactSum.removeAll(keepingCapacity: true)
    exactSum.reserveCapacity(probabilities.count)
    var sum = 0.0
    var next = 0
    for index in 0..<probabilities.count {
      if next < found.count, found[next] == index {
        next += 1
      } else {
        sum += probabilities[index]
      }
      exactSum.append(sum)
    }
    exactSumIsCurrent = true
    exactPassCount += 1
  }

  /// `searchsorted(values, number, side='right')`: the first index whose value is above the number.
  private func firstIndex(in values: [Double], above number: Double) -> Int {
    values.withUnsafeBufferPointer { values in
      var (low, count) = (0, values.count)
      while count > 0 {
        let half = count / 2
        // Written so that it becomes a conditional move: which way it goes cannot be predicted.
        let goesRight = values[low + half] <= number
        low = goesRight ? low + half + 1 : low
        count = goesRight ? count - half - 1 : half
      }
      return low
    }
  }
}
