#!/bin/sh
# Installs what is missing, builds and runs all tests. Arguments:
#   --sanitize   with AddressSanitizer and UndefinedBehaviorSanitizer, in a build of its own
# and anything else goes to ctest: sh tests/run.sh -R conv2d
set -eu
cd "$(dirname "$0")/.."
. src/cmake/setup.sh
install_packages $weft_packages
mkdir -p build
directory=build/release
options="-DCMAKE_BUILD_TYPE=Release"
if [ "${1:-}" = --sanitize ]; then
  shift
  directory=build/sanitize
  options="-DCMAKE_BUILD_TYPE=RelWithDebInfo -DWEFT_SANITIZE=address,undefined"
fi
build $directory $options
exec ctest --test-dir $directory --output-on-failure --parallel "$(nproc)" --no-tests=error "$@"
