// From a match to IR: operands, mask, the op, and its result in the root's shape.

#include "AttentionBuilder.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "sage/Dialect/Sage/IR/SageOps.h"

#include <cmath>

using namespace mlir;
using namespace sage;
using namespace sage::raising;

namespace {

class AttentionBuilder {
public:
  AttentionBuilder(ElementReader &reader, AttentionMatch &match, const RaisingOptions &options,
                   Obstacle &obstacle, OpBuilder::Listener &listener)
      : reader(reader), match(match), options(options), obstacle(obstacle),
        builder(match.root.getDefiningOp(), &listener),
        operands(reader, builder, match.root.getLoc()) {}

  Value run();

private:
  std::nullptr_t stop(const Twine &reason) {
    obstacle = {match.product ? match.product : match.root.getDefiningOp(), reason.str()};
    return nullptr;
  }
  std::optional<MaskPlan> choosePlan(Roles &roles);
  void chooseLayout(const Roles &roles);
  bool buildOperands(const Roles &roles);
  /// [batch, heads, tokens, channels] in the order of the layout.
  Dimensions arrange(const Loops &heads, const Loops &tokens, const Loops &channels) const;
  Type chooseElementType();
  FloatAttr getScale();
  bool dependsOnProduct(Value tensor);
  Value createOutput();
  AttentionOp create(const MaskPlan &plan, Value bias);

  ElementReader &reader;
  AttentionMatch &match;
  const RaisingOptions &options;
  Obstacle &obstacle;
  OpBuilder builder;
  OperandBuilder operands;
  Value query, key, value;
  Loops batch, keys, channels;
  Layout layout = Layout::HeadMajor;
};

} // namespace

static RankedTensorType typeOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()); }

Dimensions AttentionBuilder::arrange(const Loops &heads, const Loops &tokens,
                                     const Loops &channels) const {
  if (layout == Layout::HeadMajor)
    return {batch, heads, tokens, channels};
  return {batch, tokens, heads, channels};
}

/// Of the loops that may be over the queries, that for which most of the masks are proven.
std::optional<MaskPlan> AttentionBuilder::choosePlan(Roles &roles) {
  Obstacle first;
  std::optional<MaskPlan> best = planMask(reader, match, roles, options.strict, first);
  Roles chosen = roles;
  for (unsigned loop : roles.groups) {
    if (best && best->biases.empty())
      break;
    Obstacle ignored;
    Roles candidate = roles.withQuery(loop);
    std::optional<MaskPlan> plan = planMask(reader, match, candidate, options.strict, ignored);
    if (!plan || (best && best->biases.size() <= plan->biases.size()))
      continue;
    best = plan;
    chosen = candidate;
  }
  if (!best)
    obstacle = first;
  roles = chosen;
  return best;
}

/// The layout in which the operands and the output are, or that moves the least.
void AttentionBuilder::chooseLayout(const Roles &roles) {
  int lowest = std::numeric_limits<int>::max();
  Loops output;
  for (const Loops &dimension : roles.output)
    output.append(dimension);
  Layout chosen = Layout::HeadMajor;
  for (Layout candidate : {Layout::HeadMajor, Layout::TokenMajor}) {
    layout = candidate;
    int cost = 0;
    auto add = [&](const Sources &sources, const Dimensions &dimensions) {
      cost += operands.getCost(sources, dimensions).value_or(0);
    };
    add(roles.querySources, arrange(roles.getQueryHeads(), roles.query, channels));
    add(roles.keySources, arrange(roles.keyHeads, keys, channels));
    add(roles.valueSources, arrange(roles.keyHeads, keys, roles.valueChannel));
    Loops inOrder;
    for (const Loops &dimension : arrange(roles.getQueryHeads(), roles.query, roles.valueChannel))
      inOrder.append(dimension);
    cost += inOrder == output ? 0 : OperandBuilder::movingCost;
    if (cost >= lowest)
      continue;
    lowest = cost;
    chosen = candidate;
  }
  layout = chosen;
}

bool AttentionBuilder::buildOperands(const Roles &roles) {
  auto build = [&](StringRef name, const Sources &sources, const Dimensions &dimensions) {
    Value tensor = operands.build(sources, dimensions, /*mayLack=*/false);
    if (!tensor)
      stop(name + " must be indexed by batch, heads, tokens and channels, each in full");
    return tensor;
  };
  query =
      build("queries", roles.querySources, arrange(roles.getQueryHeads(), roles.query, channels));
  key = build("keys", roles.keySources, arrange(roles.keyHeads, keys, channels));
  value = build("values", roles.valueSources, arrange(roles.keyHeads, keys, roles.valueChannel));
  return query && key && value;
}

