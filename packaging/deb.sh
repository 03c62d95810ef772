#!/bin/bash
# Makes a Debian package of this checkout; `make deb` calls it. packaging/deb.sh --help explains.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: packaging/deb.sh [FOLDER]

Builds the program with Swift's runtime inside (`make static`) and packs it with manual pages, completions, documentation
and the cluster's scripts. The package, FOLDER/bert4rec-dist_VERSION_ARCHITECTURE.deb (default: .build), needs the
libraries of the Debian or Ubuntu that it was made on, and no Swift.

VERSION is the program's with the day and commit of the sources, so that a later one takes an earlier one's place; of a
commit that is tagged v and the program's version, that version alone. Maintainer is DEBFULLNAME <DEBEMAIL> of the
environment, else git's user.name and user.email.

Needs dpkg-dev. Exit code: 0 done; 64 wrong usage, or a maintainer is not known; 66 a tool is missing; else that of what
failed.
USAGE
}

fail() { # exit code, message
  echo "deb.sh: $2" >&2
  exit "$1"
}

case ${1:-} in
  --help | -h)
    usage
    exit 0
    ;;
  -*) fail 64 "unknown option $1 (see --help)" ;;
esac
[ $# -le 1 ] || fail 64 "one folder at most (see --help)"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
output=${1:-.build}
for command in dpkg-deb dpkg-shlibdeps strip make; do
  command -v "$command" >/dev/null || fail 66 "$command is not on the PATH: apt-get install dpkg-dev make"
done
name=${DEBFULLNAME:-$(git config user.name || true)}
email=${DEBEMAIL:-$(git config user.email || true)}
if [ -z "$name" ] || [ -z "$email" ]; then fail 64 "a package needs a maintainer: set DEBFULLNAME and DEBEMAIL"; fi

# The same sources make the same bytes.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Package.swift)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d "${TMPDIR:-/tmp}/bert4rec-deb.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
root=$work/root
make --no-print-directory install STATIC=yes DESTDIR="$root" PREFIX=/usr
program=$root/usr/bin/bert4rec-dist
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$program"
# Debian's own place.
mkdir -p "$root/usr/share/zsh"
mv "$root/usr/share/zsh/site-functions" "$root/usr/share/zsh/vendor-completions"

version=$("$program" --version | sed -n '1s/ .*//p')
[ -n "$version" ] || fail 70 "$program --version has no version in its first line"
if [ "$(git describe --tags --exact-match 2>/dev/null)" != "v$version" ]; then
  day=$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y%m%d.%H%M%S)
  version=$version~$day.$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
fi
version=$version-1
architecture=$(dpkg --print-architecture)

documents=$root/usr/share/doc/bert4rec-dist
mkdir -p "$documents/examples"
cp README.md docs/*.md "$documents/"
cp -R cluster configs "$documents/examples/"
rm "$documents/examples/configs"/*.swift
gzip -9n <CHANGELOG.md >"$documents/changelog.gz"
{
  echo "bert4rec-dist ($version) unstable; urgency=medium"
  printf '\n  * Built from these sources; what changed is in changelog.gz.\n\n'
  echo " -- $name <$email>  $(LC_ALL=C date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$documents/changelog.Debian.gz"
cp packaging/copyright "$documents/copyright"
find "$root/usr/share/man" -type f -exec gzip -9n {} +
find "$root" -type d -exec chmod 755 {} +
find "$root" -type f -exec chmod 644 {} +
chmod 755 "$program"
# Scripts that are run, not those that are read by others.
{ grep -rlZ '^#!' "$documents/examples" || true; } | xargs -0r chmod 755
mkdir -p "$root/usr/share/lintian/overrides"
cp packaging/lintian-overrides "$root/usr/share/lintian/overrides/bert4rec-dist"

# Which packages hold the libraries that the program is linked with, in which versions.
mkdir "$work/debian"
printf 'Source: bert4rec-dist\n\nPackage: bert4rec-dist\nArchitecture: any\n' >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O -e"$program" | sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || fail 70 "dpkg-shlibdeps has found no dependency of $program"

mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: bert4rec-dist
Version: $version
Architecture: $architecture
Maintainer: $name <$email>
Installed-Size: $(du --apparent-size -ks --exclude=DEBIAN "$root" | cut -f1)
Depends: $depends, openmpi-bin
Recommends: openssh-client
Section: science
Priority: optional
Description: trains the sequential recommender BERT4Rec, data-parallel
 BERT4Rec (Sun et al., CIKM 2019) predicts the next item of a user's history
 of items. This program trains it on CPUs, on one machine or on a cluster over
 MPI, from files of users, items and times, with the same bits on any number
 of ranks. It evaluates models, recommends, and writes checkpoints that load
 in Hugging Face's BertForMaskedLM.
CONTROL
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$output"
package=$output/bert4rec-dist_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz -z3 --build "$root" "$package" >/dev/null
echo "$package"
