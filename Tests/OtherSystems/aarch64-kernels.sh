#!/usr/bin/env bash
# Compiles the kernels for 64-bit ARM, runs them in an emulator, and compares the bits of their results with x86-64's.
#
#   Tests/OtherSystems/aarch64-kernels.sh
#
# Needs clang (Swift's will do), and on Debian 12: qemu-user libc6-dev-arm64-cross libgcc-12-dev-arm64-cross
# binutils-aarch64-linux-gnu. Nothing is installed and nothing stays.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
kernels=$root/Sources/CKernels
driver=$root/Tests/OtherSystems/kernel_bits.c
scratch=$(mktemp -d "${TMPDIR:-/tmp}/kernel-bits.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

for command in clang qemu-aarch64 aarch64-linux-gnu-ld; do
  command -v "$command" >/dev/null || { echo "error: $command is not found; see the head of $0" >&2; exit 66; }
done

# The driver's own numbers, too, are the same everywhere: nothing is contracted in it.
build() {
  local output=$1
  shift
  clang -O2 -ffp-contract=off -Wall -Wextra -Werror -I"$kernels/include" "$@" "$driver" "$kernels"/*.c -o "$output"
}
build "$scratch/x86-64"
# A static program needs no ARM system beside it.
gcc_folder=$(dirname "$(find /usr/lib/gcc-cross/aarch64-linux-gnu -name libgcc.a | sort | tail -n 1)")
build "$scratch/aarch64" --target=aarch64-linux-gnu -static -isystem /usr/aarch64-linux-gnu/include \
  -B "$gcc_folder" -B /usr/aarch64-linux-gnu/lib -L "$gcc_folder" -L /usr/aarch64-linux-gnu/lib --ld-path="$(command -v aarch64-linux-gnu-ld)"

{
  "$scratch/x86-64"
  qemu-aarch64 "$scratch/aarch64"
} | tee "$scratch/hashes"
if [ "$(cut -d' ' -f1 "$scratch/hashes" | sort -u | wc -l)" = 1 ] && grep -q aarch64 "$scratch/hashes"; then
  echo "the same bits"
else
  echo "error: the bits differ" >&2
  exit 1
fi
