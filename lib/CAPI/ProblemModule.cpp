// Checks the fields of a problem and makes an attention of them. What the op's verifier checks is
// left to it: its messages use the same names.

#include "ProblemModule.h"

#include "Enumerators.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Verifier.h"
#include "sage/Dialect/Sage/IR/SageOps.h"

#include <cmath>

using namespace mlir;
using namespace sage;

/// Sizes stay far from overflows of their products; lengths of int32 tokens are what kernels count.
static constexpr int64_t maxExtent = std::numeric_limits<int32_t>::max();
static constexpr int64_t maxHeadDim = 65536;

static InFlightDiagnostic refuse(Location loc, const Twine &field, const Twine &accepted) {
  return emitError(loc) << "argument 'problem." << field << "' must be " << accepted
                        << ", but got ";
}

static LogicalResult checkExtents(Location loc, const sage_problem &problem) {
  for (auto [name, value] :
       {std::pair("head_dim", problem.head_dim), {"value_head_dim", problem.value_head_dim}})
    if (value < 1 || value > maxHeadDim)
      return refuse(loc, name, "1 to " + Twine(maxHeadDim)) << value;
  constexpr StringLiteral names[] = {"batch", "query heads", "key heads", "query tokens",
                                     "key tokens"};
  for (auto [index, name] : llvm::enumerate(names))
    if (int64_t extent = problem.shape[index]; extent < -1 || extent > maxExtent)
      return refuse(loc, "shape[" + Twine(index) + "]",
                    "the " + Twine(name) + ", 0 to " + Twine(maxExtent) + ", or -1 for any")
             << extent;
  return success();
}

static LogicalResult checkEnumerators(Location loc, const sage_problem &problem) {
  if (problem.element_type != SAGE_F16 && problem.element_type != SAGE_BF16)
    return refuse(loc, "element_type", "SAGE_F16 (0) or SAGE_BF16 (1)")
           << static_cast<int>(problem.element_type);
  if (!getEnumerator(problem.layout))
    return refuse(loc, "layout", "SAGE_HEAD_MAJOR (0) or SAGE_TOKEN_MAJOR (1)")
           << static_cast<int>(problem.layout);
  if (!getEnumerator(problem.mask))
    return refuse(loc, "mask", "SAGE_MASK_NONE (0) to SAGE_MASK_WINDOW_BOTTOM_RIGHT (4)")
           << static_cast<int>(problem.mask);
  if (problem.has_bias && (problem.bias_type < SAGE_F16 || problem.bias_type > SAGE_BOOL))
    return refuse(loc, "bias_type", "SAGE_F16 (0), SAGE_BF16 (1), SAGE_F32 (2) or SAGE_BOOL (3)")
           << static_cast<int>(problem.bias_type);
  return success();
}

static LogicalResult checkNumbers(Location loc, const sage_problem &problem) {
  // Written so that NaN fails.
  if (!(problem.scale >= 0 && std::isfinite(problem.scale)))
    return refuse(loc, "scale", "finite and positive, or 0 for 1/sqrt(head_dim)")
           << std::to_string(problem.scale);
  if (!(problem.softcap >= 0 && std::isfinite(problem.softcap)))
    return refuse(loc, "softcap", "finite and positive, or 0 for none")
           << std::to_string(problem.softcap);
  return success();
}

namespace {
/// Makes the arguments of the function, in the order of the op's operands.
struct ProblemBuilder {
  const sage_problem &problem;
  ImplicitLocOpBuilder &builder;
  Block &body;

  Type getElementType(sage_element_type type) {
    switch (type) {
    case SAGE_BF16:
      return builder.getBF16Type();
    case SAGE_F32:
      return builder.getF32Type();
    case SAGE_BOOL:
      return builder.getI1Type();
    default:
      return builder.getF16Type();
    }
  }

  int64_t getExtent(unsigned index) {
    int64_t extent = problem.shape[index];
    return extent < 0 ? ShapedType::kDynamic : extent;
  }

  Value addArgument(ArrayRef<int64_t> shape, Type element) {
    return body.addArgument(RankedTensorType::get(shape, element), builder.getLoc());
  }

