"""Reads the manifest of an artifact (docs/Artifact.md). Standard library only."""
import json

PREFIX = "// sage-manifest: "


def read_manifest(path):
    text = ""
    with open(path) as file:
        for line in file:
            if line.startswith(PREFIX):
                text += line[len(PREFIX):].rstrip("\n")
            elif text:
                break
    return json.loads(text)


def list_kernels(manifest):
    """The kernels in launch order, those of repeated groups too."""
    for entry in manifest["kernels"]:
        yield from list_kernels(entry) if "kernels" in entry else [entry]
