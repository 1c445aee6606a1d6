# Steps that the scripts of this folder share: phases with their times, packages, configuration, build.
# Sourced, not run. The script that sources it sets `usage` and calls parse_options "$@".

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
jobs=$(nproc)
preset=
install=yes
counts_file=

# What the build needs. The MLIR packages are in Debian 12's security suite.
build_packages=(g++ cmake ninja-build libmlir-22-dev mlir-22-tools llvm-22-dev llvm-22-tools
  nlohmann-json3-dev libxxhash-dev libgtest-dev python3 python3-numpy)
# NVIDIA's tools for tests, and the wheels that carry them without a toolkit: ptxas of the release that the kernels are
# tuned with.
declare -A cuda_packages=([ptxas]=nvidia-cuda-nvcc==13.0.88 [nvdisasm]=nvidia-cuda-nvdisasm==13.5.37)

fail() {
  echo "error: $1" >&2
  shift
  for line in "$@"; do echo "  $line" >&2; done
  trap - EXIT
  exit 1
}

# parse_options ARGUMENTS: the options that the scripts have in common.
parse_options() {
  while (($#)); do
    case $1 in
    --help | -h) echo "$usage"; exit 0 ;;
    --jobs=*) jobs=${1#*=} ;;
    --preset=*) preset=${1#*=} ;;
    --no-install) install=no ;;
    --counts=*) counts_file=${1#*=} ;;
    *) parse_own_option "$1" || fail "unknown option '$1'" "${0##*/} --help lists the options" ;;
    esac
    shift
  done
  [[ $jobs =~ ^[1-9][0-9]*$ ]] || fail "--jobs must be a positive number, but got '$jobs'"
}
parse_own_option() { return 1; }

# --- phases -----------------------------------------------------------------------------------------------------------

started=$SECONDS
phase_name=
clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

finish_phase() {
  [[ -n $phase_name ]] && echo "    $phase_name took $(clock $((SECONDS - phase_started)))"
  phase_name=
}

phase() {
  finish_phase
  phase_name=$1 phase_started=$SECONDS
  echo "==> [$(clock $((SECONDS - started)))] $1${2:+: $2}"
}

report_end() {
  local status=$?
  ((status == 0)) || echo "error: ${0##*/} stopped${phase_name:+ in the phase '$phase_name'} with status $status" >&2
}
trap report_end EXIT

# --- packages ---------------------------------------------------------------------------------------------------------

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "packages must be installed by root" "run this script as root, or install sudo"
  fi
}

# install_packages NAMES: those that are missing.
install_packages() {
  local missing=() name
  for name in "$@"; do
    [[ $(dpkg-query -W -f='${Status}' "$name" 2>/dev/null) == *"ok installed" ]] || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  [[ $install == yes ]] || fail "missing packages: ${missing[*]}" "install them, or leave --no-install out"
  command -v apt-get >/dev/null ||
    fail "there is no apt-get here: the scripts install packages on Debian 12 only" \
      "install these by hand and pass --no-install: ${missing[*]}"
  echo "    installing ${missing[*]}"
  as_root apt-get update -q >/dev/null || fail "apt-get update failed" "its messages are above: mend the apt sources first"
  for name in "${missing[@]}"; do
    [[ $(apt-cache policy "$name") =~ Candidate:\ [^\(] ]] ||
      fail "the apt sources do not offer $name" \
        "on Debian 12 the packages of LLVM 22 are in the suite 'bookworm-security', component 'main';" \
        "add that suite to the Debian entry in /etc/apt/sources.list.d (or sources.list) and run this again"
  done
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt-get install failed" "its messages are above"
}

# --- NVIDIA's tools ---------------------------------------------------------------------------------------------------

# find_cuda_tool NAME: prints the path of ptxas or nvdisasm on this machine, if there is one.
find_cuda_tool() {
  command -v "$1" && return
  local candidate
  for candidate in /usr/local/cuda/bin/"$1" "$build"/cuda-tools/lib/python*/site-packages/nvidia/*/bin/"$1"; do
    [[ -x $candidate ]] && echo "$candidate" && return
  done
  return 1
}

# Puts what the machine lacks into a virtual environment under build/. Without a tool, tests of its output are unsupported.
provide_cuda_tools() {
  local tool
  for tool in "${!cuda_packages[@]}"; do
    find_cuda_tool "$tool" >/dev/null || [[ $install == no ]] || {
      install_packages python3-venv
      echo "    installing ${cuda_packages[$tool]} into ${build#"$root"/}/cuda-tools"
      { [[ -x $build/cuda-tools/bin/pip ]] || /usr/bin/python3 -m venv "$build/cuda-tools"; } &&
        "$build/cuda-tools/bin/pip" install --quiet --no-deps "${cuda_packages[$tool]}" || true
    }
    echo "    $tool: $(find_cuda_tool "$tool" || echo 'none; tests that need it will be unsupported')"
  done
}

# --- build ------------------------------------------------------------------------------------------------------------

# configure DEFAULT_PRESET [cmake arguments]: an existing build/ keeps its preset unless --preset names another.
configure() {
  local chosen=$1
  shift
  [[ -f $build/sage-preset ]] && chosen=$(<"$build/sage-preset")
  chosen=${preset:-$chosen}
  echo "    preset $chosen"
  mkdir -p "$build"
  (cd "$root" && cmake --preset "$chosen" -B "$build" "$@" >"$build/configure.log" 2>&1) ||
    { cat "$build/configure.log" >&2; fail "cmake failed"; }
  echo "$chosen" >"$build/sage-preset"
}

build_targets() {
  NINJA_STATUS="    [%f/%t %es] " cmake --build "$build" --parallel "$jobs" "$@"
}

# --- counts -----------------------------------------------------------------------------------------------------------

# close_with PASSED FAILED SKIPPED: the closing line, or the counts for the script that called this one.
close_with() {
  finish_phase
  trap - EXIT
  if [[ -n $counts_file ]]; then
    echo "$1 $2 $3" >"$counts_file"
  else
    echo "$1 passed, $2 failed$( (($3)) && echo ", $3 skipped")"
  fi
  exit $(($2 > 0))
}
