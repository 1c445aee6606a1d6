#!/usr/bin/env bash
# Runs the whole GPU suite on this machine: correctness, stress, accuracy, timing, faults, then compute-sanitizer on the
# small cases. Needs the bundle's folder (which holds sage-gpu-test) and a driver.
#
#   run-on-gpu.sh [BUNDLE] [YARDSTICK...]
#
# Where $MATRIX names a second bundle, of make_suite.py --matrix, its cases are run too, a family at a time.
# YARDSTICK is a command that is run right before and right after the timing suite, so that both see the same machine. Where
# it prints "| 8K NUMBER" or "| 16K NUMBER" (TFLOP/s at head dim 128, no mask), the sm_90a kernel must reach 0.9 of the larger.
# Results go to $OUT (default: ./gpu-results). $STEPS, a regular expression, selects steps by name, for a machine that is
# there for some minutes at a time: `merge_results.py` takes what several runs left in one folder.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bundle=${1:-$here}
shift $(($# > 0 ? 1 : 0))
out=${OUT:-gpu-results}
mkdir -p "$out"
runner=$bundle/sage-gpu-test
chmod +x "$runner" 2>/dev/null || { cp "$runner" /tmp/sage-gpu-test.$$ && chmod +x /tmp/sage-gpu-test.$$ && runner=/tmp/sage-gpu-test.$$; }
status=0
summary=

# NAME LIMIT_S COMMAND...: one line of the summary; the command's own output goes to a log.
step() {
  local name=$1 limit=$2 begin=$SECONDS code
  shift 2
  [[ $name =~ ${STEPS:-.} ]] || return 0
  echo "== $name"
  timeout -k 5 "$limit" "$@" >"$out/$name.log" 2>&1
  code=$?
  if [ $code -ne 0 ]; then
    status=1
    tail -n 40 "$out/$name.log"
  fi
  summary+=$(printf '%-22s exit %3d  %4d s' "$name" $code $((SECONDS - begin)))$'\n'
  return $code
}

nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,power.limit --format=csv,noheader || {
  echo "run-on-gpu: no GPU here" >&2
  exit 77
}

# A program that MLIR's own passes finished, where the bundle has it.
host_program=$bundle/host-program-test
if [ -f "$host_program" ]; then
  chmod +x "$host_program" 2>/dev/null
  step host-program 60 "$host_program"
fi
step self-test 60 "$runner" --self-test
# A family at a time: a kernel that breaks the context ends the process.
for family in sm80 sm89 sm90a; do
  step correctness-$family 100 "$runner" "$bundle" --suite=correctness --filter="^$family-" --json="$out/correctness-$family.json"
done
for family in ${MATRIX:+sm80 sm86 sm89 sm90a}; do
  step matrix-$family 300 "$runner" "$MATRIX" --suite=correctness --filter="^$family-" --json="$out/matrix-$family.json"
done
step stress 60 "$runner" "$bundle" --suite=stress --json="$out/stress.json"
step accuracy 90 "$runner" "$bundle" --suite=accuracy --json="$out/accuracy.json"
[ $# -gt 0 ] && step yardstick-before 60 "$@"
step timing 120 "$runner" "$bundle" --suite=timing --json="$out/timing.json"
[ $# -gt 0 ] && step yardstick-after 60 "$@"
step faults 300 "$runner" "$bundle" --suite=faults --json="$out/faults.json"

sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null || true)
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck synccheck; do
    # Both families, with the least and the most masking.
    # Errors of the driver's functions are the runtime's to handle: it asks for one parameter too many on purpose.
    options=$([ $tool = memcheck ] && echo --report-api-errors=no)
    step "sanitizer-$tool" 60 "$sanitizer" --tool=$tool $options --error-exitcode=9 --launch-timeout=60 "$runner" "$bundle" \
      --suite=correctness --quick --filter='^sm(89|90a)-(none|br)-f16/small-' --json="$out/sanitizer-$tool.json"
  done
else
  summary+="compute-sanitizer      not installed: not run"$'\n'
fi

for size in 8K 16K; do
  theirs=$(grep -ho "| $size [0-9.]*" "$out"/yardstick-*.log 2>/dev/null | awk '{print $3}' | sort -n | tail -n 1)
  ours=$(sed -n "s|^ok *timing *sm90a-none-f16/$size .*kernel_tflops \([0-9.]*\).*|\1|p" "$out/timing.log" | head -n 1)
  [ -n "$theirs" ] || continue
  verdict=$(awk -v a="${ours:-0}" -v b="$theirs" 'BEGIN { printf "%.3f %s", a / b, (a >= 0.9 * b ? "ok" : "FAIL") }')
  summary+="sm_90a D128 $size: ${ours:-none} TFLOP/s, yardstick $theirs, ratio $verdict"$'\n'
  case $verdict in *FAIL) status=1 ;; esac
done

echo
for log in accuracy timing faults; do
  sed -n '/^Results/,$p' "$out/$log.log" 2>/dev/null
done
for log in yardstick-before yardstick-after; do
  [ -f "$out/$log.log" ] && { echo "$log:"; tail -n 6 "$out/$log.log"; }
done
echo
for log in "$out"/*.log; do
  grep -h '^FAIL' "$log"
done | sort -u | cut -c1-220 | head -n 40
printf '\n%s' "$summary"
[ $status -eq 0 ] && echo "all passed" || echo "FAILURES"
exit $status
