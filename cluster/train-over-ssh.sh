#!/usr/bin/env bash
# Runs bert4rec-dist on several hosts over ssh; `cluster/train-over-ssh.sh --help` explains.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: cluster/train-over-ssh.sh [option]... [--] train [argument of bert4rec-dist]...

Runs bert4rec-dist on the hosts of a hostfile, over ssh. Start it on the first of them: there runs rank 0, which alone
needs the data and the configuration, and writes the run folder.

  --hostfile FILE    hosts and their slots (default: the file hostfile beside this script)
  --ranks N          number of ranks (default: all slots)
  --program PATH     bert4rec-dist, at the same path on every host (default: the one of this checkout, else the one on
                     the PATH)
  --interface NAMES  network interfaces or networks between the hosts, as eth0 or 10.1.0.0/16. Needed where hosts have
                     several networks and not all connect them (a Docker bridge is the usual trap: the run then hangs at
                     its start)
  --container        in containers whose processes may not read each other's memory (messages "CMA ... not permitted")
  --help             this text

  AGENT              environment: what runs a command on a host instead of ssh; called as AGENT HOST COMMAND...
  MPIRUN_OPTIONS     environment: further options of mpirun, separated by blanks, as
                     "--map-by socket:PE=4 --bind-to core"

Exit code: that of bert4rec-dist; 70, too, where mpirun returns 0 though it has lost a host (Open MPI 5). When a host
freezes or is cut off, the run ends by itself, and mpirun is ended where it waits for that host; this host may be one
without ranks. TERM, or Ctrl-C once, makes the run save its state and stop with 75; the same command resumes from there.
A second Ctrl-C ends it at once.

  cluster/train-over-ssh.sh --interface 10.1.0.0/16 train --data ml-1m/ratings.dat --run runs/ml-1m --threads 1
USAGE
}

fail() { # exit code, message
  echo "train-over-ssh: $2" >&2
  exit "$1"
}

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
agent=${AGENT:-ssh}
hostfile=$folder/hostfile
program=
ranks=
interface=
container=

while [ $# -gt 0 ]; do
  case $1 in
    --hostfile | --ranks | --program | --interface)
      [ $# -gt 1 ] || fail 64 "$1 needs a value (see --help)"
      case $1 in
        --hostfile) hostfile=$2 ;;
        --ranks) ranks=$2 ;;
        --program) program=$2 ;;
        --interface) interface=$2 ;;
      esac
      shift 2
      ;;
    --container)
      container=yes
      shift
      ;;
    --help | -h)
      usage
      exit 0
      ;;
    --)
      shift
      break
      ;;
    -*) fail 64 "unknown option $1 (see --help); options of bert4rec-dist come after 'train'" ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || fail 64 "what is to be run? For instance: train --data FILE (see --help)"

