#!/bin/sh
# What an op's author can forget: run.sh COMPILER INCLUDE_FOLDER ALL_OPS_CPP
# Without reference or samples an info does not compile; an op of the list without info does not link, by name.
set -u
compiler=$1 include=$2 all_ops=$3
here=$(dirname "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

compile() { "$compiler" -std=c++20 -I"$include" "$@" >"$folder/out.txt" 2>&1; }

# refused TEXT OPTION...: does not compile, and the compiler says TEXT.
refused() {
  text=$1
  shift
  if compile -fsyntax-only "$@"; then
    echo "FAILED: it compiles: $*"
    failed=1
  elif ! grep -q -- "$text" "$folder/out.txt"; then
    echo "FAILED: no word of '$text' from the compiler:"
    cat "$folder/out.txt"
    failed=1
  fi
}

compile -fsyntax-only "$here/op.cpp" || { echo "FAILED: the whole info does not compile:"; cat "$folder/out.txt"; failed=1; }
refused "weft::Reference" -DWITHOUT_REFERENCE "$here/op.cpp"
refused "weft::Samples" -DWITHOUT_SAMPLES "$here/op.cpp"

# The generated list of a project with one op file more, which defines no info.
sed 's/^const OpInfo& relu_info();/const OpInfo\& forgetful_info();\n&/; s/^ *&relu_info(),/    \&forgetful_info(),\n&/' \
  "$all_ops" >"$folder/all_ops.cpp"
grep -q '&forgetful_info(),' "$folder/all_ops.cpp" || { echo "FAILED: the list of all ops has another form"; failed=1; }
echo 'int main() {}' >"$folder/main.cpp"
if compile "$folder/main.cpp" "$folder/all_ops.cpp" -o "$folder/program"; then
  echo "FAILED: it links without an info"
  failed=1
elif ! grep -q "weft::forgetful_info()" "$folder/out.txt"; then
  echo "FAILED: the linker does not name the op:"
  cat "$folder/out.txt"
  failed=1
fi

exit $failed
