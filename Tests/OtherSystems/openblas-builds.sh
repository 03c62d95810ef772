#!/usr/bin/env bash
# Trains the demo with each of Debian's builds of OpenBLAS; `Tests/OtherSystems/openblas-builds.sh --help` explains.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: Tests/OtherSystems/openblas-builds.sh [FOLDER] [-- ARGUMENT...]

Fetches Debian's three builds of OpenBLAS (serial, pthread, OpenMP) as packages, unpacks them without installing them,
and trains the built-in demo with each (`backend=openblas`, 60 steps): one rank with two threads, and two ranks with
one. Which build a program gets is decided by LD_LIBRARY_PATH alone, so the system stays as it is. Prints what each
build says of itself and a line a training: exit code, wall time, the most threads that a process had, and
parameter_hash, which must be the same everywhere: the builds differ in how they use threads, not in how they add.
With the serial build, which two threads must not use at a time, two threads have to be refused (exit code 64).

FOLDER keeps packages and run folders, and its packages are used again (default: a temporary folder, which goes).
ARGUMENT... are further arguments of `train`; the last of two settings of one key counts. PROGRAM, in the environment,
is the program (default: .build/release/bert4rec-dist of this checkout). LIMIT is the most seconds a training may take
(600).

Needs Debian or a system made from it, package lists that are not too old (apt-get update), mpirun, and a C compiler
with libopenblas-dev. It does not need root.

Exit code: 0 same bits everywhere; 1 not, or a training ended otherwise than it should; 64 wrong usage; 66 something
is not there.
USAGE
}

fail() { # exit code, message
  echo "error: $2" >&2
  exit "$1"
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=${PROGRAM:-$here/../../.build/release/bert4rec-dist}
folder=
case ${1:-} in
  --help | -h)
    usage
    exit 0
    ;;
  '' | --) ;;
  -*) fail 64 "unknown option $1 (see --help)" ;;
  *)
    folder=$1
    shift
    ;;
esac
if [ $# -gt 0 ]; then
  [ "$1" = -- ] || fail 64 "one folder, then -- and arguments of train (see --help)"
  shift
fi
for command in apt-get dpkg-deb mpirun cc; do
  command -v "$command" >/dev/null || fail 66 "$command is not on the PATH (see --help)"
done
program=$(realpath -e "$program" 2>/dev/null) || fail 66 "there is no program (make build)"

if [ -n "$folder" ]; then
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
else
  folder=$(mktemp -d "${TMPDIR:-/tmp}/openblas-builds.XXXXXX")
  trap 'rm -rf "$folder"' EXIT
fi
scratch=$(mktemp -d "$folder/runs.XXXXXX")

# Settings of the caller would hide what the builds do by themselves.
unset OMP_NUM_THREADS OPENBLAS_NUM_THREADS GOTO_NUM_THREADS
# shellcheck source=../../cluster/mpi-environment.sh
. "$here/../../cluster/mpi-environment.sh"

cat >"$scratch/probe.c" <<'PROBE'
#include <stdio.h>
int openblas_get_parallel(void);
char *openblas_get_config(void);
int main(void) {
  printf("openblas_get_parallel %d, openblas_get_config \"%s\"\n", openblas_get_parallel(), openblas_get_config());
}
PROBE
cc "$scratch/probe.c" -o "$scratch/probe" -lopenblas || fail 66 "cc cannot link with OpenBLAS (libopenblas-dev)"

# counted FILE PROGRAM...: becomes the program; beside it, a process writes the most threads that were seen into FILE.
cat >"$scratch/counted" <<'COUNTED'
#!/usr/bin/env bash
file=$1.$$
shift
{
  most=0
  while tasks=("/proc/$$/task/"*) && [ -e "${tasks[0]}" ]; do
    if ((${#tasks[@]} > most)); then most=${#tasks[@]} && echo "$most" >"$file"; fi
    sleep 0.02
  done
} </dev/null >/dev/null 2>&1 &
exec "$@"
COUNTED
chmod +x "$scratch/counted"

failures=0
declare -A ways=([threads]='1 rank, 2 threads:' [ranks]='2 ranks, 1 thread:')
train() { # exit code that is right, `threads` or `ranks`, what starts the program, the program and its arguments
  local right=$1 way=$2 run=$build-$2 started status=0 microseconds threads hash
  shift 2
  started=${EPOCHREALTIME/[.,]/}
  LD_LIBRARY_PATH=$library timeout --foreground "${LIMIT:-600}" "$@" --run "$scratch/$run" --resume never \
    >"$scratch/$run.log" 2>&1 </dev/null || status=$?
  microseconds=$((${EPOCHREALTIME/[.,]/} - started))
  threads=$(cat "$scratch/$run".most.* 2>/dev/null | sort -n | tail -n 1)
  hash=$(grep -o '"parameter_hash": *"[0-9a-f]*"' "$scratch/$run/metrics.jsonl" 2>/dev/null | tail -n 1 |
    cut -d '"' -f 4) || true
  printf '  %-18s exit %d, %d.%02d s, at most %d threads per process, parameter_hash %s\n' "${ways[$way]}" "$status" \
    $((microseconds / 1000000)) $((microseconds % 1000000 / 10000)) "${threads:-0}" "${hash:-none}"
  grep -E '^(ranks|error):' "$scratch/$run.log" | sed 's/^/    /' || true
  if [ "$status" != "$right" ]; then
    failures=$((failures + 1))
    echo "    exit code $right was expected; the last lines:"
    tail -n 5 "$scratch/$run.log" | sed 's/^/    /'
  elif [ "$status" = 0 ]; then
    echo "${hash:-none of $run}" >>"$scratch/hashes"
  fi
}

for build in serial pthread openmp; do
  package=libopenblas0-$build
  if [ ! -d "$folder/$package" ]; then
    # Root's apt would fetch as another user, who may not write here.
    (cd "$scratch" && apt-get -qq -o APT::Sandbox::User=root download "$package") ||
      fail 66 "$package cannot be fetched"
    dpkg-deb -x "$scratch/${package}"_*.deb "$scratch/$package"
    mv "$scratch/$package" "$folder/"
  fi
  library=$(dirname "$(find "$folder/$package" -name libopenblas.so.0)")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  linked=$(LD_LIBRARY_PATH=$library ldd "$program")
  case $linked in
    *'not found'*) fail 66 "$package or the program needs what is not installed: $(grep 'not found' <<<"$linked")" ;;
    *"=> $folder/$package/"*) ;;
    *) fail 66 "$program has a path to an OpenBLAS of its own" ;;
  esac
  echo "$build: $(LD_LIBRARY_PATH=$library "$scratch/probe")"
  settings=(train --set backend=openblas --set num_train_steps=60 "$@")
  if [ "$build" = serial ]; then right=64; else right=0; fi
  train "$right" threads "$scratch/counted" "$scratch/$build-threads.most" "$program" "${settings[@]}" --threads 2
  train 0 ranks mpirun -np 2 "$scratch/counted" "$scratch/$build-ranks.most" "$program" "${settings[@]}" --threads 1
done

[ "$failures" = 0 ] || fail 1 "$failures of the trainings ended otherwise than they should"
[ "$(sort -u "$scratch/hashes" | wc -l)" = 1 ] || fail 1 "the bits differ"
echo "the same bits"
