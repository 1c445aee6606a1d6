// What the parts of the preparation share.

#include "Preparation.h"

using namespace mlir;
using namespace sage;

tile::FragmentType sage::getRowMajor(Builder &b, int64_t rows, int64_t columns, Type elementType,
                                     int64_t vectorLength, bool lanesTakeHighRows) {
  MLIRContext *context = b.getContext();
  int64_t rowFactor = rows / (rows & -rows), columnFactor = columns / (columns & -columns);
  auto layout =
      tile::LayoutAttr::rowMajor(context, rows / rowFactor, columns / columnFactor, vectorLength);
  if (rowFactor * columnFactor != 1) {
    SmallVector<tile::LayoutMode> registers(layout.getReg());
    if (columnFactor != 1)
      registers.push_back({columnFactor, 0, columns / columnFactor});
    if (rowFactor != 1)
      registers.push_back({rowFactor, rows / rowFactor, 0});
    layout = tile::LayoutAttr::get(context, layout.getWarp(), layout.getLane(),
                                   ArrayRef<tile::LayoutMode>(registers));
  }
  if (lanesTakeHighRows) {
    // Row bits 0 and 2 change places: modes of two rows each.
    auto exchange = [](ArrayRef<tile::LayoutMode> modes) {
      return llvm::map_to_vector(modes, [](tile::LayoutMode mode) {
        mode.row = mode.row == 1 ? 4 : mode.row == 4 ? 1 : mode.row;
        return mode;
      });
    };
    layout = tile::LayoutAttr::get(context, layout.getWarp(), exchange(layout.getLane()),
                                   exchange(layout.getReg()));
  }
  return tile::FragmentType::get(context, {rows, columns}, elementType, layout);
}

AffineMap sage::getRowBroadcast(Builder &b) {
  return AffineMap::get(2, 0, {b.getAffineConstantExpr(0), b.getAffineDimExpr(1)}, b.getContext());
}

AffineMap sage::getScalarBroadcast(Builder &b) {
  AffineExpr zero = b.getAffineConstantExpr(0);
  return AffineMap::get(2, 0, {zero, zero}, b.getContext());
}

Value sage::subtractMean(KernelBuilder &b, Value x, Value mean, Value rowsLeft) {
  auto type = cast<tile::FragmentType>(x.getType());
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2), getRowBroadcast(b)};
  if (!rowsLeft)
    return b.map(type, {x, mean}, maps,
                 [&](ValueRange e) -> Value { return arith::SubFOp::create(b, e[0], e[1]); });
  Value left = b.toI32(rowsLeft);
  return b.map(
      type, {x, mean}, maps,
      [&](ValueRange e) -> Value {
        Value valid = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, e[0], left);
        return arith::SelectOp::create(b, valid, arith::SubFOp::create(b, e[2], e[3]), b.f32(0.0f));
      },
      /*positions=*/true);
}

Value sage::getCentredMagnitude(KernelBuilder &b, Value maximum, Value negatedMinimum, Value mean) {
  return b.map(cast<tile::FragmentType>(mean.getType()), {maximum, negatedMinimum, mean},
               [&](ValueRange e) -> Value {
                 Value minimum = arith::NegFOp::create(b, e[1]);
                 Value above = math::AbsFOp::create(b, arith::SubFOp::create(b, e[0], e[2]));
                 Value below = math::AbsFOp::create(b, arith::SubFOp::create(b, minimum, e[2]));
                 return arith::MaximumFOp::create(b, above, below);
               });
}

SmallVector<StatisticsPlan> sage::getStatistics(const Problem &problem) {
  const RecipeAttr &recipe = problem.recipe;
  bool perTensor = recipe.quantizesScores() && recipe.getGranularity() == Granularity::PerTensor;
  SmallVector<StatisticsPlan> plans;
  bool smoothsQuery = recipe.smoothsQuery();
  if (smoothsQuery || perTensor)
    plans.push_back({Side::Query, "query", Symbol::QueryB, Symbol::QueryAlign, problem.headDim,
                     problem.getPaddedHeadDim(),
                     smoothsQuery ? problem.geometry.getQueryBlock() : Problem::chunkTokens,
                     smoothsQuery, /*centresTiles=*/smoothsQuery, perTensor,
                     /*joinsChannels=*/true});
  if (recipe.smoothsKey() || perTensor)
    plans.push_back({Side::Key, "key", Symbol::KeyB, Symbol::KeyAlign, problem.headDim,
                     problem.getPaddedHeadDim(), Problem::chunkTokens, recipe.smoothsKey(),
                     /*centresTiles=*/false, perTensor, /*joinsChannels=*/true});
  if (recipe.quantizesValue())
    plans.push_back({Side::Key, "value", Symbol::ValueB, Symbol::ValueAlign, problem.valueHeadDim,
                     problem.getPaddedValueHeadDim(), Problem::chunkTokens, recipe.smoothsValue(),
                     /*centresTiles=*/false, /*needsMagnitude=*/true, /*joinsChannels=*/false});
  return plans;
}

std::optional<Refusal> sage::findUnsupportedPreparation(const Problem &problem) {
  for (int64_t headDim : {problem.headDim, problem.valueHeadDim})
    if (headDim % 8 != 0 || headDim < 8 || headDim > 256)
      return Refusal{"head dim must be a multiple of 8 up to 256 for the kernels, but got " +
                         std::to_string(headDim),
                     "pad the tensors' head dim with zeros and give the scale; sage-decompose "
                     "lowers any head dim to linalg"};
  int64_t block = problem.geometry.getQueryBlock(), tile = problem.getQueryTile();
  if (problem.usesQueryBlocks() && block % tile != 0 && tile % block != 0)
    return Refusal{"geometry's query_block must divide the schedule's block of query rows or be a "
                   "multiple of it, but got " +
                       std::to_string(block) + " and " + std::to_string(tile),
                   "leave query_block to sage-assign-schedule, or choose another schedule row"};
  if (problem.recipe.getGranularity() == Granularity::PerBlock && block > maxSharedTokens)
    return Refusal{"geometry's query_block must be at most " + std::to_string(maxSharedTokens) +
                       " tokens where it shares a scale, but got " + std::to_string(block),
                   "the warps of one thread block find the scale together"};
  return std::nullopt;
}
