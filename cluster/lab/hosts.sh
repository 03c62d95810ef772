# shellcheck shell=bash disable=SC2154,SC2034 # sourced by lab.sh, which sets what stands here unset
# A lab that is up, and its hosts: who runs there, what is sent there, how a command gets there.

# A lab's state is folder $state; its file `switch` holds process id and start time of what keeps the lab alive.

start_time() { # process id; nothing when there is none
  awk '{ print $22 }' "/proc/$1/stat" 2>/dev/null || true
}

switch_pid() { # prints it; fails when the lab is not up
  local pid started
  read -r pid started 2>/dev/null <"$state/switch" || return 1
  [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ] || return 1
  echo "$pid"
}

need_lab() {
  switch=$(switch_pid) || fail 64 "no lab of the name $name is up (cluster/lab/lab.sh up --name $name)"
  read -r hosts folder <"$state/lab"
}

host_number() { # number or name; prints the number
  local number=${1#"$name-"}
  [[ $number =~ ^[1-9][0-9]{0,2}$ ]] && ((number <= hosts)) ||
    fail 64 "$1 is no host of lab $name: they are 1 to $hosts, or $name-1 to $name-$hosts"
  echo "$number"
}

namespace() { # kind, host number: its file, by way of the lab's own /proc
  echo "/proc/$switch/root/proc/$(<"$state/host-$2")/ns/$1"
}

entry() { # host number; leaves in `entry` what runs a command there, in the lab's folder
  # shellcheck disable=SC2016 # the host's shell expands
  entry=(env -u TMPDIR nsenter --target "$switch" --pid "--net=$(namespace net "$1")" "--uts=$(namespace uts "$1")"
    "--ipc=$(namespace ipc "$1")" "--mount=$(namespace mnt "$1")"
    bash -c 'cd "$1" && shift && exec "$@"' bash "$folder")
}

host_processes() { # host number, `all` for those, too, that have entered it from outside: lines of id, state, command
  local network pids
  network=$(stat -L -c %i "$(namespace net "$1")")
  pids=$(stat -L -c %i "/proc/$switch/ns/pid")
  ps -e -o netns= -o pidns= -o pid= -o stat= -o args= |
    awk -v net="$network" -v pids="$pids" -v all="${2:-}" \
      '$1 == net && ($2 == pids || all) && $5 != "lab-host" { $1 = $2 = ""; sub(/^ +/, ""); print }'
}

# Sends a signal to all processes of a host that are in some state, until none is: new ones may have come meanwhile.
signal_host() { # signal, pattern of states, host number, `all` as above
  local round pids
  for round in $(seq 200); do
    pids=$(host_processes "$3" "${4:-}" | awk -v states="$2" '$2 ~ states { print $1 }')
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086 # a list; some may have gone by themselves
    kill -s "$1" $pids 2>/dev/null || true
    [ "$round" = 1 ] || sleep 0.02
  done
  fail 70 "processes of host $3 do not obey SIG$1: $pids"
}

freeze() { signal_host STOP '^[^TtZX]' "$1"; }

# Programs that a host cannot see, since they lie in the lab's folder or in /tmp, are installed there at the path that
# they are called by: it may lead over links, which the hosts do not have.
install_programs() { # arguments of mpirun
  local argument path host
  for argument; do
    [[ $argument == */* ]] || continue
    path=$argument
    [[ $path == /* ]] || path=$folder/$path
    [[ -f $path && -x $path ]] || continue
    for ((host = 1; host <= hosts; host++)); do
      # Process 1 is the switch, which sees what the machine sees.
      entry "$host"
      # shellcheck disable=SC2016,SC2094 # the host's shell expands; it writes to its own file system
      "${entry[@]}" bash -c '[ "$1" -ef "/proc/1/root$1" ] ||
        { mkdir -p "${1%/*}" && cat >"$1.new" && chmod 755 "$1.new" && mv -f "$1.new" "$1"; }' bash "$path" <"$path" ||
        fail 70 "$path could not be installed on host $host"
    done
  done
}
