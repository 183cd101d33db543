#!/bin/sh
# run.sh [SECONDS [TARGET...]]: lets libFuzzer loose on each reader for so long (600), with AddressSanitizer and
# UndefinedBehaviorSanitizer in weft's readers, from real files as seeds. Ends with a line per target; findings are in build/fuzz.
set -eu
cd "$(dirname "$0")/../.."
. src/cmake/setup.sh
seconds=${1:-600}
[ $# -eq 0 ] || shift
targets=${*:-safetensors npz hdf5 keras}
install_packages $weft_packages clang libomp-dev python3-h5py

mkdir -p build
cmake -S . -B build/fuzz -G Ninja -DCMAKE_BUILD_TYPE=Release -DWEFT_FUZZ=ON -DWEFT_EXAMPLES=OFF \
  -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang >build/fuzz.log
all=""
for target in $targets; do all="$all fuzz_$target seeds_$target"; done
ninja -C build/fuzz $all
/usr/bin/python3 tests/fuzz/seeds.py build/fuzz/seeds

status=0
for target in $targets; do
  build/fuzz/tests/fuzz/seeds_"$target" --seeds build/fuzz/seeds/"$target"
  mkdir -p build/fuzz/corpus/"$target"
  log=build/fuzz/"$target".log
  if build/fuzz/tests/fuzz/fuzz_"$target" -max_total_time="$seconds" -max_len=65536 -timeout=25 -rss_limit_mb=2048 \
    -artifact_prefix=build/fuzz/"$target"- build/fuzz/corpus/"$target" build/fuzz/seeds/"$target" >"$log" 2>&1; then
    echo "$target: no finding, $(tail -n 1 "$log")"
  else
    echo "$target: FOUND something, see $log"
    status=1
  fi
done
exit $status
