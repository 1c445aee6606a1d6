// Distribution of reductions: the registers of a lane first, then lanes by shuffles.

#include "Distribute.h"
#include "LaneMapping.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace sage::tile {
namespace {

/// An element of a group that one result register combines.
struct Term {
  int64_t row;
  int64_t column;
  int64_t reg;
};

struct Plan {
  /// By result register; in order of rows, then columns.
  SmallVector<SmallVector<Term>> groups;
  /// Distances between lanes to combine, in order.
  SmallVector<int64_t> laneDistances;
};

Value combine(OpBuilder &builder, Location loc, ReduceKind kind, Value a, Value b) {
  switch (kind) {
  case ReduceKind::AddF:
    return arith::AddFOp::create(builder, loc, a, b);
  case ReduceKind::MaximumF:
    return arith::MaximumFOp::create(builder, loc, a, b);
  case ReduceKind::MaxSI:
    return arith::MaxSIOp::create(builder, loc, a, b);
  }
  llvm_unreachable("unknown kind of reduction");
}

/// Up to four chains, two values at a time: nested pairs become three-input maxima (VIMNMX3), and
/// four chains are enough to hide the latency of one.
Value combineChains(OpBuilder &builder, Location loc, ReduceKind kind, ArrayRef<Value> values) {
  size_t count = std::clamp<size_t>(values.size() / 2, 1, 4);
  SmallVector<Value> chains(count);
  for (auto [index, value] : llvm::enumerate(values)) {
    Value &chain = chains[index / 2 % count];
    chain = chain ? combine(builder, loc, kind, chain, value) : value;
  }
  Value result = chains.front();
  for (Value chain : ArrayRef(chains).drop_front())
    result = combine(builder, loc, kind, result, chain);
  return result;
}

/// Spec N1: value i takes value i + n/2, then i + n/4, …
Value combineHalving(OpBuilder &builder, Location loc, ReduceKind kind, SmallVector<Value> values) {
  while (values.size() > 1) {
    size_t half = values.size() / 2;
    for (size_t i = 0; i < half; ++i)
      values[i] = combine(builder, loc, kind, values[i], values[i + half]);
    values.truncate(half);
  }
  return values.front();
}

class Planner {
public:
  explicit Planner(ReduceOp op)
      : op(op), source(op.getSource().getType().getLayout()),
        result(op.getResult().getType().getLayout()), map(op.getReductionMap()) {}

  FailureOr<Plan> run() {
    auto targets = findRegisters(source, [&](Position p) { return applyMap(map, p); }, result);
    if (failed(targets))
      return op.emitOpError("result must be in the same register of every lane, but layouts are ")
             << source << " and " << result;
    plan.groups.resize(result.getNumRegisters());
    for (auto [reg, target] : llvm::enumerate(*targets)) {
      auto [row, column] = source.getPosition(0, 0, reg);
      plan.groups[target].push_back({row, column, int64_t(reg)});
    }
    for (SmallVector<Term> &group : plan.groups)
      llvm::sort(group, [](const Term &a, const Term &b) {
        return std::pair(a.row, a.column) < std::pair(b.row, b.column);
      });
    for (int64_t bit = 1; bit < source.getNumWarps(); bit *= 2)
      if (source.getPosition(bit, 0, 0) != Position(0, 0) &&
          result.getPosition(bit, 0, 0) == Position(0, 0))
        return op.emitOpError("reduction must stay inside a warp, but ")
               << AffineMapAttr::get(map) << " merges elements of several warps of " << source;
    if (failed(planLanes()))
      return failure();
    return plan;
  }

private:
  LogicalResult planLanes() {
    SmallVector<std::pair<int64_t, int64_t>> steps;
    for (int64_t bit = 1; bit < 32; bit *= 2) {
      Position step = source.getPosition(0, bit, 0);
      if (step != Position(0, 0) && result.getPosition(0, bit, 0) == Position(0, 0))
        steps.push_back({step.first, bit});
    }
    llvm::stable_sort(steps, [](auto a, auto b) { return a.first > b.first; });
    for (auto [rows, bit] : steps)
      plan.laneDistances.push_back(bit);
    int64_t laneRows = steps.empty() ? 0 : steps.front().first;
    for (ArrayRef<Term> group : plan.groups) {
      int64_t numRows = 1;
      for (size_t i = 1; i < group.size(); ++i) {
        int64_t distance = group[i].row - group[i - 1].row;
        if (distance == 0)
          continue;
        ++numRows;
        // The halving tree starts with the highest bit of the row.
        if (op.getKind() == ReduceKind::AddF && distance < 2 * laneRows)
          return op.emitOpError(
                     "sum over rows must have the high bits of the row in registers, but got ")
                 << source;
      }
      if (op.getKind() == ReduceKind::AddF && !llvm::isPowerOf2_64(numRows))
        return op.emitOpError("sum must have a number of rows that is a power of two, but got ")
               << numRows;
    }
    return success();
  }

  ReduceOp op;
  LayoutAttr source, result;
  AffineMap map;
  Plan plan;
};

struct DistributeReduce : OpConversionPattern<ReduceOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(ReduceOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    FailureOr<Plan> plan = Planner(op).run();
    if (failed(plan))
      return failure();
    Location loc = op.getLoc();
    Type elementType = op.getSource().getType().getElementType();
    if (!plan->laneDistances.empty() && elementType.getIntOrFloatBitWidth() != 32)
      return op.emitOpError("elements must have 32 bits to be shuffled between lanes, but got ")
             << elementType;
    SmallVector<Value> results;
    for (ArrayRef<Term> group : plan->groups)
      results.push_back(combineRegisters(rewriter, loc, op.getKind(), adaptor.getSource(), group));
    for (int64_t distance : plan->laneDistances)
      for (Value &value : results) {
        auto shuffle = gpu::ShuffleOp::create(rewriter, loc, value, int32_t(distance), 32,
                                              gpu::ShuffleMode::XOR);
        value = combine(rewriter, loc, op.getKind(), value, shuffle.getShuffleResult());
      }
    rewriter.replaceOpWithNewOp<vector::FromElementsOp>(op, op.getResult().getType().getLaneType(),
                                                        results);
    return success();
  }

private:
  static Value combineRegisters(OpBuilder &builder, Location loc, ReduceKind kind, Value source,
                                ArrayRef<Term> group) {
    auto extract = [&](const Term &term) -> Value {
      return vector::ExtractOp::create(builder, loc, source, term.reg);
    };
    // Only sums of floats depend on the order.
    if (kind != ReduceKind::AddF)
      return combineChains(builder, loc, kind, llvm::map_to_vector(group, extract));
    SmallVector<Value> rows;
    for (size_t first = 0, end; first < group.size(); first = end) {
      end = first + 1;
      while (end < group.size() && group[end].row == group[first].row)
        ++end;
      rows.push_back(combineChains(builder, loc, kind,
                                   llvm::map_to_vector(group.slice(first, end - first), extract)));
    }
    return combineHalving(builder, loc, kind, rows);
  }
};

} // namespace

void populateDistributeReductionPatterns(const TypeConverter &converter,
                                         RewritePatternSet &patterns) {
  patterns.add<DistributeReduce>(converter, patterns.getContext());
}

} // namespace sage::tile
