#!/usr/bin/env bash
# Several hosts on one machine, for trying out a distributed run; `cluster/lab/lab.sh --help` explains.
# The files that it reads use and set some of its variables.
# shellcheck disable=SC2034,SC2154
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: cluster/lab/lab.sh run [option]... [--] ARGUMENT...      a lab for one mpirun, gone when that ends
       cluster/lab/lab.sh up [option]...                        a lab that stays
       cluster/lab/lab.sh mpirun [--name NAME] [--] ARGUMENT... mpirun on its host 1, over all its hosts
       cluster/lab/lab.sh exec [--name NAME] HOST COMMAND...    any command on one host
       cluster/lab/lab.sh cut | mend [--name NAME] HOST         takes the host's network away; gives it back
       cluster/lab/lab.sh freeze | thaw [--name NAME] HOST      stops all its processes where they are; lets them go on
       cluster/lab/lab.sh kill [--name NAME] HOST               kills all its processes at once
       cluster/lab/lab.sh processes [--name NAME] [HOST]        lines: host, process id out here, state, command
       cluster/lab/lab.sh down [--name NAME]                    ends everything and leaves nothing; also what is broken

Several hosts on one machine, made of Linux namespaces, for trying out a distributed run and its faults. Takes root and
iproute2. Each host has a host name (NAME-1, NAME-2, ...), a network interface with an address of its own (10.77.0.HOST)
on a common bridge, and a /tmp and /dev/shm of its own. Host 1 alone sees the lab's folder; on the others an empty one
lies in its place. Everything else is the machine's. Programs that a host cannot see at their path are copied there.
Nothing appears in the machine's own network, so labs of different names do not meet.

  --name NAME        small letters, digits and hyphens (default: lab)
  --hosts N          number of hosts, 1 to 200 (default: 3)
  --slots N          ranks per host (default: 1)
  --bandwidth RATE   of each host's interface, in and out: a number with kbit, mbit or gbit (default: unlimited)
  --delay TIME       from one host to another: a number with us, ms or s (default: none)
  --folder DIR       what host 1 alone sees, and where commands start (default: the current folder)

ARGUMENT... are mpirun's: options, a program and its arguments. Without -np there are N x slots ranks. Open MPI (4.1 or
newer) is told to go over the hosts' network, and to notice within some 10 seconds, not 8 minutes, that an idle
connection is dead; options of yours come before the lab's. Before a lab's first mpirun a trial shows that the ranks
are where they should be. HOST is a number or a host name.

Exit code: mpirun's or the command's; 64 wrong usage, 69 what this machine cannot do, 70 a lab that could not be built,
or on whose hosts mpirun does not spread its ranks. Open MPI 5 returns 0 when it loses a host.
INT and TERM end a run and its lab; USR1 and USR2 are passed on to mpirun.

  cluster/lab/lab.sh run --hosts 3 --bandwidth 1gbit -- bert4rec-dist train --data ml-1m/ratings.dat
USAGE
}

fail() { # exit code, message
  echo "lab: $2" >&2
  exit "$1"
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
labs=/run/bert4rec-lab

# --- the command line

name=lab
hosts=3
slots=1
bandwidth=
delay=
folder=$PWD
# The descriptor that holds the lock, and the process that holds the lab, while it is being built.
lock=
builder=

parse() { # arguments after the subcommand; leaves those that are no options in `rest`
  while [ $# -gt 0 ]; do
    case $1 in
      --name | --hosts | --slots | --bandwidth | --delay | --folder)
        [ $# -gt 1 ] || fail 64 "$1 needs a value (see --help)"
        case $1 in
          --name) name=$2 ;;
          --hosts) hosts=$2 ;;
          --slots) slots=$2 ;;
          --bandwidth) bandwidth=$2 ;;
          --delay) delay=$2 ;;
          --folder) folder=$2 ;;
        esac
        shift 2
        ;;
      --)
        shift
        break
        ;;
      -*)
        # The rest of `run` and `mpirun` begins with options of mpirun, such as -np.
        case $command in
          run | mpirun) break ;;
          *) fail 64 "unknown option $1 of $command (see --help)" ;;
        esac
        ;;
      *) break ;;
    esac
  done
  rest=("$@")
  [[ $name =~ ^[a-z][a-z0-9-]{0,39}$ ]] ||
    fail 64 "--name $name: up to 40 small letters, digits and hyphens, a letter first"
  [[ $hosts =~ ^[1-9][0-9]{0,2}$ ]] && ((hosts <= 200)) || fail 64 "--hosts $hosts: a number from 1 to 200"
  [[ $slots =~ ^[1-9][0-9]{0,3}$ ]] || fail 64 "--slots $slots: a number of at least 1"
  [[ -z $bandwidth || $bandwidth =~ ^[1-9][0-9]{0,5}(kbit|mbit|gbit)$ ]] ||
    fail 64 "--bandwidth $bandwidth: a whole number with kbit, mbit or gbit, such as 100mbit"
  [[ -z $delay || $delay =~ ^[0-9]+(\.[0-9]+)?(us|ms|s)$ ]] ||
    fail 64 "--delay $delay: a number with us, ms or s, such as 0.1ms"
  state=$labs/$name
}

