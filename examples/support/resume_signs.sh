# resume_signs.sh SIGNS: a run that is killed after a checkpoint and resumed leaves the same weights, bit for bit, as
# one that never stopped.
set -eu
signs=$1
rm -rf whole parts
"$signs" --epochs 4 --out whole >whole.log
"$signs" --epochs 4 --out parts --checkpoint-every 1 >parts.log &
running=$!
until [ -n "$(find parts/checkpoints -name '*.h5' 2>/dev/null)" ]; do
  kill -0 $running
  sleep 0.05
done
kill -KILL $running || true
wait $running || true
if "$signs" --epochs 4 --out parts --checkpoint-every 1 2>refused.log; then exit 1; fi
grep -q "has the checkpoints of a run" refused.log
"$signs" --epochs 4 --out parts --checkpoint-every 1 --resume >resumed.log
grep "goes on from" resumed.log
cmp whole/weights.h5 parts/weights.h5
