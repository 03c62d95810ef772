#!/usr/bin/env bash
# Builds the program in a Debian 13 of its own and trains there; `Tests/OtherSystems/debian-13.sh --help` explains.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: Tests/OtherSystems/debian-13.sh [FOLDER] [-- COMMAND...]

Makes a Debian 13 (another C library, Open MPI 5, another OpenBLAS) in FOLDER, copies this checkout there as it is, with
what is not committed, builds the program, prints the system's versions, and trains the built-in demo for 60 steps on
one rank and on two. The two lines of parameter_hash can be compared with each other and with another system's.

FOLDER (default: debian-13 in TMPDIR or /tmp) takes some 4 GB; the next run uses it and what was built again. COMMAND
runs there, in the copy, in the place of build and demo: `make test` runs every test, those with several hosts, Slurm,
full disks and strace, too, whose packages are installed. Before an mpirun of your own: `. cluster/mpi-environment.sh`.

Needs root, debootstrap, Swift on the PATH (its toolchain is shown to Debian 13, read-only) and git. Swift packages are
fetched by this system, in its way, before Debian 13 is entered. MIRROR, in the environment, is where Debian's packages
come from (default: http://deb.debian.org/debian), BUILD_FLAGS is make's (for instance -j 1).

Mounts and processes live in namespaces of their own: none stays, also when this script is interrupted or killed.

Exit code: the command's; 64 wrong usage; 66 something is not there.
USAGE
}

fail() { # exit code, message
  echo "error: $2" >&2
  exit "$1"
}

# --- in namespaces of its own, where the script starts itself again: folder, toolchain, then the command

in_there() {
  chroot "$system" env -i PATH="$toolchain/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" DEBIAN_FRONTEND=noninteractive BUILD_FLAGS="${BUILD_FLAGS:-}" "$@"
}

# Compiler and libraries; what Swift's toolchain is linked with; what tests call, so that none of them is skipped.
packages=(libopenmpi-dev openmpi-bin libopenblas-dev libarchive-dev pkg-config make git gcc libc6-dev libstdc++-14-dev
  libxml2 libcurl4t64 libncurses6 zlib1g-dev ca-certificates python3-minimal iproute2 procps
  e2fsprogs strace slurm-wlm munge openssh-client zip zstd xz-utils bzip2)

if [ "${1:-}" = --inside ]; then
  folder=$2 toolchain=$3
  shift 3
  system=$folder/system copy=$folder/source
  # debootstrap takes its own folder away at last; what it left before cannot be gone on with.
  if [ -e "$system/debootstrap" ]; then rm -rf --one-file-system "$system"; fi
  if [ ! -e "$system/etc/debian_version" ]; then
    debootstrap --variant=minbase trixie "$system" "${MIRROR:-http://deb.debian.org/debian}"
  fi
  [ -e "$system/etc/hosts" ] || echo "127.0.0.1 localhost $(hostname)" >"$system/etc/hosts"
  mount --bind "$system" "$system"
  mount -t proc proc "$system/proc"
  mount --rbind /dev "$system/dev"
  mount --rbind /sys "$system/sys"
  # Open MPI's shared memory: what is left there is not to stay on this machine.
  mount -t tmpfs -o mode=1777 tmpfs "$system/dev/shm"
  if [ "$(cat "$system/root/installed" 2>/dev/null)" != "${packages[*]}" ]; then
    in_there dpkg --configure -a
    in_there apt-get update
    in_there apt-get install --yes --no-install-recommends "${packages[@]}"
    echo "${packages[*]}" >"$system/root/installed"
  fi
  mkdir -p "$system$toolchain" "$system$copy"
  mount --bind "$toolchain" "$system$toolchain"
  mount -o remount,bind,ro "$system$toolchain"
  # At the same path as outside: git's working copies of the Swift packages name their repositories by path.
  mount --bind "$copy" "$system$copy"
  cat >"$system/root/demo" <<'DEMO'
