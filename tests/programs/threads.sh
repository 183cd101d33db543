#!/bin/sh
# What the environment says of the number of threads: threads.sh PRINT_THREADS
set -u
. "$(dirname "$0")/expect.sh"
print=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
unset OMP_NUM_THREADS WEFT_NUM_THREADS

processors=$(nproc)
expect 0 "$processors here, $processors in another thread" "$print"
expect 0 "$processors here, $processors in another thread" env WEFT_NUM_THREADS= "$print"
expect 0 "3 here, 3 in another thread" env OMP_NUM_THREADS=3 "$print"
expect 0 "5 here, 5 in another thread" env WEFT_NUM_THREADS=5 OMP_NUM_THREADS=3 "$print"
expect 0 "4 here, 5 in another thread" env WEFT_NUM_THREADS=5 OMP_NUM_THREADS=3 "$print" 4

for wrong in 0 -1 two 2x 1.5 ' 2' 1025 99999999999999999999; do
  expect 1 "WEFT_NUM_THREADS takes a number of threads from 1 to 1024, found '$wrong'" env "WEFT_NUM_THREADS=$wrong" "$print"
done
# What the program says comes first.
expect 0 "2 here, 0 in another thread" env WEFT_NUM_THREADS=two "$print" 2
exit $failed
