#!/bin/sh
# Manual pages and completions of a program, all from what it says of itself:
#
#   packaging/share.sh PROGRAM GENERATE_MANUAL FOLDER
#
# PROGRAM is bert4rec-dist, GENERATE_MANUAL the tool of swift-argument-parser (`swift build --product generate-manual`).
# FOLDER, made anew, gets man/man1 and the shells' folders, as they stand under PREFIX/share.
set -eu

if [ $# != 3 ]; then
  echo "usage: packaging/share.sh PROGRAM GENERATE_MANUAL FOLDER" >&2
  exit 64
fi
program=$1 generate_manual=$2 folder=$3
new=$folder.new
trap 'rm -rf "$new"' EXIT

rm -rf "$new"
mkdir -p "$new/man/man1" "$new/bash-completion/completions" "$new/zsh/site-functions" "$new/fish/vendor_completions.d"
# Read by the shell, not run.
"$program" --generate-completion-script bash | sed '1{/^#!/d}' >"$new/bash-completion/completions/bert4rec-dist"
"$program" --generate-completion-script zsh >"$new/zsh/site-functions/_bert4rec-dist"
"$program" --generate-completion-script fish >"$new/fish/vendor_completions.d/bert4rec-dist.fish"

# The day of the sources, not of the build: the same sources give the same pages.
date=$(date --utc --date="@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}" +%F)
"$generate_manual" "$program" --multi-page --date "$date" --output-directory "$new/man/man1"
# `help` has no options and no page.
rm "$new/man/man1/bert4rec-dist.help.1"
for page in "$new"/man/man1/*; do
  # Named as git's, so that `man bert4rec-dist train` finds them. In a page a line of text must not be empty, nor begin with a
  # quotation mark or a full stop. What --help says about exit codes goes where readers of manuals look for it.
  title=$(basename "$page" .1 | tr . ' ')
  sed -e "1,/^\.Sh SYNOPSIS/!s/^\.Nm\$/.Nm \"$title\"/" -e 's/bert4rec-dist\.\([a-z]\)/bert4rec-dist-\1/g' -e 's/BERT4REC-DIST\.\([A-Z]\)/BERT4REC-DIST-\1/g' \
    -e '/^\.Xr bert4rec-dist-help /d' -e '1,/^\.Nd/s/^\.Nm "bert4rec-dist \([a-z]*\)"$/.Nm bert4rec-dist-\1/' -e "s/^'/\\\\\\&'/" -e 's/^\.\([^A-Z\\]\)/\\\&.\1/' -e 's/^$/.Pp/' "$page" |
    awk '
      /^Exit codes: / { inside = 1; sub(/^Exit codes: /, "") }
      inside && /^\.(Pp|Bl)/ { inside = 0 }
      inside { codes = codes (codes == "" ? "" : " ") $0; next }
      /^\.Ex -std/ {
        count = split(codes, lines, "; ")
        print ".Bl -tag -width 4n -compact"
        for (i = 1; i <= count; i++) { code = lines[i]; sub(/ .*/, "", code); sub(/^[0-9]+ /, "", lines[i]); print ".It " code "\n" lines[i] }
        print ".El"
        next
      }
      { print }
      END { if (count == 0) exit 1 }' >"$page.new" || {
    echo "packaging/share.sh: the help of $(basename "$page" .1) says nothing about exit codes" >&2
    exit 70
  }
  name=$(basename "$page" .1 | tr . -).1
  rm "$page"
  mv "$page.new" "$new/man/man1/$name"
done

rm -rf "$folder"
mv "$new" "$folder"
# For make: newer than the program.
touch "$folder"
