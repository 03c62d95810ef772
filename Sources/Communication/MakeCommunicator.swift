import Glibc
import SystemSupport

/// The communicator for the way in which this process was started: with MPI under mpirun or srun, else for one process
/// alone.
///
/// MPI is initialised where a launcher has left its mark in the environment, and only there: a program that was started
/// by hand needs no MPI runtime. A launcher that started several processes which know nothing of each other is refused
/// (exit code 64), since each would train alone and all would write one folder.
public func makeCommunicator(
  environment: (String) -> String? = { name in getenv(name).map { String(cString: $0) } }
) throws(CollectiveFailure) -> any Communicator {
  let isUnderMPI = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"].contains { environment($0) != nil }
  let communicator: any Communicator = isUnderMPI ? try MPICommunicator() : SoloCommunicator()
  if communicator.size == 1 {
    for name in ["SLURM_STEP_NUM_TASKS", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"] {
      guard let tasks = environment(name).flatMap({ Int($0) }), tasks > 1 else { continue }
      try communicator.finish()
      throw .onEveryRank(
        .usage,
        """
        \(tasks) processes were started (\(name)=\(tasks)), but MPI does not connect them: each would train alone and \
        all would write one run folder; start with mpirun, or srun --mpi=pmix, of the Open MPI that this program is \
        built with (srun --mpi=list shows what this Slurm offers)
        """)
    }
  }
  return communicator
}
