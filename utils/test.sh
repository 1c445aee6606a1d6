#!/usr/bin/env bash
# Builds Sage and runs every test that this machine can run.

source "$(dirname "${BASH_SOURCE[0]}")/workflow.sh"
usage="usage: utils/test.sh [options]

Installs what the build and the tests need (Debian 12, as root or with sudo), builds into build/, runs the lit suite and
the unit tests, and closes with one line: N passed, N failed[, N skipped]. The exit status is 0 only if nothing failed.
Where the machine has no ptxas or nvdisasm, they are installed into build/cuda-tools.

  --preset=NAME   CMake preset (default: ci, or what build/ was configured with)
  --jobs=N        parallel compilations and tests (default: all cores)
  --no-install    install nothing; tests that need what is missing are skipped
  --counts=FILE   write 'PASSED FAILED SKIPPED' to FILE instead of the closing line
  --help          print this text

Single tests: lit -v build/test --filter=NAME, or the programs in build/bin that end in Tests."
parse_options "$@"

phase Packages
install_packages "${build_packages[@]}" binutils python3-venv
provide_cuda_tools

phase Configure "into build/"
configure ci -DSAGE_BUILD_TESTS=ON -DSAGE_PTXAS="$(find_cuda_tool ptxas || true)" \
  -DSAGE_NVDISASM="$(find_cuda_tool nvdisasm || true)"

phase Build "$jobs at a time"
build_targets
build_targets --target sage-docs

results=$build/test-results
rm -rf "$results"
mkdir -p "$results"

phase lit "dialects, passes, tools, documents"
/usr/lib/llvm-22/bin/lit -sv --workers="$jobs" --xunit-xml-output="$results/lit.xml" "$build/test" || true

phase "Unit tests"
# GoogleTest writes the counts of its cases; ctest those of the programs that are no GoogleTest.
GTEST_OUTPUT="xml:$results/gtest/" ctest --test-dir "$build" --exclude-regex '^lit$' --parallel "$jobs" \
  --output-on-failure --output-junit "$results/ctest.xml" || true

phase Count
read -r passed failed skipped < <(python3 "$root/utils/count-tests.py" "$results")
close_with "$passed" "$failed" "$skipped"
