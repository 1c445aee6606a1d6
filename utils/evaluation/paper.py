"""What SageAttention2 (arXiv 2411.10958v7) publishes on CogVideoX, and the orders that it claims.

Figures are (cosine similarity, relative L1, RMSE).
"""
from statistics import stdev
from typing import NamedTuple, Tuple

#: Tables 4 (mean of all layers) and 17 (worst layer): INT4 Q and K, FP8 P and V. HadmdAttn rotates, SmoothAttn is SmoothQuant.
SMOOTHING = {
    "none": ((0.8004, 0.3906, 0.2223), (0.0483, 0.9979, 0.7784)),
    "Hadamard": ((0.7977, 0.3782, 0.2180), (0.0485, 0.9978, 0.7785)),
    "SmoothQuant": ((0.9021, 0.3383, 0.1952), (0.6449, 0.9262, 0.7204)),
    "K": ((0.9807, 0.1493, 0.0743), (0.9086, 0.3565, 0.1464)),
    "Q": ((0.9830, 0.1250, 0.0712), (0.9310, 0.2989, 0.2195)),
    "Q + K": ((0.9946, 0.0648, 0.0334), (0.9671, 0.1956, 0.0779)),
}
#: Tables 6 and 15: INT4, Q and K smoothed.
GRANULARITY = {
    "token": ((0.9945, 0.0649, 0.0335), (0.9676, 0.1916, 0.0775)),
    "thread": ((0.9945, 0.0622, 0.0313), (0.9672, 0.1932, 0.0776)),
    "block": ((0.9803, 0.1492, 0.0744), (0.9068, 0.3615, 0.1490)),
    "tensor": ((0.9715, 0.1800, 0.0865), (0.8585, 0.4687, 0.2261)),
}
#: Tables 7 and 16: INT4 Q and K, smoothed.
VALUES = {
    "INT8": ((0.7705, 0.5618, 0.5044), (0.1952, 0.9579, 1.4483)),
    "E5M2": ((0.9920, 0.0905, 0.0903), (0.9494, 0.2327, 0.2361)),
    "E4M3": ((0.9944, 0.0683, 0.0347), (0.9670, 0.1956, 0.0779)),
    "FP16": ((0.9945, 0.0649, 0.0335), (0.9676, 0.1916, 0.0775)),
}
#: Table 10: one layer, the 22-bit accumulator.
SMOOTH_V = {"one level": (0.9825, 0.1980, 0.2387), "one level, smooth V": (0.9975, 0.0406, 0.0773)}


class Claim(NamedTuple):
    """Of the rows of `study` with `where`: the one whose `label` is `worse` has the larger relative L1; or, `alike`, both have
    about the same."""
    tables: str
    text: str
    study: str
    where: dict
    label: str
    worse: str
    better: str
    #: mean or worst_layer.
    of: str = "mean"
    alike: bool = False


def _chain(tables, study, where, label, order):
    """Neighbours of an order from worst to best, of the mean and of the worst layer."""
    return [Claim(table, f"{worse} > {better}", study, where, label, worse, better, of)
            for table, of in zip(tables, ("mean", "worst_layer")) for worse, better in zip(order, order[1:])]


_INT4 = {"Q, K": "INT4", "P, V": "E4M3"}
CLAIMS: Tuple[Claim, ...] = (
    *_chain(("4", "17"), "smoothing", _INT4, "smoothed", ("none", "SmoothQuant", "K", "Q", "Q + K")),
    *_chain(("4", "17"), "smoothing", _INT4, "smoothed", ("Hadamard", "SmoothQuant")),
    Claim("4", "none ≈ Hadamard", "smoothing", _INT4, "smoothed", "none", "Hadamard", alike=True),
    *_chain(("6", "15"), "granularity", _INT4, "scales", ("tensor", "block", "thread")),
    Claim("6", "thread ≈ token", "granularity", _INT4, "scales", "thread", "token", alike=True),
    *_chain(("7", "16"), "values", {"Q, K": "INT4"}, "P, V", ("INT8", "E5M2", "E4M3", "FP16")),
)


def row_of(study, labels):
    """The row of the JSON's study with these labels."""
    for row in study["rows"]:
        if all(row["labels"].get(name) == value for name, value in labels.items()):
            return row
    raise KeyError(f"there is no row {labels}")


#: What is alike differs by less.
ALIKE = 0.1
#: Orders of less are not told apart.
LEAST = 0.01


def verdict(claim, studies, source):
    """(confirmed | alike | contradicted, L1 of the worse, of the better). An order is alike, not told apart, where the two
    differ by less than twice the standard deviation of their difference on the same passages or seeds, or by LEAST."""
    rows = [row_of(studies[claim.study], {**claim.where, claim.label: name}) for name in (claim.worse, claim.better)]
    figures = [row["results"][source]["relative_l1"] for row in rows]
    worse, better = (figure[claim.of] for figure in figures)
    if claim.alike:
        return ("confirmed" if abs(worse - better) <= ALIKE * better else "contradicted"), worse, better
    differences = [one - other for one, other in zip(*(figure["units"] for figure in figures))]
    margin = max(2 * stdev(differences) if len(differences) > 1 else 0, LEAST * better)
    return ("alike" if abs(worse - better) <= margin else "confirmed" if worse > better else "contradicted"), worse, better
