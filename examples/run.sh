#!/bin/sh
# Installs what is missing, builds (Release) and trains a CNN on hand signs; arguments go to the example:
#   sh examples/run.sh --epochs 30 --out results
set -eu
caller=$PWD
cd "$(dirname "$0")/.."
. src/cmake/setup.sh
install_packages $weft_packages
mkdir -p build
build build/release -DCMAKE_BUILD_TYPE=Release
program=$PWD/build/release/examples/signs
cd "$caller"
exec "$program" "$@"
