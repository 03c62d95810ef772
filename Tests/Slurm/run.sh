#!/usr/bin/env bash
# Tries cluster/slurm/train.sbatch in a Slurm of its own; `Tests/Slurm/run.sh --help` explains.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: SHORT=... LONG=... Tests/Slurm/run.sh PROGRAM FOLDER

Starts munged, slurmctld and slurmd on free ports of this machine, with all their files in FOLDER/slurm, lets
cluster/slurm/train.sbatch run PROGRAM (bert4rec-dist) as batch jobs in it, and takes everything down again, also when
interrupted. Needs root, and munged, slurmctld, slurmd, sbatch, scontrol and scancel (Debian: slurm-wlm, munge).

SHORT holds the arguments of a run that ends, LONG those of one that takes much longer than a minute, as words. FOLDER
gets a run folder and a log a job, and standard output a line a job, as
  signalled COMPLETED, restarts 1, exit 0:0

  signalled   USR1 to the batch shell in the middle of the SHORT run
  limited     the LONG run, one minute, USR1 before the limit; cancelled when it continues after that
  failing     a run with a configuration that is refused
USAGE
}

if [ $# != 2 ] || [ -z "${SHORT:-}" ] || [ -z "${LONG:-}" ]; then
  usage >&2
  exit 64
fi
read -ra short_run <<<"$SHORT"
read -ra long_run <<<"$LONG"
program=$(realpath "$1")
folder=$(realpath "$2")
cluster=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../cluster")
script=$cluster/slurm/train.sbatch
slurm=$folder/slurm
host=$(hostname -s)

say() { echo "run.sh: $1" >&2; }
fail() {
  say "$1"
  tail -n 30 "$slurm"/*.log "$folder"/*.log >&2 2>/dev/null || true
  exit 70
}

services=()
end_service() { # process
  kill "$1" 2>/dev/null || return 0
  for _ in $(seq 50); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
}
# shellcheck disable=SC2317,SC2329 # called by the trap below
take_down() {
  trap '' INT TERM HUP
  set +e
  # slurmd and slurmctld before munged, with which they speak.
  for ((i = ${#services[@]} - 1; i >= 0; i--)); do end_service "${services[i]}"; done
  # Jobs outlive slurmd, by design. All that belongs to them has this Slurm's name in its environment; what is called
  # here has it no more.
  export -n SLURM_CONF
  while :; do
    mapfile -t rest < <(grep -lsz "^SLURM_CONF=$slurm/slurm.conf$" /proc/[0-9]*/environ | cut -d / -f 3)
    [ ${#rest[@]} -gt 0 ] || break
    kill -KILL "${rest[@]}" 2>/dev/null
    sleep 0.1
  done
  wait
}
trap take_down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A port that nobody listens on.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

mkdir -m 755 "$slurm" "$slurm/state" "$slurm/spool"
mkdir -m 700 "$slurm/munge"
mkdir -m 755 "$slurm/socket"
head -c 128 /dev/urandom >"$slurm/munge/key"
chmod 600 "$slurm/munge/key"
controller_port=$(free_port)
node_port=$controller_port
while [ "$node_port" = "$controller_port" ]; do node_port=$(free_port); done

# The node pretends to have eight cores. Before a job that was put back starts again, Slurm waits as long as a
# credential lives: two minutes, unless told otherwise.
cat >"$slurm/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller_port
SlurmdPort=$node_port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$slurm/socket/munge,cred_expire=5
CredType=cred/munge
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=20
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 Boards=1 SocketsPerBoard=1 CoresPerSocket=8 ThreadsPerCore=1 State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE OverSubscribe=NO State=UP
CONF
export SLURM_CONF=$slurm/slurm.conf

start() { # name, command...: in the foreground of a job of this shell, so that its end is seen
  local name=$1
  shift
  "$@" </dev/null >"$slurm/$name.log" 2>&1 &
  services+=($!)
}
wait_for() { # seconds, what, command...
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "$what did not come in time"
    sleep 0.2
  done
}
controller_answers() { scontrol ping 2>/dev/null | grep -q "is UP"; }
node_is_idle() { sinfo --noheader --format=%T 2>/dev/null | grep -q idle; }

start munged munged --foreground --force --key-file="$slurm/munge/key" --socket="$slurm/socket/munge" \
  --pid-file="$slurm/munge/pid" --seed-file="$slurm/munge/seed"
wait_for 20 "munged's socket" test -S "$slurm/socket/munge"
start slurmctld slurmctld -D -f "$SLURM_CONF"
wait_for 20 "slurmctld" controller_answers
start slurmd slurmd -D -f "$SLURM_CONF"
wait_for 20 "the node" node_is_idle

cd "$folder"
export PROGRAM=$program
# shellcheck source=../../cluster/mpi-environment.sh
. "$cluster/mpi-environment.sh"
unset DATA CONFIG

submit() { # name, option of sbatch..., --, argument of the script...
  local name=$1
  local options=()
  shift
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  RUN=$name sbatch --parsable --job-name="$name" --output="$folder/$name.log" --nodes=1 --ntasks-per-node=2 \
    "${options[@]}" "$script" "$@"
}
show() { # job: as words, each on a line
  scontrol --oneliner show job "$1" | tr ' ' '\n'
}
field() { show "$1" | sed -n "s/^$2=//p"; }
is_over() { case $(field "$1" JobState) in COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL) ;; *) false ;; esac }
report() { # name, job
  echo "$1 $(field "$2" JobState), restarts $(field "$2" Restarts), exit $(field "$2" ExitCode)"
}
has() { grep -qs -- "$1" "$2"; } # words, file
has_step_or_is_over() { has '"step":20,' signalled/metrics.jsonl || is_over "$1"; }
has_more_lines() { [ "$(wc -l <limited/metrics.jsonl)" -gt "$1" ]; }

short_job=$(submit signalled --time=5 -- "${short_run[@]}")
failing_job=$(submit failing --time=5 -- --set no_such_key=1)
wait_for 60 "a step of the short run" has_step_or_is_over "$short_job"
scancel --signal=USR1 --batch "$short_job"
wait_for 20 "the refused run's end" is_over "$failing_job"

# slurmctld looks at time limits every 30 seconds from its start, and then signals those jobs whose limit is less than
# 30 seconds and the time of --signal away. So the long run gets its signal at the first look that finds it running.
long_job=$(submit limited --time=1 --signal=B:USR1@30 -- "${long_run[@]}")
wait_for 120 "the limited run's second start" has "resuming from limited/checkpoints/step-" limited.log
wait_for 60 "further steps" has_more_lines $(($(wc -l <limited/metrics.jsonl) + 2))
scancel "$long_job"
wait_for 60 "the cancelled run's end" is_over "$long_job"
wait_for 60 "the short run's end" is_over "$short_job"
# Were a job put back wrongly, it would show itself.
sleep 2
report signalled "$short_job"
report limited "$long_job"
report failing "$failing_job"
