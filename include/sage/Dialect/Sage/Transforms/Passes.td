// Passes on the `sage` dialect.

#ifndef SAGE_DIALECT_SAGE_TRANSFORMS_PASSES_TD
#define SAGE_DIALECT_SAGE_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def SageAssignRecipes : Pass<"sage-assign-recipes", "::mlir::ModuleOp"> {
  let summary = "Give every layer and key head the recipe of a calibration";
  let description = [{
    Reads the table of recipes that `sage-calibrate` writes ([docs/Python.md](../Python.md)), JSON with a recipe for each key head of
    each layer, and gives every `sage.attention` those of its layer: the attribute `sage.layer`, or else its position in the
    module, from 0. Where the key heads of a layer differ, the attention becomes one for each run of neighbours with
    one recipe, on slices of the heads. Runs before `sage-legalize-recipe`.

    Example: `--sage-assign-recipes=file=recipes.json`
  }];
  let options = [Option<"file", "file", "std::string", "\"\"", "Table of recipes, as sage-calibrate writes it">];
  let dependentDialects = ["::sage::SageDialect", "::mlir::tensor::TensorDialect"];
}

def SageLegalizeRecipe : Pass<"sage-legalize-recipe"> {
  let summary = "Check every recipe against a chip";
  let description = [{
    Makes every `sage.attention` runnable on `chip`, or says why it is not. It attaches the chip's `#sage.target` and
    spells the default scale out.

    A recipe that the chip cannot run is an error. With `substitute`, 8-bit float products become INT8 (QK) and 16-bit
    (PV) ones instead, a remark says so, and the discardable attribute `sage.substituted_for` keeps the recipe that was
    asked for.

    Example: `--sage-legalize-recipe=chip=sm_90a`
  }];
  let options = [
    Option<"chip", "chip", "std::string", "\"\"",
           "Chip to compile for, e.g. sm_90a; may be left out where ops carry a target">,
    Option<"recipe", "recipe", "std::string", "\"\"",
           "Name of a recipe that replaces every op's; empty keeps them">,
    Option<"substitute", "substitute", "bool", "false",
           "Replace a recipe that the chip cannot run by the nearest one that it can">];
  let dependentDialects = ["::sage::SageDialect"];
}

def SageAssignSchedule : Pass<"sage-assign-schedule"> {
  let summary = "Attach the geometry and a schedule";
  let description = [{
    Attaches the recipe's default `#sage.geometry` to every `sage.attention` that has none, and the first
    `#sage.schedule` row for its target and head dim that agrees with geometry and recipe. A geometry or schedule that
    the op already carries is kept: a fixed geometry restricts the rows. Runs after `sage-legalize-recipe`. A default geometry
    takes the keys in parts, except in packed batches, under `…_top_left` masks and short windows, and where the
    extents are known and make one part.

    Example: `--sage-assign-schedule=schedule-file=my-rows.mlir`
  }];
  let options = [
    Option<"scheduleFile", "schedule-file", "std::string", "\"\"",
           "File of sage.schedule rows that replaces the embedded ones">,
    Option<"splitKeys", "split-keys", "bool", "true",
           "Let a default geometry take long keys in parts where queries are few (Spec N18)">];
  let dependentDialects = ["::sage::SageDialect"];
}

def SageSmooth : Pass<"sage-smooth"> {
  let summary = "Make smoothing explicit";
  let description = [{
    Rewrites every `sage.attention` whose recipe smooths an operand into means, centred operands, the terms that restore
    what centring removed, and a `sage.smoothed_attention` (Spec N2). Smoothing Q needs the geometry's query block, so it
    runs after `sage-assign-schedule`.

    Example: `--sage-smooth`
  }];
  let dependentDialects = ["::sage::SageDialect"];
}

def SageQuantize : Pass<"sage-quantize"> {
  let summary = "Make quantization explicit";
  let description = [{
    Rewrites every `sage.smoothed_attention`, and every `sage.attention` whose recipe smooths nothing, into
    `sage.quantize` of Q and K, `sage.quantize_value` of V and a `sage.quantized_attention` (Spec N3 to N6). Recipes
    with 16-bit scores are left as they are. INT4 values are packed two to a byte where the target multiplies INT4.

    Example: `--sage-quantize`
  }];
  let dependentDialects = ["::sage::SageDialect"];
}

#endif // SAGE_DIALECT_SAGE_TRANSFORMS_PASSES_TD
