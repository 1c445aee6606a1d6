"""Runs every pass and pipeline of Sage from the plugin, in MLIR's own mlir-opt.

    every_pass.py MLIR_OPT PLUGIN SAGE_OPT --source ROOT

Sage's passes are those that sage-opt's help lists and mlir-opt's does not. Each has a row in
STEPS: what it is run on (the name of an input, or of an earlier row's result), and the pipeline.
A pass must change its input. What pipelines make must be what sage-opt makes.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

KERNELS = "builtin.module(gpu.module(sage_tile.kernel({})))"
MODULES = "builtin.module(gpu.module({}))"
MODULE = "builtin.module({})"

# (pass, name of its result, input, where it runs, options; ROOT is the source tree).
STEPS = [
    ("sage-raise-attention", "raised", "linalg", MODULE, ""),
    ("sage-to-runtime-calls", "calls", "memrefs", MODULE, "{chip=sm_90a}"),
    ("sage-raise", "raised-simplified", "linalg", MODULE, ""),
    ("sage-assign-recipes", "by-head", "sequences", MODULE, "{file=ROOT/test/Plugin/Inputs/recipes.json}"),
    ("sage-legalize-recipe", "legal", "attention", MODULE, "{chip=sm_90a}"),
    ("sage-assign-schedule", "assigned", "legal", MODULE, ""),
    ("sage-smooth", "smoothed", "assigned", MODULE, ""),
    ("sage-quantize", "quantized", "smoothed", MODULE, ""),
    ("sage-decompose", "decomposed", "quantized", MODULE, ""),
    ("sage-unpack-sequences", "unpacked", "sequences", MODULE, ""),
    ("convert-sage-to-sage-tile", "tile", "quantized", MODULE, ""),
    ("sage-tile-apply-schedule", "scheduled", "tile", KERNELS, ""),
    ("sage-tile-inject-fault", "faulty", "tile", KERNELS, "{kind=missing-rescale kernel=attention}"),
    ("sage-tile-two-level-accumulation", "promoted", "tile", KERNELS, "{value-chunks=2}"),
    ("sage-tile-fold-score-conversion", "folded", "promoted", KERNELS, "{conversion=magic}"),
    ("sage-tile-issue-mma-async", "issued", "folded", KERNELS, ""),
    ("sage-tile-specialize-warps", "specialized", "issued", KERNELS, ""),
    ("sage-tile-pipeline-copies", "pipelined", "specialized", KERNELS, "{stages=2}"),
    ("sage-tile-peel-masks", "peeled", "pipelined", KERNELS, "{drop-guards=true}"),
    ("sage-tile-interleave-exponentials", "interleaved", "peeled", KERNELS, ""),
    ("sage-tile-sink-conversions", "sunk", "peeled", KERNELS, ""),
    ("sage-tile-make-persistent", "persistent", "sunk", KERNELS, ""),
    ("sage-tile-fence-products", "fenced", "chain", KERNELS, ""),
    ("sage-tile-distribute", "distributed", "scheduled", KERNELS, ""),
    ("convert-sage-tile-to-nvvm", "nvvm kernels", "distributed", MODULES, ""),
    ("sage-to-tile", "to-tile", "attention", MODULE, "{chip=sm_89}"),
    ("sage-to-nvvm", "to-nvvm", "attention", MODULE, "{chip=sm_89}"),
    ("sage-to-ptx", "to-ptx", "attention", MODULE, "{chip=sm_90a}"),
    ("sage-to-gpu", "to-gpu", "attention", MODULE, "{chip=sm_89 workspace=host}"),
    ("sage-to-cpu", "to-cpu", "quantized", MODULE, ""),
    ("convert-sage-program-to-gpu", "functions", "to-nvvm", MODULE, "{workspace=host}"),
]
# Results that are compared with sage-opt's.
COMPARED = {"to-nvvm", "to-ptx", "to-gpu", "to-cpu", "functions", "unpacked"}

SEQUENCES = """
func.func @sequences(%q: tensor<1x4x?x128xf16>, %k: tensor<1x2x?x128xf16>, %v: tensor<1x2x?x128xf16>,
                     %qo: tensor<?xi32>, %ko: tensor<?xi32>, %o: tensor<1x4x?x128xf16>) -> tensor<1x4x?x128xf16> {
  %r = sage.attention ins(%q, %k, %v : tensor<1x4x?x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16>)
      query_offsets(%qo : tensor<?xi32>) key_offsets(%ko : tensor<?xi32>)
      outs(%o : tensor<1x4x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x4x?x128xf16>
  return %r : tensor<1x4x?x128xf16>
}
"""
MEMREFS = """
func.func @attend(%q: memref<1x2x?x64xf16>, %k: memref<1x2x?x64xf16>, %v: memref<1x2x?x64xf16>, %o: memref<1x2x?x64xf16>) {
  sage.attention ins(%q, %k, %v : memref<1x2x?x64xf16>, memref<1x2x?x64xf16>, memref<1x2x?x64xf16>)
      outs(%o : memref<1x2x?x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
  return
}
"""


def passes(tool):
    """The names of the passes and pipelines that the help of `tool` lists."""
    text = subprocess.run([tool, "--help"], capture_output=True, encoding="utf-8", check=True).stdout
    return set(re.findall(r"^ {6}--([\w-]+)", text, re.MULTILINE))


def check_complete(mlir_opt, sage_opt):
    expected = passes(sage_opt) - passes(mlir_opt)
    tested = {step[0] for step in STEPS}
    for name in sorted(expected - tested):
        yield f"{name} has no row in STEPS of {Path(__file__).name}"
    for name in sorted(tested - expected):
        yield f"{name} is tested, but {sage_opt} does not have it"


def main():
    parser = argparse.ArgumentParser()
    for name in ("mlir_opt", "plugin", "sage_opt"):
        parser.add_argument(name)
    parser.add_argument("--source", type=Path, required=True)
    options = parser.parse_args()

    wrong = list(check_complete(options.mlir_opt, options.sage_opt))
    stock = [options.mlir_opt, f"--load-dialect-plugin={options.plugin}", f"--load-pass-plugin={options.plugin}"]

    def run(tool, pipeline, text):
        result = subprocess.run([*tool, f"--pass-pipeline={pipeline}"], input=text, capture_output=True,
                                encoding="utf-8")
        # gpu-module-to-binary notes how long it took.
        made = re.sub(r"LLVMIRToISATimeInMs = \d+", "", result.stdout)
        return made if result.returncode == 0 else None, result.stderr

    texts = {"attention": (options.source / "examples/attention.mlir").read_text(encoding="utf-8"),
             "chain": (options.source / "test/Dialect/SageTile/Transforms/fence-products.mlir").read_text(encoding="utf-8"),
             "linalg": (options.source / "examples/mini-compiler/attention.mlir").read_text(encoding="utf-8"),
             "sequences": SEQUENCES, "memrefs": MEMREFS}
    for name, result, source, place, arguments in STEPS:
        pipeline = place.format(name + arguments.replace("ROOT", str(options.source)))
        if texts.get(source) is None:
            wrong.append(f"{name}: its input, '{source}', was not made")
            continue
        texts[result], errors = run(stock, pipeline, texts[source])
        if texts[result] is None:
            wrong.append(f"{pipeline} on '{source}':\n{errors}")
        elif texts[result] == run(stock, "builtin.module()", texts[source])[0]:
            wrong.append(f"{pipeline} on '{source}' changes nothing")
        elif result in COMPARED and texts[result] != run([options.sage_opt], pipeline, texts[source])[0]:
            wrong.append(f"{pipeline} on '{source}': sage-opt makes something else")
    print("\n".join(wrong))
    print(f"{len(STEPS)} passes and pipelines, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
