/// Sizes as people read them.
package enum MemorySize {
  /// "72 MiB", "1.7 TiB": two digits or more, in the largest unit that leaves a whole number before the point.
  package static func text(_ bytes: Double) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var (size, unit) = (bytes, 0)
    while size >= 1023.5 && unit + 1 < units.count { (size, unit) = (size / 1024, unit + 1) }
    let tenths = (size * 10).rounded()
    if unit == 0 || tenths >= 100 { return "\(Int(min(size.rounded(), 1e15))) \(units[unit])" }
    return "\(Int(tenths) / 10).\(Int(tenths) % 10) \(units[unit])"
  }
}
