import Glibc

/// Which rank this is, where MPI cannot be asked: before it begins, and after it is done.
enum FirstRank {
  private static let names = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"]

  static var isThis: Bool { names.allSatisfy { name in getenv(name).map { String(cString: $0) == "0" } ?? true } }

  /// In the launcher's count; nil without one.
  static var number: Int? {
    names.lazy.compactMap { name in getenv(name).flatMap { Int(String(cString: $0)) } }.first
  }
}
