#!/usr/bin/env bash
# What mpirun does about signals and faults; `Tests/OtherSystems/mpirun-faults.sh --help` explains.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: Tests/OtherSystems/mpirun-faults.sh [NAME...]

Trains under mpirun in the lab (cluster/lab/lab.sh), lets one fault happen in the middle of it, and prints what this
version of Open MPI makes of it, a line of Markdown per fault: mpirun's exit code, the seconds until it has ended and
until no process is left on any host (at most 90 are waited), whether the run has saved its state, and what is left in
/tmp and /dev/shm of the hosts.

  signals to mpirun, two ranks on one host: USR1 USR2 TERM INT HUP QUIT KILL TERM-long-step
  a rank of three, each on a host of its own: rank-killed rank-frozen
  a host of those three; the first one is mpirun's: host-killed host-frozen host-cut first-host-killed first-host-cut

Without NAME all of them. `stall_timeout` is 5. PROGRAM, in the environment, is the program (default:
.build/release/bert4rec-dist of this checkout). Needs root and iproute2.

Exit code: 0 all were tried; 64 wrong usage; 66 no program; 70 a run did not get so far that the fault could happen.
USAGE
}

fail() { # exit code, message
  echo "error: $2" >&2
  exit "$1"
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=${PROGRAM:-$here/../../.build/release/bert4rec-dist}
signals=(USR1 USR2 TERM INT HUP QUIT KILL TERM-long-step)
faults=(rank-killed rank-frozen host-killed host-frozen host-cut first-host-killed first-host-cut)
case ${1:-} in
  --help | -h)
    usage
    exit 0
    ;;
esac
for fault; do
  [[ " ${signals[*]} ${faults[*]} " == *" $fault "* ]] || fail 64 "there is no fault $fault (see --help)"
done
[ $# -gt 0 ] || set -- "${signals[@]}" "${faults[@]}"
program=$(realpath -e "$program" 2>/dev/null) || fail 66 "there is no program (make build)"

folder=$(mktemp -d "${TMPDIR:-/tmp}/mpirun-faults.XXXXXX")
name=faults$$
lab() { # subcommand, argument...
  local command=$1
  shift
  "$here/../../cluster/lab/lab.sh" "$command" --name "$name" "$@"
}
# shellcheck disable=SC2317,SC2329 # called by traps
clean() {
  lab down >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

process() { # host, pattern of a command: its id
  lab processes "$1" | awk -v pattern="$2" '{ id = $2; $1 = $2 = $3 = "" } $0 ~ pattern { print id; exit }'
}
mpirun_pattern='^ *[^ ]*(mpirun|prterun)( |$)'
rank_pattern="^ *$program "
seconds_since() { # EPOCHREALTIME without its point
  local now=${EPOCHREALTIME/[.,]/}
  printf '%d.%d' $(((now - $1) / 1000000)) $(((now - $1) / 100000 % 10))
}
happen() { # fault
  case $1 in
    TERM-long-step) kill -s TERM "$(process 1 "$mpirun_pattern")" ;;
    rank-killed) kill -s KILL "$(process 3 "$rank_pattern")" ;;
    rank-frozen) kill -s STOP "$(process 3 "$rank_pattern")" ;;
    host-killed) lab kill 3 ;;
    host-frozen) lab freeze 3 ;;
    host-cut) lab cut 3 ;;
    first-host-killed) lab kill 1 ;;
    first-host-cut) lab cut 1 ;;
    *) kill -s "$1" "$(process 1 "$mpirun_pattern")" ;;
  esac
}
left() { # hosts: names in their /tmp and /dev/shm, process numbers as N
  local host
  for ((host = 1; host <= $1; host++)); do
    lab exec "$host" sh -c 'ls -d /tmp/* /dev/shm/* 2>/dev/null' || true
  done | grep -vF -e "$folder" -e "$(dirname "$program")" | sed -E "s/$name-[0-9]+/HOST/g; s/[0-9a-f]{6,}|[0-9]+/N/g" | sort | uniq -c |
    awk '{ printf "%s%s%s", separator, $2, ($1 > 1 ? " (" $1 ")" : ""); separator = ", " }'
}

try() { # fault
  local fault=$1 hosts=3 slots=1 steps=step batch=64 job start status=0 seconds gone log
  if [[ " ${signals[*]} " == *" $fault "* ]]; then hosts=1 slots=2; fi
  # Seconds per step; its first report comes with the first step.
  if [ "$fault" = TERM-long-step ]; then batch=6000; fi
  rm -rf "$folder/run"
  lab up --hosts "$hosts" --slots "$slots" --folder "$folder" 2>/dev/null
  log=$folder/log
  lab mpirun -- "$program" train --run run --threads 1 --set num_train_steps=1000000 --set validation=false \
    --set save_checkpoints_steps=1000000 --set report_steps=1 --set batch_size="$batch" --set stall_timeout=5 \
    >"$log" 2>&1 </dev/null &
  job=$!
  start=$SECONDS
  if [ "$batch" = 64 ]; then steps='"step":20,'; else steps='"step":1,'; fi
  until grep -qs "$steps" "$folder/run/metrics.jsonl"; do
    if ! kill -0 "$job" 2>/dev/null || [ $((SECONDS - start)) -ge 120 ]; then
      fail 70 "$fault: the run did not start: $(tail -n 5 "$log")"
    fi
    sleep 0.05
  done
  start=${EPOCHREALTIME/[.,]/}
  happen "$fault"
  if [ "$fault" = USR2 ]; then
    sleep 2
    kill -0 "$job" 2>/dev/null || echo "USR2 has ended the run" >&2
    start=${EPOCHREALTIME/[.,]/}
    happen KILL
  fi
  wait "$job" || status=$?
  seconds=$(seconds_since "$start")
  gone=
  while [ -n "$(lab processes | grep -v "^$name-[0-9]* [0-9]* Z" || true)" ]; do
    # What is frozen goes when it is thawed.
    if [ "$fault" = host-frozen ] && [ -z "$(lab processes 1)$(lab processes 2)" ]; then lab thaw 3; fi
    if [ "${EPOCHREALTIME%[.,]*}" -gt $((start / 1000000 + 90)) ]; then
      gone="stay: $(lab processes | awk '{ print $1 " " $4 }' | sed "s/$name-/host /" | sort -u | tr '\n' ';')"
      break
    fi
    sleep 0.1
  done
  [ -n "$gone" ] || gone=$(seconds_since "$start")
  echo "| $fault | $status | $seconds | $gone | $([ -e "$folder/run/checkpoints/latest" ] && echo yes || echo no) |" \
    "$(left "$hosts") |"
  lab down
}

echo "$(mpirun --version | head -n 1):"
echo
echo "| fault | exit code | mpirun ends after s | all gone after s | saved | left |"
echo "| --- | --- | --- | --- | --- | --- |"
for fault; do try "$fault"; done
