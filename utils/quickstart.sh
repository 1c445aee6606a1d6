#!/usr/bin/env bash
# From a fresh clone to quantized attention: installs what is missing, builds, compiles an example and runs it.

source "$(dirname "${BASH_SOURCE[0]}")/workflow.sh"
usage="usage: utils/quickstart.sh [options]

Installs what the build needs (Debian 12, as root or with sudo), builds Sage into build/, compiles
examples/attention.mlir and runs it: on this machine's GPU if there is one that Sage has a schedule for, and otherwise
on the CPU reference. Ends with the accuracy against float64 attention.

  --preset=NAME   CMake preset (default: release, or what build/ was configured with)
  --jobs=N        parallel compilations (default: all cores)
  --no-install    install nothing; fail if something is missing
  --help          print this text

Running it again builds only what has changed."
parse_options "$@"

# The chip of the first GPU as Sage names it, where Sage knows it and it has 8-bit float products; nothing otherwise.
detect_chip() {
  local capability chip
  command -v nvidia-smi >/dev/null || return 0
  capability=$(nvidia-smi --id=0 --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | tr -d '. ') || return 0
  for chip in $("$build/bin/sage-compile" --list-chips); do
    [[ $chip == "sm_$capability" || $chip == "sm_${capability}a" ]] || continue
    grep -q 'e4m3_mma = true' "$root/targets/$chip.mlir" && echo "$chip"
  done
  return 0
}

phase Packages
install_packages "${build_packages[@]}"

phase Configure "into build/"
configure release -DSAGE_BUILD_TESTS=OFF

phase Build "$jobs at a time; the first build takes a while"
build_targets

gpu=$(detect_chip)
chips=${gpu:-sm_90a sm_89}
results=$build/quickstart
mkdir -p "$results"
for chip in $chips; do
  phase Compile "examples/attention.mlir for $chip"
  "$build/bin/sage-compile" "$root/examples/attention.mlir" --chip="$chip" -o "$results/attention.$chip.ptx"
  echo "    wrote build/quickstart/attention.$chip.ptx, $(wc -l <"$results/attention.$chip.ptx") lines"
done

run_example() {
  "$build/bin/sage-run" "$results/attention.$1.ptx" "${@:2}" --check --json --quiet >"$results/$1.json"
}

if [[ -n $gpu ]]; then
  phase Run "on the GPU, against float64 attention and the CPU reference"
  run_example "$gpu" --device=cuda:0 --shape=1,8,8,1024,1024
else
  phase Run "no GPU here that Sage has kernels for: the CPU reference, against float64 attention"
  for chip in $chips; do run_example "$chip" --shape=1,4,2,512,512; done
fi
finish_phase
echo
for chip in $chips; do python3 "$root/utils/accuracy-table.py" "$results/$chip.json"; done