# shellcheck source=hosts.sh
. "$here/hosts.sh"
# shellcheck source=mpi.sh
. "$here/mpi.sh"
# shellcheck source=building.sh
. "$here/building.sh"

# --- subcommands

start_mpirun() { # arguments; leaves the process that stands for it in `job`
  [ ${#rest[@]} -gt 0 ] || fail 64 "what is to be run? For instance: bert4rec-dist train (see --help)"
  install_programs "${rest[@]}"
  configure_mpi
  check_places
  # Job control gives it a process group of its own: Ctrl-C reaches this script alone.
  set -m
  entry 1
  "${entry[@]}" mpirun "${rest[@]}" </dev/null &
  job=$!
  set +m
}

pass_on() { # signal: to mpirun, which nsenter has started
  signalled=yes
  pkill "-$1" -P "$job" || true
}

await_mpirun() { # leaves its exit code in `status`
  trap 'pass_on USR1' USR1
  trap 'pass_on USR2' USR2
  # A signal ends `wait` early; then it is called again.
  while :; do
    signalled=
    status=0
    wait "$job" || status=$?
    [ -n "$signalled" ] || break
  done
}

# shellcheck disable=SC2329 # called by traps
end_run() { # exit code: mpirun may end its ranks first; what does not end so, ends with the lab
  local round
  pkill -TERM -P "$job" || true
  for round in $(seq 50); do
    kill -0 "$job" 2>/dev/null || break
    sleep 0.1
  done
  exit "$1"
}

[ $# -gt 0 ] || fail 64 "what is to be done? See --help"
command=$1
shift
case $command in
  --help | -h | help)
    usage
    exit 0
    ;;
  run | up | mpirun | exec | cut | mend | freeze | thaw | kill | processes | down) parse "$@" ;;
  *) fail 64 "there is no command $command (see --help)" ;;
esac

case $command in
  run)
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # A lab never outlives its owner, even one that is killed.
    up setsid setpriv --pdeathsig KILL
    need_lab
    start_mpirun
    trap 'end_run 129' HUP
    trap 'end_run 130' INT
    trap 'end_run 143' TERM
    await_mpirun
    exit "$status"
    ;;
  up)
    [ ${#rest[@]} = 0 ] || fail 64 "up takes options only, not '${rest[*]}' (see --help)"
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    up setsid
    trap - EXIT
    echo "lab $name is up: $name-1 to $name-$hosts; cluster/lab/lab.sh down --name $name takes it away" >&2
    exit 0
    ;;
  down)
    [ ${#rest[@]} = 0 ] || fail 64 "down takes no more than --name (see --help)"
    [ "$(id -u)" = 0 ] || fail 69 "takes root"
    down
    exit 0
    ;;
esac

need_lab
case $command in
  mpirun)
    start_mpirun
    trap 'pass_on HUP' HUP
    trap 'pass_on INT' INT
    trap 'pass_on TERM' TERM
    await_mpirun
    exit "$status"
    ;;
  exec)
    [ ${#rest[@]} -gt 1 ] || fail 64 "exec takes a host and a command (see --help)"
    host=$(host_number "${rest[0]}")
    entry "$host"
    exec "${entry[@]}" "${rest[@]:1}"
    ;;
  processes)
    [ ${#rest[@]} -le 1 ] || fail 64 "processes takes one host, or none for all (see --help)"
    numbers=$(seq "$hosts")
    if [ ${#rest[@]} = 1 ]; then numbers=$(host_number "${rest[0]}"); fi
    for host in $numbers; do host_processes "$host" | sed "s/^/$name-$host /"; done
    exit 0
    ;;
esac

[ ${#rest[@]} = 1 ] || fail 64 "$command takes one host (see --help)"
host=$(host_number "${rest[0]}")
case $command in
  # The switch's end of the host's cable.
  cut) nsenter --target "$switch" --net ip link set "port$host" down ;;
  mend) nsenter --target "$switch" --net ip link set "port$host" up ;;
  freeze) freeze "$host" ;;
  thaw) signal_host CONT '^[Tt]' "$host" all ;;
  # Stopped first: none sees another die.
  kill)
    freeze "$host"
    signal_host KILL '^[^ZX]' "$host"
    # Those that have entered from outside have stopped with what they wait for.
    signal_host CONT '^[Tt]' "$host" all
    ;;
esac
