# Sourced by examples/run.sh and tests/run.sh, from the project's folder. Installs the packages that are missing (Debian,
# Ubuntu) and defines `build DIR [cmake option...]`. What is there already is left alone.

weft_packages="g++ cmake ninja-build pkg-config libfmt-dev libboost-graph-dev libdnnl-dev libopenblas-openmp-dev \
libhdf5-dev nlohmann-json3-dev libzip-dev zlib1g-dev libgraphviz-dev graphviz fonts-dejavu-core libgd-dev catch2 \
libcli11-dev locales"

install_packages() {
  missing=""
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  as_root=""
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "weft: needs root to install:$missing" >&2; return 1; }
    as_root=sudo
  fi
  echo "weft: installing$missing"
  $as_root apt-get update -qq
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

build() {
  directory=$1
  shift
  cmake -S . -B "$directory" -G Ninja "$@" >"$directory.log" 2>&1 || { cat "$directory.log" >&2; return 1; }
  ninja -C "$directory"
}
