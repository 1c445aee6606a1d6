#!/usr/bin/env bash
# Makes the Python wheel: package, runtime and precompiled artifacts.

source "$(dirname "${BASH_SOURCE[0]}")/workflow.sh"
usage="usage: utils/build-wheel.sh [options]

Builds the runtime for distribution, compiles the artifacts of utils/wheel_artifacts.py with build/bin/sage-compile (build
it first: utils/quickstart.sh or ninja -C build sage-compile) and packs both with python/ into build/wheel/dist/*.whl. An
interrupted run goes on where it stopped: finished artifacts are kept in build/wheel/cache. Checks the wheel's size and
that the runtime asks for no newer glibc than the wheel's tag says.

  --only=REGEX        artifacts whose name matches, e.g. 'sm_90a/sage2-8b-d128'; the others are left out
  --no-cubins         PTX only: the driver assembles it when it is first used
  --sage-compile=PATH the compiler (default: build/bin/sage-compile)
  --build=FOLDER      the build whose bin/sage-compile is used (default: build/)
  --out=FOLDER        instead of build/wheel: dist/, and what is kept from run to run
  --list              print the names of the artifacts, and stop
  --jobs=N            parallel compilations (default: all cores)
  --no-install        install no Debian packages
  --help              print this text"
only= cubins=yes list=no sage_compile= wheel=
parse_own_option() {
  case $1 in
  --only=*) only=${1#*=} ;;
  --no-cubins) cubins=no ;;
  --sage-compile=*) sage_compile=${1#*=} ;;
  --build=*) build=$(realpath "${1#*=}") ;;
  --out=*) wheel=${1#*=} ;;
  --list) list=yes ;;
  *) return 1 ;;
  esac
}
parse_options "$@"
artifacts=("$root/utils/wheel_artifacts.py" "--only=$only" "--jobs=$jobs")
[[ $list == yes ]] && exec python3 "${artifacts[@]}" --list

sage_compile=${sage_compile:-$build/bin/sage-compile}
wheel=$(realpath -m "${wheel:-$build/wheel}")
stage=$wheel/stage
# What python/hatch_build.py puts into the wheel's tag.
glibc_floor=$(grep -oP 'manylinux_\K\d+_\d+' "$root/python/hatch_build.py" | tr _ .)

# manylinux_2_34: GCC 11's libstdc++.
glibcxx_floor=3.4.29

phase Packages
install_packages g++ cmake ninja-build nlohmann-json3-dev libxxhash-dev binutils python3 python3-venv
provide_cuda_tools
[[ -x $sage_compile ]] || fail "there is no $sage_compile" "build it: cmake --build build --target sage-compile"
mkdir -p "$wheel"
[[ -x $wheel/tools/bin/pip ]] || /usr/bin/python3 -m venv "$wheel/tools"
"$wheel/tools/bin/python" -c 'import hatchling' 2>/dev/null ||
  "$wheel/tools/bin/pip" install --quiet hatchling==1.27.0 || { echo "hatchling cannot be installed" >&2; trap - EXIT; exit 77; }

phase Runtime "optimized"
cmake -S "$root/runtime" -B "$wheel/runtime" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
  -DCMAKE_SHARED_LINKER_FLAGS=-s >"$wheel/configure.log" 2>&1 ||
  { cat "$wheel/configure.log" >&2; fail "cmake failed"; }
cmake --build "$wheel/runtime" --target SageRuntime --parallel "$jobs" >"$wheel/runtime.log" || { cat "$wheel/runtime.log" >&2; fail "the build failed"; }
runtime=$(readlink -f "$wheel/runtime/libsage_runtime.so")
# newest PREFIX: the newest version of these symbols that the runtime asks for.
newest() { objdump -T "$runtime" | grep -oP "\b$1_\K[0-9.]+" | sort -Vu | tail -n 1; }
# at_most WHAT VERSION LIMIT
at_most() {
  [[ $(printf '%s\n' "$2" "$3" | sort -V | tail -n 1) == "$3" ]] ||
    fail "the runtime needs $1 $2, but the wheel's tag promises $3" "build on an older system, or raise the tag"
}
needed=$(newest GLIBC) needed_cxx=$(newest GLIBCXX)
at_most glibc "$needed" "$glibc_floor"
at_most libstdc++ "$needed_cxx" "$glibcxx_floor"
echo "    glibc $needed (tag: $glibc_floor), libstdc++ $needed_cxx (tag: $glibcxx_floor), $(($(stat -c %s "$runtime") / 1024)) KiB"

phase Artifacts
rm -rf "$stage"
mkdir -p "$stage"
cp -r "$root/python/sage" "$root/python/pyproject.toml" "$root/python/hatch_build.py" "$root/python/README.md" "$root/LICENSE" "$stage"
find "$stage" -name __pycache__ -prune -exec rm -rf {} +
rm -rf "$stage/sage/lib" "$stage/sage/artifacts" # of a checkout that is used in place
mkdir -p "$stage/sage/lib"
cp "$runtime" "$stage/sage/lib/libsage_runtime.so"
[[ $cubins == yes ]] && artifacts+=("--ptxas=$(find_cuda_tool ptxas || fail "ptxas was not found" "--no-cubins does without")")
python3 "${artifacts[@]}" "--sage-compile=$sage_compile" "--cache=$wheel/cache" "--out=$stage/sage/artifacts"

phase Wheel
rm -rf "$wheel/dist"
(cd "$stage" && "$wheel/tools/bin/python" -m hatchling build -t wheel -d "$wheel/dist" >"$wheel/hatchling.log" 2>&1) ||
  { cat "$wheel/hatchling.log" >&2; fail "the wheel cannot be made"; }
made=$(ls "$wheel"/dist/*.whl)
bytes=$(stat -c %s "$made")
((bytes <= 40 * 1000 * 1000)) || fail "the wheel has $bytes bytes, more than 40 MB" "leave artifacts out: --only, utils/wheel_artifacts.py"
finish_phase
trap - EXIT
echo "$made: $((bytes / 1000)) kB"