  Value addTensor(unsigned heads, unsigned tokens, int64_t channels) {
    SmallVector<int64_t> shape{getExtent(0), getExtent(heads), getExtent(tokens), channels};
    if (problem.layout == SAGE_TOKEN_MAJOR)
      std::swap(shape[1], shape[2]);
    return addArgument(shape, getElementType(problem.element_type));
  }

  void addOperands(OperationState &state);
  void addAttributes(OperationState &state, RecipeAttr recipe);
};
} // namespace

void ProblemBuilder::addOperands(OperationState &state) {
  Value query = addTensor(1, 3, problem.head_dim);
  Value key = addTensor(2, 4, problem.head_dim);
  Value value = addTensor(2, 4, problem.value_head_dim);
  constexpr int64_t any = ShapedType::kDynamic;
  Type index = builder.getI32Type();
  Value bias, lengths, sinks, queryOffsets, keyOffsets;
  if (problem.has_bias)
    bias = addArgument({any, any, any, any}, getElementType(problem.bias_type));
  if (problem.key_lengths)
    lengths = addArgument({getExtent(0)}, index);
  if (problem.sinks)
    sinks = addArgument({getExtent(1)}, builder.getF32Type());
  if (problem.packed) {
    queryOffsets = addArgument({any}, index);
    keyOffsets = addArgument({any}, index);
  }
  SmallVector<Value> outputs{addTensor(1, 3, problem.value_head_dim)};
  if (problem.lse)
    outputs.push_back(
        addArgument({getExtent(0), getExtent(1), getExtent(3)}, builder.getF32Type()));
  SmallVector<int32_t> segments{1, 1, 1};
  state.addOperands({query, key, value});
  for (Value optional : {bias, lengths, sinks, queryOffsets, keyOffsets}) {
    segments.push_back(optional ? 1 : 0);
    if (optional)
      state.addOperands(optional);
  }
  segments.push_back(outputs.size());
  state.addOperands(outputs);
  state.addTypes(ValueRange(outputs).getTypes());
  state.addAttribute(AttentionOp::getOperandSegmentSizeAttr(),
                     builder.getDenseI32ArrayAttr(segments));
}

void ProblemBuilder::addAttributes(OperationState &state, RecipeAttr recipe) {
  MLIRContext *context = builder.getContext();
  state.addAttribute("recipe", recipe);
  state.addAttribute("layout", LayoutAttr::get(context, *getEnumerator(problem.layout)));
  state.addAttribute("mask", MaskAttr::get(context, *getEnumerator(problem.mask)));
  if (problem.has_window_left)
    state.addAttribute("window_left", builder.getI64IntegerAttr(problem.window_left));
  if (problem.has_window_right)
    state.addAttribute("window_right", builder.getI64IntegerAttr(problem.window_right));
  if (problem.sink_tokens != 0)
    state.addAttribute("sink_tokens", builder.getI64IntegerAttr(problem.sink_tokens));
  if (problem.softcap != 0)
    state.addAttribute("softcap", builder.getF32FloatAttr(problem.softcap));
  if (problem.scale != 0)
    state.addAttribute("scale", builder.getF32FloatAttr(problem.scale));
}

OwningOpRef<ModuleOp> sage::buildProblemModule(Location loc, const sage_problem &problem,
                                               RecipeAttr recipe) {
  if (failed(checkExtents(loc, problem)) || failed(checkEnumerators(loc, problem)) ||
      failed(checkNumbers(loc, problem)))
    return {};
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  ImplicitLocOpBuilder builder(loc, OpBuilder::atBlockEnd(module->getBody()));
  auto function = func::FuncOp::create(builder, "attention", builder.getFunctionType({}, {}));
  Block &body = function.getBody().emplaceBlock();
  builder.setInsertionPointToEnd(&body);
  OperationState state(loc, AttentionOp::getOperationName());
  ProblemBuilder problemBuilder{problem, builder, body};
  problemBuilder.addOperands(state);
  problemBuilder.addAttributes(state, recipe);
  Operation *attention = builder.create(state);
  func::ReturnOp::create(builder, attention->getResults());
  function.setFunctionType(
      builder.getFunctionType(body.getArgumentTypes(), attention->getResultTypes()));
  if (failed(verify(*module)))
    return {};
  return module;
}
