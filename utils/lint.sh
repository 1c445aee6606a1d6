#!/usr/bin/env bash
# Checks of the sources that need no build.

source "$(dirname "${BASH_SOURCE[0]}")/workflow.sh"
usage="usage: utils/lint.sh [options]

Checks the tracked files: formatting, and the house rules that a search can see. Every check counts as one test; closes
with one line: N passed, N failed.

  --fix           format the C++ sources instead of only checking them
  --no-install    do not install clang-format-22
  --counts=FILE   write 'PASSED FAILED SKIPPED' to FILE instead of the closing line
  --help          print this text"
fix=no
parse_own_option() { [[ $1 == --fix ]] && fix=yes; }
parse_options "$@"
cd "$root"

passed=0 failed=0
# check NAME REMEDY: passes if the command that follows prints nothing and succeeds.
check() {
  local name=$1 remedy=$2 output
  shift 2
  if output=$("$@" 2>&1) && [[ -z $output ]]; then
    echo "    ok      $name"
    passed=$((passed + 1))
  else
    echo "    FAILED  $name: $remedy"
    head -40 <<<"$output" | sed 's/^/            /'
    failed=$((failed + 1))
  fi
}

# search PATTERN PATHS: tracked text that matches; finding nothing is success.
search() { git grep -nIP -e "$1" -- "${@:2}" || (($? == 1)); }

product=(include lib tools runtime/include runtime/lib)

check_format() {
  local mode=(--dry-run)
  [[ $fix == yes ]] && mode=(-i)
  git ls-files -z '*.cpp' '*.h' '*.hpp' | xargs -0 -P "$jobs" -n 16 clang-format-22 "${mode[@]}" -Werror 2>&1 |
    grep -oP '^\S+?(?=:\d+:\d+: error)' | sort | uniq -c | sort -rn || true
}
check_length() {
  git ls-files -z '*.cpp' '*.h' '*.hpp' '*.td' '*.mlir' '*.py' '*.sh' '*.md' ':!test/Golden' ':!*/data/*' |
    xargs -0 wc -l | awk '$1 > 500 && $2 != "total" { print $2 ": " $1 " lines" }'
}
check_shell() {
  local script
  for script in $(git ls-files '*.sh' .ci/run); do bash -n "$script"; done
}
check_python() {
  python3 - $(git ls-files '*.py') <<'PYTHON'
import sys
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        compile(file.read(), path, "exec")
PYTHON
}
# Relative links of documents, and documents that sources cite by path.
check_links() {
  local file link
  git grep -oIP '\]\(\K(?!https?:|#|mailto:)[^)#\s]+' -- '*.md' | while IFS=: read -r file link; do
    [[ -e $(dirname "$file")/$link ]] || echo "$file: $link is not there"
  done
  git grep -ohIP '\bdocs/[A-Za-z]+\.md\b' -- "${product[@]}" runtime utils examples CMakeLists.txt cmake | sort -u |
    while read -r link; do [[ -e $link ]] || echo "$link is cited, but not there"; done
}
# The table of folders in docs/Architecture.md names every folder of the top level, and nothing that is not there.
check_folders() {
  local folder listed
  listed=$(grep -oP '^\| `\K[^`]+/(?=`)' docs/Architecture.md)
  for folder in $listed; do [[ -d $folder ]] || echo "$folder is in the table, but not there"; done
  for folder in $(git ls-tree -d --name-only HEAD); do
    grep -qE "^$folder/" <<<"$listed" || echo "$folder/ is not in the table"
  done
}

phase Packages
install_packages clang-format-22 python3

phase Checks "$(git ls-files | wc -l) tracked files"
check "format" "run utils/lint.sh --fix" check_format
check "no tabs" "indent with spaces" search '\t' ':!*.ptx' ':!LICENSE'
check "no trailing blanks" "remove them" search '[ \t]+$' ':!*.ptx' ':!LICENSE'
check "no conflict markers" "resolve them" search '^(<{7}|>{7}) '
check "no open ends" "do it, or leave it out" search '\b(TO''DO|FIX''ME|XX''X)\b'
check "no machine paths" "write paths relative to the repository" search '(?<![\w.}/])/(work|root|home|mnt|Users)/\w'
check "no environment variables" "make it an option" search '\b(secure_)?getenv\b|Process::GetEnv|\benviron\b' "${product[@]}" runtime/evaluation
check "PTX in one file" "move it to Atoms/InlinePtx.cpp" search \
  '"[^"]*\.(aligned|sync|b16|b32|b64|u32|s32|f16|f32|e4m3)\b[^"]*;|InlineAsmOp::create' \
  lib include ':!lib/Conversion/SageTileToNVVM/Atoms/InlinePtx.cpp'
check "file sizes" "split it: a file has at most 500 lines" check_length
check "shell syntax" "mend it" check_shell
check "Python syntax" "mend it" check_python
check "links" "mend them" check_links
check "folders" "mend the table in docs/Architecture.md" check_folders

close_with "$passed" "$failed" 0
