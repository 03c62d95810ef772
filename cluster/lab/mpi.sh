# shellcheck shell=bash disable=SC2154 # sourced by lab.sh, which sets what stands here unset
# What Open MPI has to know of a lab, under the names of version 4 and of version 5, each of which ignores the other's;
# and whether it has understood.

# In the environment, so that the user's --mca come first.
configure_mpi() {
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  export OMPI_MCA_orte_default_hostfile=$state/hostfile PRTE_MCA_prte_default_hostfile=$state/hostfile
  export OMPI_MCA_plm_rsh_agent="bash $state/agent.sh $state" OMPI_MCA_plm_rsh_no_tree_spawn=1
  export PRTE_MCA_plm_ssh_agent=$OMPI_MCA_plm_rsh_agent PRTE_MCA_plm_ssh_no_tree_spawn=1
  export OMPI_MCA_btl=tcp,vader,self OMPI_MCA_btl_tcp_if_include=eth0 OMPI_MCA_reachable=weighted
  export OMPI_MCA_oob_tcp_if_include=eth0 PRTE_MCA_oob_tcp_if_include=eth0
  export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_smsc=^cma
  # Open MPI asks an idle connection between hosts after 300 s, then every 20 s, and gives up after 9 questions.
  export OMPI_MCA_oob_tcp_keepalive_time=4 OMPI_MCA_oob_tcp_keepalive_intvl=2 OMPI_MCA_oob_tcp_keepalive_probes=3
  export PRTE_MCA_oob_tcp_keepalive_time=4 PRTE_MCA_oob_tcp_keepalive_intvl=2 PRTE_MCA_oob_tcp_keepalive_probes=3
  # Each host believes that all cores are its own: it would bind its ranks to the same ones, and let them spin there.
  export OMPI_MCA_hwloc_base_binding_policy=none PRTE_MCA_hwloc_default_binding_policy=none
  export OMPI_MCA_mpi_yield_when_idle=1
  # Open MPI 5 puts all ranks on the first host when it is told `:oversubscribe` without a place.
  case ${PRTE_MCA_rmaps_default_mapping_policy:-} in
    '' | :*) export PRTE_MCA_rmaps_default_mapping_policy=slot${PRTE_MCA_rmaps_default_mapping_policy:-} ;;
  esac
}

# Once per lab. An mpirun that does not start at all says so itself, and is tried again.
check_places() {
  local places right
  [ ! -e "$state/places-are-right" ] || return 0
  entry 1
  # Not hostname alone: the daemons of Open MPI 5.0.7 now and then miss the end of what ends at once, and wait for it.
  places=$("${entry[@]}" mpirun sh -c 'hostname; sleep 0.3' </dev/null 2>/dev/null) || return 0
  places=$(sort <<<"$places" | uniq -c | awk '{ print $2 ": " $1 }')
  right=$(sed 's/ slots=/: /' "$state/hostfile" | sort)
  [ "$places" = "$right" ] ||
    fail 70 "$(mpirun --version | head -n 1) spreads ranks as ${places//$'\n'/, }, not ${right//$'\n'/, }"
  touch "$state/places-are-right"
}
