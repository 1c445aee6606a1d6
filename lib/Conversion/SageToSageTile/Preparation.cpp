// What the preparation kernels share, and their order.

#include "Preparation.h"

using namespace mlir;
using namespace sage;

tile::FragmentType sage::getRowMajor(Builder &b, int64_t rows, int64_t columns, Type elementType,
                                     int64_t vectorLength) {
  auto layout = tile::LayoutAttr::rowMajor(b.getContext(), rows, columns, vectorLength);
  return tile::FragmentType::get(b.getContext(), {rows, columns}, elementType, layout);
}

std::pair<Value, Value> sage::getScales(KernelBuilder &b, Value magnitudes, float range) {
  auto type = cast<tile::FragmentType>(magnitudes.getType());
  return {b.map(type, {magnitudes},
                [&](ValueRange x) { return b.getScale(x[0], range, /*inverse=*/false); }),
          b.map(type, {magnitudes},
                [&](ValueRange x) { return b.getScale(x[0], range, /*inverse=*/true); })};
}

Value sage::getMagnitudes(KernelBuilder &b, Value x, AffineMap groups, int64_t numGroups) {
  auto type = cast<tile::FragmentType>(x.getType());
  Value magnitudes =
      b.map(type, {x}, [&](ValueRange e) -> Value { return math::AbsFOp::create(b, e[0]); });
  auto result = tile::FragmentType::get(b.getContext(), {numGroups, 1}, b.getF32Type(),
                                        type.getLayout().project(groups));
  return b.reduce(tile::ReduceKind::MaximumF, magnitudes, result, groups);
}

Value sage::quantize(KernelBuilder &b, Value x, Value inverses, AffineMap groups) {
  auto type = cast<tile::FragmentType>(x.getType());
  Value scaled = b.map(type, {x, inverses}, {b.getMultiDimIdentityMap(2), groups},
                       [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
  return b.convert(scaled, type.withElementType(b.getI8Type()));
}

std::optional<Refusal> sage::findUnsupportedPreparation(const Problem &problem) {
  constexpr llvm::StringLiteral remedy =
      "preparation kernels exist for int8 per_thread QK, smoothing none or k, e4m3 PV and head dim "
      "128; sage-decompose lowers every recipe to linalg";
  const RecipeAttr &recipe = problem.recipe;
  if (recipe.getQk() != ScoreType::Int8 || recipe.getGranularity() != Granularity::PerThread)
    return Refusal{"recipe's QK is not lowered to kernels yet", remedy.str()};
  if (recipe.smoothsQuery() || recipe.smoothsValue())
    return Refusal{"recipe's smoothing of Q or V is not lowered to kernels yet", remedy.str()};
  if (recipe.getPv() == PvType::F16)
    return Refusal{"recipe's PV is not lowered to kernels yet", remedy.str()};
  if (problem.headDim != 128 || problem.valueHeadDim != 128)
    return Refusal{"head dim must be 128 for the preparation kernels, but got " +
                       std::to_string(problem.headDim) + " and " +
                       std::to_string(problem.valueHeadDim),
                   remedy.str()};
  return std::nullopt;
}

void sage::addPreparationKernels(ProgramBuilder &program) {
  addStatisticsKernels(program);
  addQueryKernel(program);
  addKeyKernel(program);
  addValueKernel(program);
}
