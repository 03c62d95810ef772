#!/usr/bin/env bash
# Builds the program in a Debian 13 of its own (another C library, Open MPI 5, another OpenBLAS) and trains the demo there, to compare
# the parameters' hash with this system's.
#
#   Tests/OtherSystems/debian-13.sh [FOLDER] [-- COMMAND...]
#
# FOLDER (default: ${TMPDIR:-/tmp}/debian-13) receives the system, some 3 GB, and is used again by the next run. COMMAND runs there,
# in the checkout, instead of the demo. MIRROR is where Debian's packages come from. Needs root, debootstrap, a Swift toolchain and
# a checkout whose packages are resolved (`swift package resolve`). Mounts live in a namespace of their own, so none stays.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
mirror=${MIRROR:-http://deb.debian.org/debian}
packages="libopenmpi-dev openmpi-bin libopenblas-dev pkg-config make git gcc libc6-dev libxml2 libcurl4t64 libncurses6 \
  libstdc++-14-dev zlib1g-dev ca-certificates python3-minimal"

folder=${TMPDIR:-/tmp}/debian-13
if [ $# -gt 0 ] && [ "$1" != -- ]; then
  if [ "$1" = --help ]; then sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0; fi
  folder=$1
  shift
fi
[ "${1:-}" = -- ] && shift
if [ "$(id -u)" != 0 ]; then echo "error: needs root, for debootstrap and chroot" >&2; exit 64; fi
for command in debootstrap swift unshare; do
  command -v "$command" >/dev/null || { echo "error: $command is not found; see the head of $0" >&2; exit 66; }
done

if [ ! -e "$folder/ready" ]; then
  debootstrap --variant=minbase trixie "$folder" "$mirror"
  chroot "$folder" sh -c "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $packages"
  touch "$folder/ready"
fi

# The checkout as it is, and the Swift packages that were resolved outside; what is built stays for the next run.
mkdir -p "$folder/checkout/.build"
git -C "$root" ls-files -z | tar -C "$root" --null --files-from=- -c | tar -C "$folder/checkout" -x
for part in checkouts repositories workspace-state.json; do
  cp -a --update "$root/.build/$part" "$folder/checkout/.build/"
done
cp "$root/Package.resolved" "$folder/checkout/" 2>/dev/null || true

toolchain=$(dirname "$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")")
cat >"$folder/checkout/.run-there" <<'THERE'
set -eu
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_MCA_rmaps_default_mapping_policy=slot:oversubscribe
cd /checkout
if [ $# -gt 0 ]; then exec "$@"; fi
swift build -c release --product bert4rec-dist --disable-automatic-resolution
echo "Debian $(cat /etc/debian_version), $(ldd --version | head -n 1), $(mpirun --version | head -n 1)"
for ranks in 1 2; do
  run=$(mktemp -d)/run
  mpirun -np $ranks .build/release/bert4rec-dist train --run "$run" --set num_train_steps=60 2>&1 | grep '^ranks:'
  grep -o 'parameter_hash.*' "$run/metrics.jsonl" | tail -n 1
done
THERE
mkdir -p "$folder$toolchain"
# shellcheck disable=SC2016  # expanded by the inner shell
exec unshare --mount sh -c '
  folder=$1 toolchain=$2
  shift 2
  mount --rbind "$toolchain" "$folder$toolchain"
  mount -t proc proc "$folder/proc"
  mount --bind /dev "$folder/dev"
  exec chroot "$folder" env PATH="$toolchain/usr/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" HOME=/root TMPDIR=/tmp \
    sh /checkout/.run-there "$@"' sh "$folder" "$toolchain" "$@"
