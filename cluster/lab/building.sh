# shellcheck shell=bash disable=SC2154,SC2034 # sourced by lab.sh, which sets what stands here unset
# Building a lab and taking it away.

check_machine() {
  local tool
  [ "$(id -u)" = 0 ] || fail 69 "takes root: namespaces and network interfaces are made"
  for tool in ip tc unshare nsenter setpriv flock ps pkill; do
    command -v "$tool" >/dev/null || fail 69 "$tool is not on the PATH (packages iproute2, util-linux, procps)"
  done
  unshare --net --uts --ipc --mount --pid --fork ip link add type veth 2>/dev/null ||
    fail 69 "this machine lets nobody make namespaces or veth interfaces (in a container: it takes CAP_SYS_ADMIN)"
  [ -z "$bandwidth" ] || check_discipline --bandwidth sch_tbf tbf rate 1mbit burst 128kb latency 50ms
  [ -z "$delay" ] || check_discipline --delay sch_netem netem delay "$delay"
}

check_discipline() { # option, kernel module, the queueing discipline in tc's words
  local option=$1 module=$2
  shift 2
  unshare --net tc qdisc add dev lo root "$@" 2>/dev/null || fail 69 \
    "$option takes the kernel module $module, which this kernel ($(uname -r)) neither has nor can load"
}

up() { # command that becomes what keeps the lab alive
  local log pid ready host path mpirun
  check_machine
  path=$(cd "$folder" 2>/dev/null && pwd -P) || fail 64 "there is no folder $folder"
  folder=$path
  [[ $folder != *[[:space:]]* ]] || fail 64 "--folder: a path without blanks, not '$folder'"
  mpirun=$(readlink -f "$(command -v mpirun)") || fail 69 "mpirun is not on the PATH"
  case $mpirun/ in "${folder%/}"/*) fail 64 "folder $folder holds mpirun, which the other hosts could not see" ;; esac
  case $state/ in "${folder%/}"/*) fail 64 "folder $folder holds what all hosts need" ;; esac

  # Two at once would both find that the name is free.
  exec {lock}</run
  flock "$lock"
  if switch_pid >/dev/null; then fail 64 "lab $name is up already (cluster/lab/lab.sh down --name $name)"; fi
  # From here on an interruption takes away what there is.
  trap down EXIT
  rm -rf "$state"
  mkdir -p "$state/folder"
  cp "$here/agent.sh" "$state/agent.sh"
  echo "$hosts $folder" >"$state/lab"
  for ((host = 1; host <= hosts; host++)); do echo "$name-$host slots=$slots"; done >"$state/hostfile"
  {
    echo "127.0.0.1 localhost"
    for ((host = 1; host <= hosts; host++)); do echo "10.77.0.$host $name-$host"; done
  } >"$state/hosts"

  log=$state/log
  # Process id 1 of a namespace: when it goes, the kernel ends all the lab's processes, and with them go its networks.
  exec {ready}< <(
    # Whoever waits until the last holder of some descriptor is gone must not wait for a lab that stays.
    for path in /proc/self/fd/*; do
      if ((${path##*/} > 2)); then eval "exec ${path##*/}<&-"; fi
    done
    exec "$@" unshare --net --uts --ipc --mount --pid --fork --kill-child=KILL \
      bash "$here/switch.sh" "$state" "$name" "$hosts" "$folder" "$bandwidth" "$delay" </dev/null 2>"$log"
  )
  builder=$!
  read -r pid <&"$ready" || fail 70 "the lab could not be built: $(tail -n 3 "$log")"
  exec {ready}<&-
  echo "$pid $(start_time "$pid")" >"$state/switch"
  exec {lock}<&-
  lock=
}

down() {
  local pid outside round
  trap '' INT TERM HUP
  trap - EXIT
  if [ -n "$lock" ]; then exec {lock}<&-; fi
  exec {lock}</run
  flock "$lock"
  # With the process that unshare started ends, by --kill-child, process 1 of the lab, and so everything.
  if [ -n "$builder" ]; then kill -s KILL "$builder" 2>/dev/null || true; fi
  if pid=$(switch_pid); then
    # What entered a frozen host from outside has stopped, too, and would stay.
    outside=$(ps -e -o pidns= -o netns= -o pid= | awk -v pids="$(stat -L -c %i "/proc/$pid/ns/pid" 2>/dev/null)" \
      '$1 == pids { lab[$2] } { network[$3] = $2 } END { for (id in network) if (network[id] in lab) print id }')
    kill -s KILL "$pid" 2>/dev/null || true
    # shellcheck disable=SC2086 # a list
    kill -s CONT $outside 2>/dev/null || true
    # What is dead is collected at once, but not where process 1 of a container does not do that.
    for round in $(seq 100); do
      switch_pid >/dev/null || break
      sleep 0.02
    done
    while switch_pid >/dev/null && ! grep -q '^[0-9]* (.*) Z' "/proc/$pid/stat"; do sleep 0.02; done
  fi
  rm -rf "$state"
  rmdir "$labs" 2>/dev/null || true
  exec {lock}<&-
  lock=
}
