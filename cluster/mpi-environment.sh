# shellcheck shell=sh
# Settings of Open MPI for trying things out on one machine: more ranks than cores, also as root and in containers. In a
# shell:
#
#   . cluster/mpi-environment.sh
#
# `make demo`, the tests, the lab and the benchmarks read these lines, too; not all of them are shells, so each line is
# `export NAME=VALUE`. Open MPI 4 and 5 ignore what only the other one knows.

# More ranks than cores; ranks that wait then yield theirs. Open MPI 4, then 5. With `:oversubscribe` instead of
# `slot:oversubscribe`, Open MPI 5 puts all ranks on the first of several hosts.
export OMPI_MCA_rmaps_base_oversubscribe=1
export PRTE_MCA_rmaps_default_mapping_policy=slot:oversubscribe
# Root may use mpirun.
export OMPI_ALLOW_RUN_AS_ROOT=1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Ranks do not read each other's memory, which containers often forbid: Open MPI 4 then prints "Read -1, expected ...",
# errno 1. Open MPI 4, then 5.
export OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMPI_MCA_smsc=^cma
# Open MPI 5 otherwise prints "Unable to find reachable pairing" for each pair of ranks on hosts that have IPv6, too.
export OMPI_MCA_reachable=weighted
