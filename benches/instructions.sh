#!/usr/bin/env bash
# Counts the instructions of one operation under callgrind, which a busy machine does not change.
#
#   benches/instructions.sh                       the operations below
#   benches/instructions.sh "token: remembered"   another; the name must be that of one benchmark
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "valgrind is not installed" >&2; exit 1; }
[ "$#" -gt 0 ] || set -- "guard: one head" "route: found among 10000" "token: remembered" "decision: remembered" \
  "decision: question written" "authorize: required rule, warm"
times=1000

cost=$(cargo bench --bench cost --no-run --message-format=json 2>/dev/null |
  sed -n 's/.*"executable":"\([^"]*\/cost-[^"]*\)".*/\1/p')

for name in "$@"; do
  # Setting up is left out: only what runs inside this function of the harness is collected.
  counted=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*harness*counted*' \
    "$cost" "$name" "times=$times" 2>&1 | sed -n 's/.*Collected : \([0-9]*\).*/\1/p')
  printf '%-44s %10d instructions\n' "$name" $((counted / times))
done
