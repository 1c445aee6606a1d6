// How the registers of one lane relate to elements.

#include "LaneMapping.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/MathExtras.h"

#include <numeric>

using namespace mlir;

namespace sage::tile {

std::optional<Position> applyMap(AffineMap map, Position position) {
  std::optional<int64_t> row = evaluate(map.getResult(0), {position.first, position.second});
  std::optional<int64_t> column = evaluate(map.getResult(1), {position.first, position.second});
  if (!row || !column)
    return std::nullopt;
  return Position(*row, *column);
}

FailureOr<SmallVector<int64_t>> findRegisters(LayoutAttr to, PositionMap map, LayoutAttr from) {
  if (to.getNumWarps() != from.getNumWarps())
    return failure();
  llvm::DenseMap<Position, int64_t> held;
  for (int64_t reg = 0, count = from.getNumRegisters(); reg < count; ++reg)
    held.try_emplace(from.getPosition(0, 0, reg), reg);
  SmallVector<int64_t> result;
  for (int64_t reg = 0, count = to.getNumRegisters(); reg < count; ++reg) {
    std::optional<Position> position = map(to.getPosition(0, 0, reg));
    auto found = position ? held.find(*position) : held.end();
    if (found == held.end())
      return failure();
    result.push_back(found->second);
  }
  for (int64_t warp = 0, warps = to.getNumWarps(); warp < warps; ++warp)
    for (int64_t lane = 0; lane < 32; ++lane)
      for (auto [reg, source] : llvm::enumerate(result))
        if (map(to.getPosition(warp, lane, reg)) != from.getPosition(warp, lane, source))
          return failure();
  return result;
}

//===----------------------------------------------------------------------===//
// Functions of warp, lane and register
//===----------------------------------------------------------------------===//

static int64_t sumOfBits(ArrayRef<int64_t> steps, int64_t number) {
  int64_t sum = 0;
  for (auto [bit, step] : llvm::enumerate(steps))
    sum += ((number >> bit) & 1) * step;
  return sum;
}

FailureOr<LaneFunction>
LaneFunction::get(LayoutAttr layout,
                  llvm::function_ref<std::optional<int64_t>(Position)> function) {
  int64_t warps = layout.getNumWarps();
  if (!llvm::isPowerOf2_64(warps))
    return failure();
  std::optional<int64_t> origin = function(layout.getPosition(0, 0, 0));
  if (!origin)
    return failure();
  LaneFunction result;
  for (int64_t reg = 0, count = layout.getNumRegisters(); reg < count; ++reg)
    result.offsets.push_back(function(layout.getPosition(0, 0, reg)).value_or(0));
  for (int64_t bit = 1; bit < 32; bit *= 2)
    result.laneSteps.push_back(function(layout.getPosition(0, bit, 0)).value_or(0) - *origin);
  for (int64_t bit = 1; bit < warps; bit *= 2)
    result.warpSteps.push_back(function(layout.getPosition(bit, 0, 0)).value_or(0) - *origin);

  for (int64_t warp = 0; warp < warps; ++warp)
    for (int64_t lane = 0; lane < 32; ++lane) {
      int64_t base = sumOfBits(result.warpSteps, warp) + sumOfBits(result.laneSteps, lane);
      for (auto [reg, offset] : llvm::enumerate(result.offsets))
        if (function(layout.getPosition(warp, lane, reg)) != base + offset)
          return failure();
    }
  return result;
}

SmallVector<int64_t> LaneFunction::getBases() const {
  SmallVector<int64_t> bases;
  for (int64_t warp = 0; warp < int64_t(1) << warpSteps.size(); ++warp)
    for (int64_t lane = 0; lane < int64_t(1) << laneSteps.size(); ++lane)
      bases.push_back(sumOfBits(warpSteps, warp) + sumOfBits(laneSteps, lane));
  return bases;
}

int64_t LaneFunction::getBaseDivisor() const {
  int64_t divisor = 0;
  for (ArrayRef<int64_t> steps : {ArrayRef(laneSteps), ArrayRef(warpSteps)})
    for (int64_t step : steps)
      divisor = std::gcd(divisor, step);
  return divisor;
}

/// Adds Σ bit(number) * step; runs of bits whose steps double are one field.
static Value emitSum(OpBuilder &builder, Location loc, ArrayRef<int64_t> steps,
                     llvm::function_ref<Value()> makeNumber, Value sum) {
  auto constant = [&](int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value).getResult();
  };
  for (size_t first = 0, end; first < steps.size(); first = end) {
    end = first + 1;
    if (steps[first] == 0)
      continue;
    while (end < steps.size() && steps[end] == 2 * steps[end - 1])
      ++end;
    Value field = makeNumber();
    if (first != 0)
      field = arith::ShRUIOp::create(builder, loc, field, constant(first));
    if (end < steps.size())
      field =
          arith::AndIOp::create(builder, loc, field, constant((int64_t(1) << (end - first)) - 1));
    if (steps[first] != 1)
      field = arith::MulIOp::create(builder, loc, field, constant(steps[first]));
    sum = sum ? arith::AddIOp::create(builder, loc, sum, field).getResult() : field;
  }
  return sum;
}

Value LaneFunction::emitBase(OpBuilder &builder, Location loc) const {
  Value sum = emitSum(
      builder, loc, laneSteps, [&] { return LaneIdOp::create(builder, loc).getResult(); }, Value());
  return emitSum(
      builder, loc, warpSteps, [&] { return WarpIdOp::create(builder, loc).getResult(); }, sum);
}

} // namespace sage::tile
