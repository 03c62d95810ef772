#!/bin/bash
# packaging/docs.sh BUILD FOLDER: the library's documentation as web pages, from a finished build (.build/release).
#
# Programs import BERT4RecDist alone, so its symbol graph has what the modules behind it show as well, and the pages are one
# archive. Both tools are part of Swift's toolchain. Look at the pages through a web server, as their scripts demand:
#   python3 -m http.server --directory FOLDER   # http://localhost:8000/documentation/bert4recdist
set -euo pipefail
build=$1 folder=$2
tools=$(dirname "$(realpath "$(command -v "${SWIFT:-swift}")")")
graph=$(mktemp -d) && trap 'rm -rf "$graph"' EXIT

flags=()
for map in Sources/*/module.modulemap "$build"/*.build/module.modulemap; do flags+=(-Xcc "-fmodule-map-file=$map"); done
# Headers of the C modules: of the libraries, and of the packages that were checked out.
for flag in $(pkg-config --cflags-only-I ompi-c openblas libarchive); do flags+=(-Xcc "$flag"); done
while read -r include; do flags+=(-Xcc "-I$include"); done < <(find .build/checkouts -type d -name include -path '*/Sources/*')

modules=$(sed -n 's/^@_exported import //p' Sources/BERT4RecDist/*.swift | paste -sd,)
"$tools/swift-symbolgraph-extract" -module-name BERT4RecDist -I "$build/Modules" "${flags[@]}" \
  -target "$("$tools/swiftc" -print-target-info | sed -n 's/.*"unversionedTriple": "\(.*\)".*/\1/p' | head -1)" \
  -minimum-access-level public -experimental-allowed-reexported-modules="$modules" -output-dir "$graph"
rm -rf "$folder"
"$tools/docc" convert Sources/BERT4RecDist/BERT4RecDist.docc --additional-symbol-graph-dir "$graph" \
  --fallback-display-name BERT4RecDist --fallback-bundle-identifier BERT4RecDist --warnings-as-errors --output-path "$folder"
echo "the library's documentation: $folder (python3 -m http.server --directory $folder, then /documentation/bert4recdist)"
