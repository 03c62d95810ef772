#!/bin/sh
# Each dependency that Package.swift gives a target is imported by one of the target's files. The other direction, an import without
# a dependency, is checked by `swift build --explicit-target-dependency-import-check error`.
# Exit code: 0 all are used; 1 some are not (printed); 70 the description of the package could not be read.
set -eu
cd "$(dirname "$0")/.."
description=$(swift package describe --type json) || exit 70
printf '%s\n' "$description" | awk '
  # One field per line, as the description is printed: a list of names follows its key.
  function text(line) { sub(/^[^"]*"/, "", line); sub(/".*$/, "", line); return line }
  function value(line) { sub(/^[^:]*: *"/, "", line); sub(/".*$/, "", line); gsub(/\\\//, "/", line); return line }
  /^      "name" :/ { name = value($0) }
  /^      "path" :/ { path = value($0) }
  /^      "(target|product)_dependencies" : \[/ { list = 1; next }
  list && /\]/ { list = 0 }
  list { wanted[++count] = text($0); }
  /^    }/ {
    for (i = 1; i <= count; i++) print path, name, wanted[i]
    count = 0
  }
' | {
  status=0
  lines=0
  while read -r path name wanted; do
    lines=$((lines + 1))
    # Programs that tests start are built by the dependency, not imported.
    case $wanted in *-*) continue ;; esac
    grep -rqE "^(@[a-zA-Z_()]+ )*(public |package |internal )?import ([a-z]+ )?$wanted\b" "$path" || {
      echo "Package.swift: $name depends on $wanted, which no file of $path imports"
      status=1
    }
  done
  [ "$lines" -gt 20 ] || { echo "package-edges: the description of the package has changed its form" >&2; exit 70; }
  exit $status
}
