// sage-assign-recipes: the recipes of a calibrated model, by layer and key head.

#include "TensorForm.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "sage/Dialect/Sage/Transforms/Passes.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

namespace sage {
#define GEN_PASS_DEF_SAGEASSIGNRECIPES
#include "sage/Dialect/Sage/Transforms/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;

namespace {

/// By layer and key head.
using RecipeTable = SmallVector<SmallVector<RecipeAttr>>;

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

static FailureOr<RecipeTable> parseTable(MLIRContext *context, const llvm::json::Value &content,
                                         function_ref<InFlightDiagnostic()> emitError) {
  const llvm::json::Object *object = content.getAsObject();
  if (!object || object->getInteger("version") != 1)
    return emitError() << "must be an object with version 1";
  const llvm::json::Array *layers = object->getArray("layers");
  if (!layers)
    return emitError() << "must have layers, an array";
  RecipeTable table;
  for (const llvm::json::Value &layer : *layers) {
    const llvm::json::Array *heads = layer.getAsArray();
    if (!heads || heads->empty())
      return emitError() << "layer " << table.size() << " must be an array of recipes' names";
    SmallVector<RecipeAttr> &recipes = table.emplace_back();
    for (const llvm::json::Value &head : *heads) {
      StringRef name = head.getAsString().value_or("");
      recipes.push_back(RecipeAttr::getNamed(context, name));
      if (!recipes.back())
        return emitError() << "recipe of layer " << table.size() - 1 << ", key head "
                           << recipes.size() - 1 << ", must be one of " << RecipeAttr::listNames()
                           << ", but got '" << name << "'";
    }
  }
  return table;
}

static FailureOr<RecipeTable> readTable(MLIRContext *context, StringRef file,
                                        function_ref<InFlightDiagnostic()> emitError) {
  auto buffer = llvm::MemoryBuffer::getFile(file, /*IsText=*/true);
  if (!buffer)
    return emitError() << "cannot be read: " << buffer.getError().message();
  llvm::Expected<llvm::json::Value> content = llvm::json::parse((*buffer)->getBuffer());
  if (!content)
    return emitError() << "is not JSON: " << llvm::toString(content.takeError());
  return parseTable(context, *content, emitError);
}

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
  if (!ShapedType::isDynamic(shape.keyHeads) && shape.keyHeads != int64_t(recipes.size()))
    return op.emitOpError() << "key heads must be as many as the layer's recipes, "
                            << recipes.size() << ", but are " << shape.keyHeads;
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

namespace {
struct AssignRecipes : sage::impl::SageAssignRecipesBase<AssignRecipes> {
  using SageAssignRecipesBase::SageAssignRecipesBase;

  void runOnOperation() override {
    auto emitError = [&] {
      return mlir::emitError(getOperation()->getLoc()) << "file of recipes '" << file << "' ";
    };
    FailureOr<RecipeTable> table = readTable(&getContext(), file, emitError);
    if (failed(table))
      return signalPassFailure();
    SmallVector<AttentionOp> attentions;
    getOperation()->walk([&](AttentionOp op) { attentions.push_back(op); });
    for (auto [position, op] : llvm::enumerate(attentions)) {
      auto layer = op->getAttrOfType<IntegerAttr>(layerAttribute);
      uint64_t number = layer ? layer.getValue().getZExtValue() : position;
      if (number >= table->size()) {
        op.emitOpError() << "layer must be below the " << table->size()
                         << " of the file of recipes, but is " << number;
        return signalPassFailure();
      }
      if (failed(assign(op, (*table)[number])))
        return signalPassFailure();
    }
  }
};
} // namespace
