#include "Problem.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"
#include "sage/Dialect/Sage/IR/AttentionShape.h"

using namespace mlir;

namespace sage::check {

std::string makeExample(StringRef recipe) {
  return ("func.func @example(%q: tensor<?x?x?x128xf16>, %k: tensor<?x?x?x128xf16>, "
          "%v: tensor<?x?x?x128xf16>, %o: tensor<?x?x?x128xf16>, %l: tensor<?x?x?xf32>)\n"
          "    -> (tensor<?x?x?x128xf16>, tensor<?x?x?xf32>) {\n"
          "  %r:2 = sage.attention ins(%q, %k, %v : tensor<?x?x?x128xf16>, "
          "tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>)\n"
          "    outs(%o, %l : tensor<?x?x?x128xf16>, tensor<?x?x?xf32>)\n"
          "    {recipe = #sage.recipe<\"" +
          recipe +
          "\">, mask = #sage.mask<causal_bottom_right>}\n"
          "    -> tensor<?x?x?x128xf16>, tensor<?x?x?xf32>\n"
          "  return %r#0, %r#1 : tensor<?x?x?x128xf16>, tensor<?x?x?xf32>\n}\n")
      .str();
}

FailureOr<AttentionOp> findAttention(ModuleOp module) {
  SmallVector<AttentionOp> ops;
  module.walk([&](AttentionOp op) { ops.push_back(op); });
  if (ops.size() != 1) {
    InFlightDiagnostic diagnostic =
        module.emitError("module must have one sage.attention, but got ") << ops.size();
    if (ops.size() > 1)
      diagnostic.attachNote(ops[1].getLoc()) << "check one at a time";
    return diagnostic;
  }
  AttentionOp op = ops.front();
  if (!isa<RankedTensorType>(op.getQuery().getType())) {
    InFlightDiagnostic diagnostic = op.emitOpError() << "must be on tensors to be checked";
    diagnostic.attachNote() << "wrap its buffers in bufferization.to_tensor";
    return diagnostic;
  }
  return op;
}

OwningOpRef<ModuleOp> isolate(AttentionOp op) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(op.getLoc());
  ImplicitLocOpBuilder builder(op.getLoc(), OpBuilder::atBlockEnd(module->getBody()));
  SmallVector<Type> types;
  for (Value operand : op->getOperands()) {
    auto type = cast<RankedTensorType>(operand.getType());
    types.push_back(MemRefType::get(type.getShape(), type.getElementType()));
  }
  auto function = func::FuncOp::create(builder, functionName, builder.getFunctionType(types, {}));
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(), builder.getUnitAttr());
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  unsigned numInputs = op->getNumOperands() - op.getOutputs().size();
  SmallVector<Value> operands;
  // An operand that occurs twice in the caller is two tensors here.
  for (auto [index, operand] : llvm::enumerate(op->getOperands()))
    operands.push_back(bufferization::ToTensorOp::create(
        builder, operand.getType(), body->getArgument(index), /*restrict=*/true,
        /*writable=*/index >= numInputs));
  Operation *clone = builder.clone(*op);
  clone->setOperands(operands);
  for (auto [index, result] : llvm::enumerate(clone->getResults())) {
    auto store = bufferization::MaterializeInDestinationOp::create(
        builder, Type(), result, body->getArgument(numInputs + index));
    store.setWritable(true);
    store.setRestrict(true);
  }
  func::ReturnOp::create(builder);
  return module;
}

DictionaryAttr describe(AttentionOp op) {
  Builder builder(op.getContext());
  AttentionShape shape = op.getShape();
  NamedAttrList list;
  list.set("element_type", TypeAttr::get(shape.elementType));
  list.set("head_dim", builder.getI64IntegerAttr(shape.headDim));
  list.set("value_head_dim", builder.getI64IntegerAttr(shape.valueHeadDim));
  list.set("layout", LayoutAttr::get(op.getContext(), op.getLayout()));
  list.set("lse", builder.getBoolAttr(op.getLse() != nullptr));
  list.set("mask", MaskAttr::get(op.getContext(), op.getMask()));
  list.set("recipe", op.getRecipe());
  if (op.getGeometry())
    list.set("geometry", *op.getGeometry());
  const std::pair<StringRef, Attribute> optional[] = {{"scale", op.getScaleAttr()},
                                                      {"softcap", op.getSoftcapAttr()},
                                                      {"sink_tokens", op.getSinkTokensAttr()},
                                                      {"window_left", op.getWindowLeftAttr()},
                                                      {"window_right", op.getWindowRightAttr()}};
  for (auto [name, attribute] : optional)
    if (attribute)
      list.set(name, attribute);
  if (Value bias = op.getBias())
    list.set("bias", TypeAttr::get(getElementTypeOrSelf(bias)));
  for (auto [name, given] :
       {std::pair<StringRef, bool>{"key_lengths", op.getKeyLengths() != nullptr},
        {"packed", op.isPacked()},
        {"sinks", op.getSinks() != nullptr}})
    if (given)
      list.set(name, builder.getUnitAttr());
  return list.getDictionary(op.getContext());
}

LogicalResult fixShape(AttentionOp op, bool isGiven, std::array<int64_t, 5> &shape) {
  AttentionShape types = op.getShape();
  const int64_t extents[] = {types.batch, types.queryHeads, types.keyHeads, types.queryTokens,
                             types.keyTokens};
  constexpr StringLiteral names[] = {"B", "Hq", "Hkv", "Nq", "Nk"};
  for (unsigned i = 0; i < 5; ++i) {
    if (ShapedType::isDynamic(extents[i]))
      continue;
    if (isGiven && shape[i] != extents[i])
      return op.emitOpError("shape's ")
             << names[i] << " must be " << extents[i] << ", as the types say, but got " << shape[i];
    shape[i] = extents[i];
  }
  if (ShapedType::isDynamic(types.headDim) || ShapedType::isDynamic(types.valueHeadDim))
    return op.emitOpError("head dims must be static to be checked");
  return success();
}

evaluation::MaskChoice chooseMasks(AttentionOp op) {
  evaluation::MaskChoice choice;
  choice.biasAxes.clear();
  if (Value bias = op.getBias())
    for (auto [axis, extent] : llvm::enumerate(cast<ShapedType>(bias.getType()).getShape()))
      if (extent != 1)
        choice.biasAxes += "bhqk"[axis];
  for (Value offsets : {op.getQueryOffsets(), op.getKeyOffsets()})
    if (offsets && !cast<ShapedType>(offsets.getType()).isDynamicDim(0))
      choice.drawnSequences = cast<ShapedType>(offsets.getType()).getDimSize(0) - 1;
  return choice;
}

LogicalResult checkMasks(AttentionOp op, const evaluation::MaskInputs &inputs) {
  int64_t size = int64_t(inputs.queryOffsets.size());
  for (Value offsets : {op.getQueryOffsets(), op.getKeyOffsets()})
    if (offsets && !cast<ShapedType>(offsets.getType()).isDynamicDim(0) &&
        cast<ShapedType>(offsets.getType()).getDimSize(0) != size)
      return op.emitOpError("sequences must be as many as the types of the offsets say, but got ")
             << size - 1 << " and " << offsets.getType();
  if (!op.getBias())
    return success();
  auto type = cast<ShapedType>(op.getBias().getType());
  for (auto [extent, given] : llvm::zip_equal(type.getShape(), inputs.biasExtents))
    if (!ShapedType::isDynamic(extent) && extent != given)
      return op.emitOpError("extents of the bias must be its type's, but got ")
             << given << " and " << type;
  return success();
}

} // namespace sage::check
