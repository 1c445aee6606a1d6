#!/usr/bin/env bash
# The Python tests, as ctest runs them.
#
#   run-tests.sh setup BUILD          makes a wheel with a few artifacts, and installs it into a clean virtual environment
#   run-tests.sh NAME BUILD [PYTHON]  runs test_NAME.py there, or with another interpreter that sees the installed package
#
# Exit status: 77 if something is missing that only a registry has.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
name=$1 build=$2 python=${3:-}
folder=$build/python
env=$folder/env

if [[ $name == setup ]]; then
  "$root/utils/build-wheel.sh" --no-install --build="$build" --out="$folder" --only='((sm_80/sage1|sm_89/sage2-8b|sm_90a/(sage2-8b|sage-8b|sage-4b))-d64|sm_90a/sage2-8b-d64-causal_bottom_right-left127-sinks)-f16$'
  rm -rf "$env"
  /usr/bin/python3 -m venv "$env"
  "$env/bin/pip" install --quiet --no-index --no-deps "$folder"/dist/*.whl
  "$env/bin/pip" install --quiet numpy ml_dtypes pytest || exit 77
  exit
fi

options=(-q -W ignore -p no:cacheprovider "$here/test_$name.py")
[[ -n ${GTEST_OUTPUT:-} ]] && options+=("--junitxml=${GTEST_OUTPUT#xml:}python-$name.xml")
# The tests of utils/evaluation import it.
export PYTHONPATH=$root/utils
# Small products: threads would only wait for one another.
export OPENBLAS_NUM_THREADS=1
export SAGE_HEADERS=$root/runtime/include SAGE_STUB_DRIVER=$build/lib/libcuda_stub.so PYTHONDONTWRITEBYTECODE=1
if [[ -n $python ]]; then
  # The package alone: the interpreter has its own NumPy and pytest.
  mkdir -p "$folder/package"
  ln -sfn "$(echo "$env"/lib/python*/site-packages/sage)" "$folder/package/sage"
  export PYTHONPATH=$folder/package:$root/utils
fi
status=0
"${python:-$env/bin/python}" -m pytest "${options[@]}" || status=$?
# pytest's "no tests": the module skipped itself.
((status == 5)) && exit 77
exit $status
