"""Reads a module with one gpu.binary (format isa) and prints its PTX."""
import re
import sys

text = re.search(r'assembly = "((?:[^"\\]|\\.)*)"', sys.stdin.read()).group(1)
text = re.sub(r"\\([0-9A-F]{2})", lambda match: chr(int(match.group(1), 16)), text)
sys.stdout.write(text.replace("\\\\", "\\").rstrip("\0"))