set -eu
make build BUILD_FLAGS="$BUILD_FLAGS"
echo "Debian $(cat /etc/debian_version); $(ldd --version | head -n 1); $(mpirun --version | head -n 1);" \
  "OpenBLAS $(pkg-config --modversion openblas)"
. cluster/mpi-environment.sh
for ranks in 1 2; do
  run=$(mktemp -d)/run
  mpirun -np $ranks .build/release/bert4rec-dist train --run "$run" --set num_train_steps=60 >"$run.log" 2>&1 || {
    status=$?
    tail -n 20 "$run.log" >&2
    exit $status
  }
  grep '^ranks:' "$run.log"
  grep -o 'parameter_hash.*' "$run/metrics.jsonl" | tail -n 1
done
DEMO
  if [ $# = 0 ]; then set -- sh /root/demo; fi
  # This root becomes the namespace's own: with a mere chroot, the lab's hosts would find this machine's root in theirs.
  cd "$system"
  pivot_root . mnt
  system=.
  # shellcheck disable=SC2016 # the shell in there expands
  in_there sh -c 'umount -l /mnt && cd "$0" && exec "$@"' "$copy" "$@"
  exit
fi

# --- outside

folder=${TMPDIR:-/tmp}/debian-13
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
  [ "$1" = -- ] || fail 64 "one folder, then -- and a command (see --help)"
  shift
fi
[ "$(id -u)" = 0 ] || fail 64 "needs root, for debootstrap and chroot"
for command in debootstrap swift unshare setpriv git; do
  command -v "$command" >/dev/null || fail 66 "$command is not on the PATH (see --help)"
done
# Asked rather than told from the path of `swift`, which may be a link or a launcher.
toolchain=$(swift -print-target-info | sed -n 's|.*"runtimeResourcePath": "\(.*\)/usr/lib/swift".*|\1|p')
[ -n "$toolchain" ] || fail 66 "the toolchain of $(command -v swift) has no folder of its own (it lies in /usr)"

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Files in the copy that the checkout does not have are taken away: nobody else's, please.
if [ -e "$folder" ] && [ ! -e "$folder/files" ] && [ -n "$(ls -A "$folder")" ]; then
  fail 64 "$folder holds what is not of this script: name a folder that is new or empty"
fi
mkdir -p "$folder/source"
folder=$(cd "$folder" && pwd -P)
copy=$folder/source
exec {lock}<"$folder"
flock --nonblock "$lock" || fail 64 "$folder is in use by another run"

# Files as they are now, new ones too, without those that git ignores; what is gone here goes there.
files=$folder/files
git -C "$checkout" ls-files -z --cached --others --exclude-standard |
  (cd "$checkout" && while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done) |
  sort -zu >"$files"
(cd "$copy" && find . -path ./.build -prune -o -type f ! -path ./Package.resolved -printf '%P\0') | sort -z |
  comm -z -23 - "$files" | (cd "$copy" && xargs -0r rm -f --)
tar -C "$checkout" --null --files-from="$files" -c | tar -C "$copy" -x
if [ -e "$checkout/Package.resolved" ]; then cp "$checkout/Package.resolved" "$copy/"; fi
swift package --package-path "$copy" resolve

# In the background, so that a signal is heeded at once; with it end, by --kill-child, all processes in there.
setpriv --pdeathsig KILL env --default-signal=INT,QUIT unshare --mount --pid --fork --kill-child=KILL \
  bash "${BASH_SOURCE[0]}" --inside "$folder" "$toolchain" "$@" <&0 &
job=$!
# shellcheck disable=SC2317,SC2329 # called by traps
interrupted() { # exit code
  kill -KILL "$job"
  wait "$job" 2>/dev/null || true
  exit "$1"
}
trap 'interrupted 129' HUP
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
status=0
wait "$job" || status=$?
exit "$status"
