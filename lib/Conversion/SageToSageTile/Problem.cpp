// What both sides of the workspace derive from a problem.

#include "Problem.h"

using namespace mlir;
using namespace sage;

Type Problem::getScoreType() const {
  MLIRContext *context = recipe.getContext();
  if (multipliesAsFloats())
    return Float8E4M3FNType::get(context);
  switch (recipe.getQk()) {
  case ScoreType::Int8:
  case ScoreType::Int4:
    return IntegerType::get(context, 8);
  case ScoreType::E4M3:
    return Float8E4M3FNType::get(context);
  case ScoreType::F16:
    return elementType;
  }
  llvm_unreachable("unknown score type");
}

int64_t Problem::getScoreRowBytes() const {
  return getScoreColumns() * getScoreType().getIntOrFloatBitWidth() / 8;
}

ScaleGroups Problem::getQueryGroups() const {
  switch (recipe.getGranularity()) {
  case Granularity::PerTensor:
    return {1, 0};
  case Granularity::PerBlock:
    return {1, geometry.getQueryBlock()};
  case Granularity::PerWarp:
    return {1, warpRows};
  case Granularity::PerThread:
    return {8, warpRows};
  case Granularity::PerToken:
    return {warpRows, warpRows};
  }
  llvm_unreachable("unknown granularity");
}

ScaleGroups Problem::getKeyGroups() const {
  switch (recipe.getGranularity()) {
  case Granularity::PerTensor:
    return {1, 0};
  case Granularity::PerBlock:
  case Granularity::PerWarp:
    return {1, getKeyTile()};
  case Granularity::PerThread:
    return {4, getKeyTile()};
  case Granularity::PerToken:
    return {getKeyTile(), getKeyTile()};
  }
  llvm_unreachable("unknown granularity");
}

std::optional<int64_t> Problem::getRightBound() const {
  switch (mask) {
  case Mask::None:
    return std::nullopt;
  case Mask::CausalTopLeft:
  case Mask::CausalBottomRight:
    return 0;
  case Mask::WindowTopLeft:
  case Mask::WindowBottomRight:
    return windowRight ? std::optional(windowRight.getInt()) : std::nullopt;
  }
  llvm_unreachable("unknown mask");
}

Type Problem::getValueType() const {
  MLIRContext *context = recipe.getContext();
  switch (recipe.getPv()) {
  case PvType::E4M3:
    return Float8E4M3FNType::get(context);
  case PvType::E5M2:
    return Float8E5M2Type::get(context);
  case PvType::F16:
    return elementType;
  }
  llvm_unreachable("unknown PV type");
}

int64_t Problem::getValueBytes() const { return getValueType().getIntOrFloatBitWidth() / 8; }
