#!/usr/bin/env bash
# In the place of ssh in a lab: agent.sh STATE HOST COMMAND... runs a command on another of the lab's hosts, with as
# little of this host's environment as ssh would hand over.
set -euo pipefail

state=$1
host=$2
shift 2
# The process that stands for the host, as all the lab's hosts see it.
spaces=/proc/$(cat "$state/host-${host##*-}")/ns
if ! nsenter --net="$spaces/net" ip link show eth0 | grep -q LOWER_UP; then
  echo "agent: connect to host $host: No route to host" >&2
  exit 255
fi
exec env -i HOME="$HOME" PATH="$PATH" LANG="${LANG:-C}" LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}" \
  nsenter --net="$spaces/net" --uts="$spaces/uts" --ipc="$spaces/ipc" --mount="$spaces/mnt" /bin/sh -c "cd; $*"
