#!/bin/sh
# Runs weft-draw and checks exit codes, output and files: run.sh WEFT_DRAW WRITE_DIAGRAMS
set -u
. "$(dirname "$0")/../programs/expect.sh"
tool=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$2" "$folder" 1 >/dev/null || exit 1
cd "$folder" || exit 1
mv 0/step.json a.json
sed 's/factor=2.5/factor=77/; s/scale 2.5/scale 77/' a.json >b.json

# lacks FILE TEXT
lacks() {
  ! grep -qF -- "$2" "$1" || { echo "FAILED: $1 has '$2'"; failed=1; }
}

expect 0 "weft saved as JSON" "$tool" --help

# The text of a record, its signatures.
expect 0 "conv2d 3x3 same" "$tool" a.json
expect 0 "structure " "$tool" --signature a.json
expect 0 "identity " "$tool" --signature a.json
"$tool" --signature a.json >one.txt
"$tool" --signature b.json >other.txt
! cmp -s one.txt other.txt || { echo "FAILED: another attribute has the same signature"; failed=1; }

# Every format, complete.
for format in dot svg pdf png html json graphml txt; do
  expect 0 "drawn.$format" "$tool" a.json -o "drawn.$format" --strict
  [ -s "drawn.$format" ] || { echo "FAILED: drawn.$format is empty"; failed=1; }
done
cmp -s a.json drawn.json || { echo "FAILED: JSON is not what it was read from"; failed=1; }
holds drawn.dot 'label="drawn | '
holds drawn.svg '</svg>'

# Every option leaves its mark.
expect 0 "x.dot" "$tool" a.json --output x.dot --view backward --title "a title"
holds x.dot 'gradient of conv2d'
holds x.dot 'label="a title | '
expect 0 "x.dot" "$tool" a.json -o x.dot --view both --overlay time
holds x.dot 'gradient to'
holds x.dot 'critical path'
for overlay in memory flops; do
  expect 0 "x.dot" "$tool" a.json -o x.dot --overlay $overlay
  holds x.dot "weft_$overlay="
done
for overlay in gradient nonfinite gradcheck; do
  expect 0 "x.dot" "$tool" a.json -o x.dot --overlay $overlay
  holds x.dot 'nothing was'
done
expect 0 "x.dot" "$tool" a.json -o x.dot --overlay shape
lacks x.dot 'nothing was'
for theme in light dark print; do
  expect 0 "$theme.dot" "$tool" a.json -o $theme.dot --theme $theme --title x
done
! cmp -s light.dot dark.dot || { echo "FAILED: the dark theme is the light one"; failed=1; }
expect 0 "x.dot" "$tool" a.json -o x.dot --folded-dot --depth 0
holds x.dot 'weft_scope="conv1" weft_nodes='
expect 0 "x.dot" "$tool" a.json -o x.dot --folded-dot --depth 3
lacks x.dot 'weft_scope="conv1" weft_nodes='
expect 0 "x.dot" "$tool" a.json -o x.dot --folded-dot --max-boxes 4
[ "$(grep -c 'class="\(folded\|op\|input\|parameter\|constant\)' x.dot)" -le 4 ] || { echo "FAILED: more than 4 boxes"; failed=1; }

# Comparison.
expect 0 "equal" "$tool" --diff a.json a.json
expect 1 "attributes factor=2.5 -> factor=77" "$tool" --diff a.json b.json
expect 1 "d.dot" "$tool" --diff a.json b.json -o d.dot
holds d.dot '~ scale 77'
expect 1 "d.svg" "$tool" --diff a.json b.json -o d.svg --strict
holds d.svg '~ scale 77'

# Errors: one line, code 2, and no file.
rm -f x.*
echo "no json" >broken.json
head -c 1000 a.json >half.json
expect 2 "files is required" "$tool"
expect 2 "missing.json" "$tool" missing.json
expect 2 "weft-draw: " "$tool" broken.json
expect 2 "weft-draw: " "$tool" half.json
expect 2 "weft-draw: " "$tool" "$folder"
expect 2 "one graph is drawn at a time" "$tool" a.json b.json
expect 2 "--diff needs two files" "$tool" --diff a.json
expect 2 "unknown extension '.jpg'" "$tool" a.json -o x.jpg
expect 2 "No such file or directory" "$tool" a.json -o no/such/x.dot
expect 2 "view" "$tool" a.json -o x.dot --view sideways
expect 2 "overlay" "$tool" a.json -o x.dot --overlay tea
expect 2 "depth" "$tool" a.json -o x.dot --depth deep
expect 2 "--what" "$tool" a.json --what
expect 2 "cannot start /nonexistent" env WEFT_LAYOUT=/nonexistent "$tool" a.json -o x.svg --strict
[ -z "$(ls x.* no 2>/dev/null)" ] || { echo "FAILED: a refused call left $(ls x.* no)"; failed=1; }
expect 0 "weft-layout was not found" env WEFT_LAYOUT=/nonexistent "$tool" a.json -o x.svg
holds x.dot 'digraph weft'

# A full disk.
if [ -e /dev/full ]; then
  "$tool" a.json >/dev/full 2>err.txt
  [ $? -eq 2 ] || { echo "FAILED: text onto a full disk is no error"; failed=1; }
fi
exit $failed