Type AttentionBuilder::chooseElementType() {
  bool isBrain = false, isHalf = false;
  for (Value tensor : {query, key, value}) {
    isBrain |= typeOf(tensor).getElementType().isBF16();
    isHalf |= typeOf(tensor).getElementType().isF16();
  }
  // bf16 has the range of all of them.
  return isBrain  ? Type(builder.getBF16Type())
         : isHalf ? Type(builder.getF16Type())
                  : options.narrowType;
}

/// Left out where it is the default but for rounding, such as that of d^-1/4 twice.
FloatAttr AttentionBuilder::getScale() {
  int64_t channels = typeOf(query).getDimSize(3);
  if (!ShapedType::isDynamic(channels)) {
    double usual = 1 / std::sqrt(static_cast<double>(channels));
    if (std::abs(match.scale - usual) <= usual * 0x1p-22)
      return {};
  }
  return builder.getF32FloatAttr(static_cast<float>(match.scale));
}

Value AttentionBuilder::createOutput() {
  Location loc = match.root.getLoc();
  SmallVector<OpFoldResult> extents = tensor::getMixedSizes(builder, loc, query);
  extents[3] = tensor::getMixedSize(builder, loc, value, 3);
  return tensor::EmptyOp::create(builder, loc, extents, typeOf(query).getElementType());
}

AttentionOp AttentionBuilder::create(const MaskPlan &plan, Value bias) {
  auto optional = [&](std::optional<int64_t> bound) {
    return bound ? builder.getI64IntegerAttr(*bound) : IntegerAttr();
  };
  FloatAttr softcap;
  if (match.softcap)
    softcap = builder.getF32FloatAttr(static_cast<float>(*match.softcap));
  Value output = createOutput();
  MLIRContext *context = builder.getContext();
  return AttentionOp::create(builder, match.root.getLoc(), TypeRange{output.getType()}, query, key,
                             value, bias, /*key_lengths=*/Value(), /*sinks=*/Value(),
                             /*query_offsets=*/Value(), /*key_offsets=*/Value(), output,
                             options.recipe, LayoutAttr::get(context, layout),
                             MaskAttr::get(context, plan.mask), optional(plan.windowLeft),
                             optional(plan.windowRight), /*sink_tokens=*/IntegerAttr(), softcap,
                             getScale(), GeometryAttr(), ScheduleAttr(), TargetAttr());
}

bool AttentionBuilder::dependsOnProduct(Value tensor) {
  llvm::SetVector<Operation *> computed;
  BackwardSliceOptions slice;
  slice.omitUsesFromAbove = false;
  (void)getBackwardSlice(tensor, &computed, slice);
  return match.product != match.root.getDefiningOp() && computed.contains(match.product);
}

Value AttentionBuilder::run() {
  std::optional<Roles> roles = assignRoles(reader, match, obstacle);
  if (!roles)
    return nullptr;
  std::optional<MaskPlan> plan = choosePlan(*roles);
  if (!plan)
    return nullptr;
  batch = roles->batch;
  if (reader.loops.getExtent(match.keyLoop) != 1)
    keys = {match.keyLoop};
  if (reader.loops.getExtent(match.channelLoop) != 1)
    channels = {match.channelLoop};
  chooseLayout(*roles);
  if (!buildOperands(*roles))
    return nullptr;
  Value bias;
  if (!plan->biases.empty()) {
    Dimensions dimensions = {batch, roles->getQueryHeads(), roles->query, keys};
    bias = buildBias(reader, operands, builder, plan->biases, dimensions, obstacle);
    if (!bias)
      return nullptr;
    if (dependsOnProduct(bias)) {
      obstacle = {plan->biases.front().op, "masks and biases must not depend on the scores"};
      return nullptr;
    }
  }
  Type element = chooseElementType();
  for (Value *tensor : {&query, &key, &value})
    *tensor = operands.convert(*tensor, element);
  AttentionOp attention = create(*plan, bias);
  Value result = operands.regroup(
      attention.getResult(0), arrange(roles->getQueryHeads(), roles->query, roles->valueChannel),
      roles->output);
  result = operands.convert(result, typeOf(match.root).getElementType());
  if (result.getType() != match.root.getType())
    result = tensor::CastOp::create(builder, match.root.getLoc(), match.root.getType(), result);
  return result;
}

namespace {
/// Ops of a block in the order in which they were made; those in their bodies go with them.
struct Record : OpBuilder::Listener {
  explicit Record(Block *block) : block(block) {}
  void notifyOperationInserted(Operation *op, OpBuilder::InsertPoint) override {
    if (op->getBlock() == block)
      inserted.push_back(op);
  }
  Block *block;
  SmallVector<Operation *> inserted;
};
} // namespace

Value sage::raising::buildAttention(ElementReader &reader, AttentionMatch &match,
                                    const RaisingOptions &options, Obstacle &obstacle) {
  Record record(match.root.getParentBlock());
  Value result = AttentionBuilder(reader, match, options, obstacle, record).run();
  if (!result)
    for (Operation *op : llvm::reverse(record.inserted))
      op->erase();
  return result;
}
