import Glibc

/// Which rank this is, where MPI cannot be asked: before it begins, and after it is done.
enum FirstRank {
  static var isThis: Bool {
    let names = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"]
    return names.allSatisfy { name in getenv(name).map { String(cString: $0) == "0" } ?? true }
  }
}
