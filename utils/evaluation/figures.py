"""The plots of docs/Accuracy.md, from docs/accuracy.json alone."""
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

from .paper import row_of  # noqa: E402

_COLORS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2", "#97bbf5", "#9c6b4e")
_INT4 = {"Q, K": "INT4", "P, V": "E4M3"}


def _new(width, height, columns=1):
    # Text stays text, and the same figures give the same file.
    pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "sage", "font.size": 9, "axes.spines.top": False,
                            "axes.spines.right": False, "axes.grid": True, "grid.color": "#e5e5e5",
                            "axes.axisbelow": True, "font.family": "sans-serif"})
    return pyplot.subplots(1, columns, figsize=(width, height), sharey=True, squeeze=False, layout="constrained")


def _save(figure, folder, name):
    path = folder / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("".join(line.rstrip() + "\n" for line in lines), encoding="utf-8")


def layers(study, label, names, where, title, folder, name):
    """Relative L1 of every layer, a line for each of `names`."""
    figure, axes = _new(8, 3.6)
    axis = axes[0][0]
    for color, line in zip(_COLORS, names):
        values = row_of(study, {**where, label: line})["results"]["activations"]["layers"]
        axis.semilogy(range(len(values)), values, marker="o", markersize=3, linewidth=1.4, color=color, label=line)
    axis.set(xlabel="layer", ylabel="relative L1", title=title)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), title=label)
    _save(figure, folder, name)


def bars(study, rows, title, folder, name):
    """Mean relative L1 on activations, with the worst layer as a mark; `rows`: (text, labels)."""
    figure, axes = _new(8, 0.8 + 0.27 * len(rows))
    axis = axes[0][0]
    for place, (text, labels) in enumerate(reversed(rows)):
        l1 = row_of(study, labels)["results"]["activations"]["relative_l1"]
        axis.barh(place, l1["mean"], xerr=l1.get("spread"), color=_COLORS[0], height=0.7, ecolor="#444", capsize=2)
        axis.plot(l1["worst_layer"], place, marker="D", markersize=4, color=_COLORS[2], linestyle="none",
                  label="worst layer" if place == 0 else None)
    axis.set_yticks(range(len(rows)), [text for text, _ in reversed(rows)])
    axis.set(xlim=(0, None), xlabel="relative L1: mean of layers, spread of passages; worst layer", title=title)
    axis.legend(frameon=False, loc="lower right")
    _save(figure, folder, name)


def accumulation(content, folder):
    study, keys = content["studies"]["accumulation"], content["long"]["keys"]
    figure, axes = _new(10, 3.8, 3)
    for axis, kind, title in zip(axes[0], ("normal", "value-bias", "needle"),
                                 ("N(0, 1)", "V with a bias of 8 to 9", "one key has half of P")):
        for color, row in zip(_COLORS, study["rows"]):
            means = [mean for mean, _ in row["results"]["long"][kind]["against_alike"]]
            axis.loglog(keys, means, marker="o", markersize=3, linewidth=1.4, color=color,
                        label=row["labels"]["accumulation"])
        axis.set_xticks(keys, [f"{count // 1024}K" for count in keys])
        axis.minorticks_off()
        axis.set(xlabel="keys", title=title)
    axes[0][0].set_ylabel("relative L1 against float32 sums")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    _save(figure, folder, "accumulation")


def write(content, folder):
    folder.mkdir(parents=True, exist_ok=True)
    studies = content["studies"]
    layers(studies["smoothing"], "smoothed", ("none", "Hadamard", "SmoothQuant", "K", "Q", "Q + K", "Q + K, Hadamard"), _INT4,
           "INT4 Q and K, by what is smoothed", folder, "smoothing")
    layers(studies["granularity"], "scales", ("tensor", "block", "warp", "thread", "token"), _INT4,
           "INT4 Q and K, smoothed, by the granularity of scales", folder, "granularity")
    values = [row["labels"]["P, V"] for row in studies["values"]["rows"] if row["labels"]["Q, K"] == "INT8"]
    bars(studies["values"], [(text, {"Q, K": "INT8", "P, V": text}) for text in values],
         "INT8 Q and K, by the type of P and V", folder, "values")
    variants = [row["labels"]["variant"] for row in studies["better"]["rows"]]
    bars(studies["better"], [(text.replace("`", ""), {"variant": text}) for text in variants], "Better than the paper",
         folder, "better")
    accumulation(content, folder)
