#!/bin/sh
# Runs weft-gradcheck and checks exit codes and output: run.sh WEFT_GRADCHECK GRADCHECK_OF_WRONG_OPS
set -u
. "$(dirname "$0")/../programs/expect.sh"
tool=$1
wrong=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

expect 0 "weft-gradcheck 0." "$tool" --version
expect 0 "explain" "$tool" --help
expect 0 "--jacobian" "$tool" run --help
expect 0 "conv2d:" "$tool" list conv2d
expect 0 "gradients agree  tanh: " "$tool" run tanh

# Usage: one sentence, and what to type next.
expect 3 "weft-gradcheck --help" "$tool"
expect 3 "weft-gradcheck --help" "$tool" run
expect 3 "weft-gradcheck --help" "$tool" run tanh --seeds 0
expect 3 "weft-gradcheck --help" "$tool" run tanh --oracle tea
expect 3 "there is no op 'tanhh'; similar are tanh" "$tool" run tanhh
expect 3 "Try: weft-gradcheck list" "$tool" run tanhh
expect 3 "op tanh has no sample 'nope'; similar are" "$tool" run tanh:nope:5eed
expect 3 "Try: weft-gradcheck list tanh" "$tool" run tanh:nope:5eed
expect 3 "the seed 'seed' of token 'tanh:2x3x5:seed' must be a hexadecimal number" "$tool" run tanh:2x3x5:seed
expect 3 "cannot write '$folder/no/such/j.json': No such file or directory" "$tool" run tanh --json "$folder/no/such/j.json"
expect 3 "--jacobian needs one sample of tanh, found none" "$tool" run tanh --jacobian j.csv
expect 3 "explain needs one sample" "$tool" explain tanh
expect 3 "explain needs one sample, found" "$tool" explain all
[ ! -e j.csv ] && [ ! -e j.csv.part ] || { echo "FAILED: a refused run left files"; failed=1; }

# A wrong rule.
expect 1 "GRADIENTS DISAGREE  wrong, gradient of x" "$wrong" run wrong
expect 1 " likely      off by 1.5" "$wrong" run wrong
expect 0 "off by 2: it is counted 2 times" "$wrong" bugs right
expect 0 "gradients agree  right: " "$wrong" run right
expect 1 "disagree: 3 runs, 2 failed" "$wrong" run all
expect 1 "disagree: 9 runs, 6 failed" "$wrong" run all --seeds 3
expect 1 "GRADIENTS DISAGREE" "$wrong" run wrong:5:7 --json r.json --junit r.xml --jacobian j.csv --diagram d.dot
holds r.json '"verdict": "disagree"'
holds r.json '"token": "wrong:5:7"'
holds r.xml '<testsuite name="wrong"'
holds j.csv 'argument,y,x,backward,dual'
holds j.csv 'x,"[0]","[0]",'
holds d.dot 'f64[5]\nFAIL 0.499 at y[0] <- x[0]" tooltip="" weft_op="wrong"'
expect 0 "gradients agree" "$wrong" run right:5:7 --diagram d.dot
holds d.dot 'pass '
expect 3 "unknown extension '.jpg'" "$wrong" run right:5:7 --diagram d.jpg
expect 0 " entry       y[" "$wrong" explain wrong:5:7
expect 0 "signature" "$wrong" explain wrong:5:7

# What cannot be told, and what must not happen.
expect 2 "the gradient is 0 everywhere: nothing was tested" "$wrong" run nothing
expect 2 "GRADIENTS UNRESOLVED  nothing, gradient of x" "$wrong" run nothing
expect 4 "weft-gradcheck: internal error: no place for it" "$wrong" bugs nothing

# Planted bugs.
expect 0 "1 killed, 0 survived, 0 waiting" "$wrong" bugs right
expect 0 "waiting: there is no such op" "$wrong" bugs missing
expect 1 "SURVIVED (exposed by nothing)" "$wrong" bugs wrong
expect 3 "no bug is planted in 'tea'" "$wrong" bugs tea

exit $failed
