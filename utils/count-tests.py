#!/usr/bin/env python3
"""Adds up the test results of lit, GoogleTest and ctest.

    count-tests.py RESULTS

RESULTS holds lit.xml, ctest.xml and gtest/*.xml. Prints "PASSED FAILED SKIPPED". A
program of ctest's that wrote a GoogleTest report counts by its cases, and as one
failure more if it failed although all its cases passed (it crashed on its way out).
A report that is missing is a failure: a suite that did not run must not look green.
"""

import sys
import xml.etree.ElementTree as xml
from collections import Counter
from pathlib import Path


def outcome(case):
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    if case.get("status") in ("fail", "failed"):
        return "failed"
    if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        return "skipped"
    if case.get("result") in ("skipped", "suppressed"):
        return "skipped"
    return "passed"


def count(path):
    return Counter(outcome(case) for case in xml.parse(path).iter("testcase"))


def main(results):
    total = Counter()
    for name in ("lit.xml", "ctest.xml"):
        if not (results / name).exists():
            print(f"there is no {name}: the suite did not run", file=sys.stderr)
            total["failed"] += 1
    if (results / "lit.xml").exists():
        total += count(results / "lit.xml")
    programs = {path.stem: count(path) for path in (results / "gtest").glob("*.xml")}
    if (results / "ctest.xml").exists():
        for case in xml.parse(results / "ctest.xml").iter("testcase"):
            cases = programs.get(case.get("name"))
            if cases is None:
                total[outcome(case)] += 1
            elif outcome(case) == "failed" and not cases["failed"]:
                total["failed"] += 1
    for cases in programs.values():
        total += cases
    print(total["passed"], total["failed"], total["skipped"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
