"""How far attentions are from float64 on the activations of every layer, and GPU kernels from the CPU reference.

Q, K and V are those of the model with exact attention, all rows count. OUT/layers.json is written again after each passage;
with --engine=gpu only. An attention that fails is left out, and its message is kept. --agree names recipes whose kernels are
compared with the CPU reference of the same artifact on the first passage.
"""
import argparse
import sys

import numpy as np
import torch

from . import passes, torch_model
from .model import host
from .passes import EXACT
from .progress import Progress
from .summary import digits, over_layers


def sums_of(got, wanted):
    """metrics.sums_of, on the device."""
    got, wanted = (x.double().flatten(1) for x in (got, wanted))
    difference = got - wanted
    sums = [torch.full_like(got[:, 0], got.shape[1]), difference.abs().sum(1), wanted.abs().sum(1), difference.square().sum(1),
            (got * wanted).sum(1), got.square().sum(1), wanted.square().sum(1)]
    return host(torch.stack(sums, 1))


class Accuracy:
    """Sums by attention and passage, a row a layer."""

    def __init__(self, chosen):
        self.chosen, self.sums, self.failed = chosen, {attention.name: [] for attention in chosen}, {}

    def add(self, layer, arrays):
        exact = torch_model.exact(layer, *arrays)
        for attention in self.chosen:
            if attention.name in self.failed:
                continue
            try:
                sums = sums_of(attention(layer, *arrays), exact)
            except Exception as error:  # libraries have their own kinds
                self.failed[attention.name] = f"{type(error).__name__}: {error}"
                continue
            if layer == 0:
                self.sums[attention.name].append([])
            self.sums[attention.name][-1].append(sums)

    def summary(self):
        return {attention.name: {"identity": attention.identity, **over_layers(np.array(self.sums[attention.name]))}
                for attention in self.chosen if attention.name not in self.failed and self.sums[attention.name]}


def ordered(bits):
    """Of float16: integers whose difference is the number of steps between two numbers."""
    bits = bits.view(np.int16).astype(np.int32)
    return np.where(bits < 0, -32768 - bits, bits)


class Agreement:
    """Kernels against the CPU reference of the same artifact, by recipe."""

    def __init__(self, recipes):
        import sage
        self.artifacts, self.rows = {}, {recipe: [] for recipe in recipes}
        for recipe in recipes:
            found = [entry for entry in sage.artifacts() if entry.recipe == recipe and entry.mask == "causal_bottom_right"
                     and entry.element_type == "f16" and entry.head_dim == 64 and entry.left is None and not entry.sinks
                     and not entry.bias and not entry.packed and not entry.key_lengths and not entry.softcap
                     and entry.chip == self.chip()]
            if not found:
                raise ValueError(f"the package carries no causal artifact of {recipe} for {self.chip()}; make a wheel that does")
            self.artifacts[recipe] = sage.Artifact.precompiled(found[0])

    @staticmethod
    def chip():
        import sage
        devices = sage.devices()
        return devices[0].chip if devices else "sm_90a"

    def add(self, layer, arrays):
        import sage
        halves = [x[None].half() for x in arrays]
        exact = host(torch_model.exact(layer, *arrays))
        for recipe, artifact in self.artifacts.items():
            kernel, reference = (
                [host(x)[0] for x in sage.attention(*operands, causal=True, artifact=artifact, return_lse=True)]
                for operands in (halves, [host(x) for x in halves]))
            self.rows[recipe].append(self.row(*kernel, *reference, exact))

    @staticmethod
    def row(output, lse, wanted, wanted_lse, exact):
        distance = lambda got, to: float(np.abs(got.astype(np.float64) - to).sum() / np.abs(to.astype(np.float64)).sum())
        return {"relative_l1": distance(output, wanted), "equal": float((output == wanted).mean()),
                "steps": int(np.abs(ordered(output) - ordered(wanted)).max()),
                "difference": float(np.abs(output.astype(np.float64) - wanted).max()),
                "lse": float(np.abs(lse.astype(np.float64) - wanted_lse).max()),
                "kernel": distance(output, exact), "reference": distance(wanted, exact)}

    def summary(self):
        return {recipe: {name: digits([row[name] for row in rows]) for name in rows[0]}
                for recipe, rows in self.rows.items() if rows}


@torch.no_grad()
def measure(model, passages, chosen, out, agree=(), report=print):
    """The document that OUT/layers.json holds."""
    out.mkdir(parents=True, exist_ok=True)
    accuracies, agreement = {}, Agreement(agree)
    progress = Progress(model.config.layers * sum(len(passage.tokens) for passage in passages), report)
    for number, passage in enumerate(passages):
        accuracy = accuracies.setdefault(len(passage.tokens), Accuracy([one for one in chosen if one.name != EXACT]))

        def capture(layer, *arrays):
            accuracy.add(layer, arrays)
            if number == 0:
                agreement.add(layer, arrays)
            progress.step(len(passage.tokens), passage.name)

        model.states(passage.tokens, capture=capture)
        document = {"model": model.identity, "passages": {each.name: each.checksum for each in passages[:number + 1]},
                    "lengths": {str(length): of_length.summary() for length, of_length in accuracies.items()},
                    "failed": {name: text for of_length in accuracies.values() for name, text in of_length.failed.items()},
                    "agreement": {"passage": passages[0].name, "recipes": agreement.summary()}}
        passes.write_json(out / "layers.json", document)
    return document


def table(document):
    lines = [f"{'tokens':>6} {'attention':<20} {'relative L1':>12} {'cosine':>9} {'RMSE':>9} {'worst layer':>16} {'worst head':>18}"]
    for length, by_name in document["lengths"].items():
        for name, figures in by_name.items():
            l1 = figures["relative_l1"]
            lines.append(f"{length:>6} {name:<20} {l1['mean']:>12.5f} {figures['cosine']['mean']:>9.6f} {figures['rmse']['mean']:>9.5f} "
                         f"{l1['worst_layer']:>10.5f} ({l1['layer']:>2}) {l1['worst_head']:>11.5f} ({l1['head'][0]}.{l1['head'][1]})")
    lines += [f"{name} failed: {text}" for name, text in document["failed"].items()]
    lines += [f"{recipe}: largest over layers: " + ", ".join(f"{name} {max(values):.3g}" for name, values in rows.items())
              + f"; least part equal {min(rows['equal']):.4f}" for recipe, rows in document["agreement"]["recipes"].items()]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    passes.add_arguments(parser, "layers")
    parser.add_argument("--agree", nargs="*", default=[], metavar="RECIPE")
    parser.set_defaults(engine="gpu")
    arguments = parser.parse_args()
    try:
        print(table(measure(*passes.prepare(arguments), arguments.out, arguments.agree)))
    except (ImportError, FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
