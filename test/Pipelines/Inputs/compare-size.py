"""Compares how many operations a kernel has in two modules of `sage-compile --emit=nvvm`.

  compare-size.py KERNEL MODULE LARGER --most=PERCENT    fails if LARGER's kernel has more than PERCENT % of MODULE's

LLVM's time grows with the operations that it is given, so that the count shows without a clock what compilation will take.
"""
import re
import sys


def count_operations(path, kernel):
    with open(path) as file:
        functions = re.split(r"^ *llvm\.func @", file.read(), flags=re.MULTILINE)
    body = next(text for text in functions if text.startswith(kernel + "("))
    return len(re.findall(r"^ +(?:%\S+ = )?(?:llvm|nvvm)\.", body, flags=re.MULTILINE))


kernel, smaller, larger, option = sys.argv[1:]
most = int(option.removeprefix("--most="))
counts = [count_operations(path, kernel) for path in (smaller, larger)]
percent = 100 * counts[1] / counts[0]
print(f"@{kernel}: {counts[0]} and {counts[1]} operations, {percent:.1f} %")
sys.exit(percent > most)
