# Sourced by the scripts that run a program and check what it does; they end with `exit $failed`.
failed=0

# expect CODE TEXT COMMAND...: the command exits so, and stdout or stderr has the text.
expect() {
  code=$1 text=$2
  shift 2
  "$@" >out.txt 2>&1
  found=$?
  if [ $found -ne "$code" ] || ! grep -qF -- "$text" out.txt; then
    echo "FAILED: $* exited with $found, needed $code and '$text'; it printed:"
    head -c 5000 out.txt
    failed=1
  fi
}
# holds FILE TEXT
holds() {
  grep -qF -- "$2" "$1" || { echo "FAILED: $1 lacks '$2'"; failed=1; }
}
