#!/bin/sh
# One record gives the same files in two processes, in two locales, with 1 and 2 threads: same_bytes.sh WRITE_DIAGRAMS
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# run NAME THREADS VARIABLE...: writes into $folder/NAME and compares with the first run.
run() {
  name=$1 threads=$2
  shift 2
  env "$@" "$write" "$folder/$name" "$threads" >"$folder/$name.locale" || { echo "FAILED: $name"; failed=1; }
  for copy in "$folder/$name"/*; do
    diff -r "$folder/first/0" "$copy" >"$folder/difference" && continue
    echo "FAILED: $name writes other bytes"
    head -c 2000 "$folder/difference"
    failed=1
  done
}

write=$1
mkdir "$folder/locales"
localedef -i de_DE -f UTF-8 "$folder/locales/de_DE.UTF-8" || exit 1
run first 1 LC_ALL=C
[ "$(ls "$folder/first/0" | wc -l)" -eq 6 ] || { echo "FAILED: $(ls "$folder/first/0")"; exit 1; }
run again 1 LC_ALL=C
run other_memory 1 LC_ALL=C MALLOC_PERTURB_=85 MALLOC_ARENA_MAX=1
run one_thread 1 LC_ALL=C OMP_NUM_THREADS=1
run two_threads 1 LC_ALL=C OMP_NUM_THREADS=2
run two_at_once 2 LC_ALL=C OMP_NUM_THREADS=1
# glibc leaks the parts of LOCPATH, which LeakSanitizer reports.
run german 1 LC_ALL=de_DE.UTF-8 LOCPATH="$folder/locales" ASAN_OPTIONS=detect_leaks=0
grep -q ',$' "$folder/german.locale" || { echo "FAILED: the locale was not used: $(cat "$folder/german.locale")"; failed=1; }
exit $failed
