#!/usr/bin/env bash
# Trains the demo for 60 steps with `backend: openblas` on each of Debian's builds of OpenBLAS, without changing the system: the
# packages are unpacked into a folder that is named to the dynamic linker.
#
#   Tests/OtherSystems/openblas-builds.sh PROGRAM
#
# Prints for each build what the program says of it, the largest number of threads of its process with --threads 2 and with 1, and
# the parameters' hash. Needs apt-get (`apt-get update` was run) and dpkg-deb.
set -euo pipefail

program=$(readlink -f "${1:?the program, such as .build/release/bert4rec-dist}")
scratch=$(mktemp -d "${TMPDIR:-/tmp}/openblas-builds.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

run() {
  local run=$1 threads=$2 most=0 now
  "$program" train --run "$run" --threads "$threads" --set backend=openblas --set num_train_steps=60 >"$run.log" 2>&1 &
  local process=$!
  while [ -d "/proc/$process/task" ]; do
    now=$(find "/proc/$process/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l) || true
    [ "$now" -gt "$most" ] && most=$now
    sleep 0.02
  done
  local status=0
  wait "$process" || status=$?
  echo "  --threads $threads: exit code $status, at most $most threads in the process"
  { grep -E '^(ranks:|error:)' "$run.log" || true; } | sed 's/^/    /'
  [ "$status" != 0 ] || grep -o 'parameter_hash.*' "$run/metrics.jsonl" | tail -n 1 | sed 's/^/    /'
}

for build in pthread openmp serial; do
  apt-get download "libopenblas0-$build" >/dev/null 2>&1 || { echo "$build: cannot be downloaded" >&2; continue; }
  dpkg-deb -x "libopenblas0-${build}"_*.deb "$build"
  LD_LIBRARY_PATH=$(dirname "$(find "$scratch/$build" -name libopenblas.so.0 | head -n 1)")
  export LD_LIBRARY_PATH
  echo "$build"
  for threads in 1 2; do run "$build-$threads" "$threads"; done
  unset LD_LIBRARY_PATH
done
