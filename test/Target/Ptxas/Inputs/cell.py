"""Prints the module of a cell of the matrix (test/gpu/problems.py), by its name."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "gpu"))
import problems  # noqa: E402

print(next(problem for problem in problems.matrix() if problem.name() == sys.argv[1]).mlir())
