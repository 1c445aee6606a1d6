// sage-assign-recipes: the recipes of a calibrated model, by layer and key head.

#include "RecipeTable.h"
#include "TensorForm.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "sage/Dialect/Sage/Transforms/Passes.h"

namespace sage {
#define GEN_PASS_DEF_SAGEASSIGNRECIPES
#include "sage/Dialect/Sage/Transforms/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;

namespace {

/// Neighbouring key heads with one recipe.
struct Run {
  int64_t first, count;
  RecipeAttr recipe;
};

/// Indices first to first + count - 1 of dimension `dimension`; everything else is whole.
struct HeadRange {
  unsigned dimension;
  int64_t first, count;
};

} // namespace

static constexpr StringLiteral layerAttribute = "sage.layer";

static SmallVector<Run> findRuns(ArrayRef<RecipeAttr> recipes) {
  SmallVector<Run> runs;
  for (auto [head, recipe] : llvm::enumerate(recipes))
    if (!runs.empty() && runs.back().recipe == recipe)
      ++runs.back().count;
    else
      runs.push_back({int64_t(head), 1, recipe});
  return runs;
}

//===----------------------------------------------------------------------===//
// One attention for each run of heads
//===----------------------------------------------------------------------===//

namespace {
struct Slice {
  SmallVector<OpFoldResult> offsets, sizes, strides;
};
} // namespace

static Slice getSlice(OpBuilder &builder, Location loc, Value tensor, HeadRange heads) {
  Slice slice;
  slice.sizes = tensor::getMixedSizes(builder, loc, tensor);
  slice.offsets.assign(slice.sizes.size(), builder.getIndexAttr(0));
  slice.strides.assign(slice.sizes.size(), builder.getIndexAttr(1));
  slice.offsets[heads.dimension] = builder.getIndexAttr(heads.first);
  slice.sizes[heads.dimension] = builder.getIndexAttr(heads.count);
  return slice;
}

static Value extract(OpBuilder &builder, Location loc, Value tensor, HeadRange heads) {
  Slice slice = getSlice(builder, loc, tensor, heads);
  return tensor::ExtractSliceOp::create(builder, loc, tensor, slice.offsets, slice.sizes,
                                        slice.strides);
}

/// The attention of the heads of `run`, inserted into `outputs`.
static void attend(OpBuilder &builder, AttentionOp op, const Run &run, int64_t group,
                   MutableArrayRef<Value> outputs) {
  Location loc = op.getLoc();
  unsigned dimension = getHeadDimension(op.getLayout());
  HeadRange keys{dimension, run.first, run.count};
  HeadRange queries{dimension, run.first * group, run.count * group};
  // The log-sum-exp is head-major in every layout.
  auto ofOutput = [&](unsigned number) {
    return HeadRange{number == 0 ? dimension : 1, queries.first, queries.count};
  };
  Value query = extract(builder, loc, op.getQuery(), queries);
  Value key = extract(builder, loc, op.getKey(), keys);
  Value value = extract(builder, loc, op.getValue(), keys);
  Value bias = op.getBias(), sinks = op.getSinks();
  // Extents of 1 repeat.
  if (bias && cast<ShapedType>(bias.getType()).getDimSize(1) != 1)
    bias = extract(builder, loc, bias, {1, queries.first, queries.count});
  if (sinks)
    sinks = extract(builder, loc, sinks, {0, queries.first, queries.count});
  SmallVector<Value> parts;
  for (auto [number, output] : llvm::enumerate(outputs))
    parts.push_back(extract(builder, loc, output, ofOutput(number)));
  auto part = AttentionOp::create(builder, loc, ValueRange(parts).getTypes(), query, key, value,
                                  bias, op.getKeyLengths(), sinks, op.getQueryOffsets(),
                                  op.getKeyOffsets(), parts, run.recipe, op.getLayoutAttr(),
                                  op.getMaskAttr(), op.getWindowLeftAttr(), op.getWindowRightAttr(),
                                  op.getSinkTokensAttr(), op.getSoftcapAttr(), op.getScaleAttr(),
                                  op.getGeometryAttr(), op.getScheduleAttr(), op.getTargetAttr());
  part->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  for (auto [number, output] : llvm::enumerate(outputs)) {
    Slice slice = getSlice(builder, loc, output, ofOutput(number));
    output = tensor::InsertSliceOp::create(builder, loc, part->getResult(number), output,
                                           slice.offsets, slice.sizes, slice.strides);
  }
}

static LogicalResult assign(AttentionOp op, ArrayRef<RecipeAttr> recipes) {
  SmallVector<Run> runs = findRuns(recipes);
  AttentionShape shape = op.getShape();
  if (!ShapedType::isDynamic(shape.keyHeads) && shape.keyHeads != int64_t(recipes.size())) {
    auto diagnostic = op.emitOpError() << "key heads must be as many as the layer's recipes, "
                                       << recipes.size() << ", but are " << shape.keyHeads;
    diagnostic.attachNote() << "calibrate with activations of this model";
    return diagnostic;
  }
  if (runs.size() == 1) {
    op.setRecipeAttr(runs[0].recipe);
    return success();
  }
  bool isKnown = !ShapedType::isDynamic(shape.keyHeads) && !ShapedType::isDynamic(shape.queryHeads);
  auto bias = op.getBias() ? dyn_cast<ShapedType>(op.getBias().getType()) : ShapedType();
  if (!isKnown || (bias && bias.isDynamicDim(1))) {
    auto diagnostic = op.emitOpError()
                      << "heads must be known where they have recipes of their own";
    diagnostic.attachNote() << "cast the operands to a static number of heads";
    return diagnostic;
  }
  if (failed(requireTensors(op)))
    return failure();
  OpBuilder builder(op);
  SmallVector<Value> outputs(op.getOutputs());
  for (const Run &run : runs)
    attend(builder, op, run, shape.queryHeads / shape.keyHeads, outputs);
  op->replaceAllUsesWith(outputs);
  op->erase();
  return success();
}

/// Which of `layers` layers an attention is: what it says itself, or its position.
static FailureOr<size_t> getLayer(AttentionOp op, size_t position, size_t layers) {
  Attribute given = op->getAttr(layerAttribute);
  auto number = dyn_cast_if_present<IntegerAttr>(given);
  if (given && (!number || isa<BoolAttr>(given))) {
    auto diagnostic = op.emitOpError()
                      << "'" << layerAttribute << "' must be an integer, but is " << given;
    diagnostic.attachNote() << "write " << layerAttribute << " = " << position
                            << " : i64, or leave it out: the attentions of a module are numbered";
    return diagnostic;
  }
  size_t layer = number ? size_t(number.getValue().getLimitedValue()) : position;
  bool isNegative =
      number && !number.getType().isUnsignedInteger() && number.getValue().isNegative();
  if (!isNegative && layer < layers)
    return layer;
  auto diagnostic = op.emitOpError() << "layer must be 0 to " << layers - 1
                                     << ", as in the file of recipes, but is ";
  if (number)
    diagnostic << number;
  else
    diagnostic << position << ", its position in the module";
  diagnostic.attachNote() << "calibrate every layer, or say with '" << layerAttribute
                          << "' which one this is";
  return diagnostic;
}

namespace {
struct AssignRecipes : sage::impl::SageAssignRecipesBase<AssignRecipes> {
  using SageAssignRecipesBase::SageAssignRecipesBase;

  void runOnOperation() override {
    FailureOr<RecipeTable> table = readRecipeTable(getOperation()->getLoc(), file);
    if (failed(table))
      return signalPassFailure();
    SmallVector<AttentionOp> attentions;
    getOperation()->walk([&](AttentionOp op) { attentions.push_back(op); });
    for (auto [position, op] : llvm::enumerate(attentions)) {
      FailureOr<size_t> layer = getLayer(op, position, table->size());
      if (failed(layer) || failed(assign(op, (*table)[*layer])))
        return signalPassFailure();
    }
  }
};
} // namespace