[ -r "$hostfile" ] || fail 66 "cannot read the hostfile $hostfile"
mapfile -t hosts < <(sed 's/#.*//' "$hostfile" | awk 'NF { print $1 }')
[ ${#hosts[@]} -gt 0 ] || fail 64 "$hostfile names no host"

if [ -z "$program" ]; then
  program=$folder/../.build/release/bert4rec-dist
  [ -x "$program" ] || program=$(command -v bert4rec-dist) ||
    fail 66 "bert4rec-dist is neither built here (make build) nor on the PATH; name it with --program"
fi
# The hosts are given the name in full, since they start elsewhere.
[ -x "$program" ] || fail 66 "there is no program at $program"
program=$(cd "$(dirname "$program")" && pwd)/$(basename "$program")
command -v mpirun >/dev/null || fail 66 "mpirun is not on the PATH (make deps installs Open MPI)"

# Every host, before anything starts: a missing program or another version shows itself under mpirun as a hang or as a
# riddle.
is_this_host() { # host: as mpirun, which starts nothing over ssh on its own host
  local name address
  for name in localhost 127.0.0.1 "$(hostname)" "$(hostname -s)" $(hostname -I 2>/dev/null || true); do
    [ "$1" != "$name" ] || return 0
    # A longer name of this host, such as a pod's in its service.
    for address in $(getent hosts "$1" 2>/dev/null | awk '{ print $1 }'); do
      [ "$address" != "$name" ] || return 0
    done
  done
  return 1
}
on_host() { # host, command
  if is_this_host "$1"; then
    sh -c "$2" </dev/null
  elif [ "$agent" = ssh ]; then
    # Never asks for a password, and gives up in time, also on a host that freezes meanwhile.
    ssh -n -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=10 "$1" "$2"
  else
    "${agent_words[@]}" "$1" "$2" </dev/null
  fi
}
read -ra agent_words <<<"$agent"
version=$("$program" --version) || fail 70 "$program --version failed"
# Version, commit and numerics; below are libraries and kernels, which may differ.
version=${version%%$'\n'*}
mpi_version=$(mpirun --version | head -n 1)
problems=0
problem() {
  echo "train-over-ssh: $1" >&2
  problems=$((problems + 1))
}
# What mpirun starts there: prted of Open MPI 5, orted of 4.
questions="{ command -v prted || command -v orted; } >/dev/null || echo no-daemon; mpirun --version 2>&1 | head -n 1"
questions+="; version=\$($(printf %q "$program") --version) && printf '%s\\n' \"\$version\" | head -n 1"
for host in "${hosts[@]}"; do
  # Shells that ssh starts often have a shorter PATH than a login.
  if ! answer=$(on_host "$host" "$questions" 2>&1); then
    problem "$host: cannot be reached with '$agent', or cannot run $program: ${answer:-no answer}"
  elif [[ $answer == *no-daemon* ]]; then
    problem "$host: Open MPI is not on the PATH of a command over ssh there (neither prted nor orted)"
  elif [[ $answer != *"$mpi_version"* ]]; then
    problem "$host: its Open MPI is not the one here ($mpi_version): $answer"
  elif [ "${answer##*$'\n'}" != "$version" ]; then
    problem "$host: $program is version ${answer##*$'\n'} there, $version here"
  fi
done
[ "$problems" = 0 ] || fail 64 "nothing was started"
is_this_host "${hosts[0]}" ||
  echo "train-over-ssh: rank 0 runs on ${hosts[0]}, not here: it looks for data and writes the run folder there" >&2

# Open MPI 5 returns 0 when it has lost a host. What rank 0 leaves on its host as the last thing it does tells the truth.
# shellcheck disable=SC2016 # the host's shell expands
mark=$(on_host "${hosts[0]}" 'mktemp -d "${TMPDIR:-/tmp}/bert4rec-mark.XXXXXX"') ||
  fail 74 "${hosts[0]}: no folder can be made in its TMPDIR or /tmp"
trap 'on_host "${hosts[0]}" "rm -rf $mark" >/dev/null 2>&1 || true' EXIT

# Ranks beyond the slots would be refused by mpirun; without -np it starts one a slot.
options=(--hostfile "$hostfile" --mca plm_rsh_agent "$agent" -x "BERT4REC_DONE_FILE=$mark/done")
[ -z "$ranks" ] || options+=(-np "$ranks")
# The first is for the ranks' data, the second for mpirun's own words with the hosts; either alone leaves half of it to
# chance.
[ -z "$interface" ] || options+=(--mca btl_tcp_if_include "$interface" --mca oob_tcp_if_include "$interface")
# Open MPI 4, then 5.
[ -z "$container" ] || options+=(--mca btl_vader_single_copy_mechanism none --mca smsc ^cma)
# Open MPI 5 otherwise prints "Unable to find reachable pairing" on hosts that have IPv6, too.
export OMPI_MCA_reachable=${OMPI_MCA_reachable:-weighted}
# It otherwise takes this host for another one where the hostfile has a longer name of it, as Kubernetes' MPI operator's has,
# and starts a second daemon here.
export PRTE_MCA_prte_do_not_resolve=${PRTE_MCA_prte_do_not_resolve:-false}
[ "$(id -u)" != 0 ] || options+=(--allow-run-as-root)
read -ra more_options <<<"${MPIRUN_OPTIONS:-}"
options+=("${more_options[@]}")

# When a host freezes or is cut off, the ranks say so in one line and leave, but mpirun then waits for that host with no time
# limit. A rank on mpirun's own host sees to it that mpirun ends; here none need be. So its errors are read on their way, and
# what mpirun says itself: having lost one host, as when this one is cut off, it may wait for another.
pass_on_errors() {
  local line
  trap '' INT TERM HUP
  while IFS= read -r line || [ -n "$line" ]; do
    printf '%s\n' "$line" >&2 || true
    [[ $line != *"error: "*" is aborted (stall_timeout)."* ]] || kill -s ALRM $$ 2>/dev/null || true
    [[ $line != *" has lost communication with a remote daemon."* ]] || kill -s VTALRM $$ 2>/dev/null || true
  done
}
start_time() { # process id; nothing where there is none: ids are used again
  awk '{ print $22 }' "/proc/$1/stat" 2>/dev/null || true
}
is_there() { # process id, its start time
  [ -n "$2" ] && [ "$(start_time "$1")" = "$2" ]
}
end_mpirun() { # the reason, to be said where mpirun has to be ended
  local id started round commands=()
  trap '' INT TERM HUP ALRM VTALRM
  started=$(start_time "$mpirun_pid")
  # Its commands over ssh are process groups of their own, and one to a frozen host outlives it.
  for id in $(cat "/proc/$mpirun_pid/task/"*/children 2>/dev/null); do commands+=("$id $(start_time "$id")"); done
  # As long as a rank on this host would give it.
  for ((round = 0; round < 10; round++)); do
    is_there "$mpirun_pid" "$started" || break
    sleep 1
  done
  if is_there "$mpirun_pid" "$started"; then
    echo "train-over-ssh: $1, but mpirun does not end: it waits for a host that does not answer, and is killed" >&2
    # Not TERM: while it is ending, Open MPI 4.1.4 takes no notice of it once, and crashes at the second.
    kill -s KILL "$mpirun_pid" 2>/dev/null || true
  fi
  for id in "${commands[@]}"; do
    if is_there "${id% *}" "${id#* }"; then kill -s KILL "${id% *}" 2>/dev/null || true; fi
  done
}
exec {errors}> >(pass_on_errors)
reader_pid=$!

# Job control gives mpirun a process group of its own: Ctrl-C then reaches this script only. mpirun would end the ranks
# a second (Open MPI 5: half a second) after INT or TERM, and return 1; USR1 it passes on, they save their state, and it
# returns their 75.
set -m
mpirun "${options[@]}" "$program" "$@" </dev/null 2>&"$errors" {errors}>&- &
mpirun_pid=$!
exec {errors}>&-
interrupts=0
signalled=
stalled=
lost=
ending_pid=
# shellcheck disable=SC2329 # called by the traps below
on_term() {
  signalled=yes
  kill -USR1 "$mpirun_pid" 2>/dev/null || true
}
# shellcheck disable=SC2329
on_interrupt() {
  signalled=yes
  interrupts=$((interrupts + 1))
  if [ "$interrupts" = 1 ]; then
    echo "train-over-ssh: saving and stopping; Ctrl-C again ends the run at once" >&2
    kill -USR1 "$mpirun_pid" 2>/dev/null || true
  else
    kill -TERM "$mpirun_pid" 2>/dev/null || true
    end_soon "the run was interrupted"
  fi
}
# shellcheck disable=SC2329
on_stall() {
  signalled=yes
  stalled=yes
  end_soon "the run has ended"
}
# shellcheck disable=SC2329
on_loss() {
  signalled=yes
  lost=yes
  end_soon "a host is lost"
}
# shellcheck disable=SC2329
end_soon() {
  if [ -z "$ending_pid" ]; then
    end_mpirun "$1" &
    ending_pid=$!
  fi
}
trap on_term TERM
trap on_interrupt INT
trap on_stall ALRM
trap on_loss VTALRM

# A signal ends `wait` early; then it is called again, and gives a process's exit code in the end.
await() { # process id; leaves its exit code in `status`
  while :; do
    signalled=
    status=0
    # Without the shell's own line on a process that was killed.
    wait "$1" 2>/dev/null || status=$?
    [ -n "$signalled" ] || break
  done
}
await "$mpirun_pid"
mpirun_status=$status
# What mpirun said last. A command over ssh, as a master connection that stays, may hold the pipe for longer.
for ((round = 0; round < 20; round++)); do
  kill -0 "$reader_pid" 2>/dev/null || break
  sleep 0.1
done
kill -s KILL "$reader_pid" 2>/dev/null || true
[ -z "$ending_pid" ] || await "$ending_pid"

# The ranks' own code, which mpirun keeps to itself where it has been killed; and a code of ours where it was for a lost host.
[ -z "$stalled" ] || exit 70
[ -z "$lost" ] || [ "$mpirun_status" != 137 ] || exit 70
if [ "$mpirun_status" = 0 ] && ! on_host "${hosts[0]}" "[ -e $mark/done ]" 2>/dev/null; then
  fail 70 "mpirun returned 0, but rank 0 on ${hosts[0]} has not come to its end: a host was lost. Run the same command again"
fi
exit "$mpirun_status"
