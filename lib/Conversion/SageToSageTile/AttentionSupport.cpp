// What the attention kernel does not cover.

#include "Problem.h"

using namespace mlir;
using namespace sage;

std::optional<Refusal> sage::findUnsupportedAttention(const Problem &problem) {
  constexpr llvm::StringLiteral remedy =
      "the attention kernel exists for int8 per_thread QK, e4m3 PV with f32 inner accumulation per "
      "key tile, and head dim 128; sage-decompose lowers every recipe to linalg";
  const RecipeAttr &recipe = problem.recipe;
  if (recipe.getQk() != ScoreType::Int8 || recipe.getGranularity() != Granularity::PerThread)
    return Refusal{"recipe's QK is not lowered to kernels yet", remedy.str()};
  if (recipe.smoothsQuery() || recipe.smoothsValue())
    return Refusal{"recipe's smoothing of Q or V is not lowered to kernels yet", remedy.str()};
  if (recipe.getPv() != PvType::E4M3 || recipe.getInner() != InnerType::F32 ||
      (recipe.getInterval() != 0 && recipe.getInterval() != problem.getKeyTile()))
    return Refusal{"recipe's PV is not lowered to kernels yet", remedy.str()};
  if (problem.headDim != 128 || problem.valueHeadDim != 128)
    return Refusal{"head dim must be 128 for the attention kernel, but got " +
                       std::to_string(problem.headDim) + " and " +
                       std::to_string(problem.valueHeadDim),
                   remedy.str()};
  const std::pair<llvm::StringLiteral, bool> features[] = {
      {"bias", bool(problem.bias)},
      {"key_lengths", problem.hasKeyLengths},
      {"sinks", problem.hasSinks},
      {"query_offsets and key_offsets", problem.isPacked},
      {"softcap", bool(problem.softcap)},
      {"window_left", bool(problem.windowLeft)},
      {"window_right", bool(problem.windowRight)}};
  for (auto [name, given] : features)
    if (given)
      return Refusal{(name + " is not lowered to kernels yet").str(),
                     "sage-decompose lowers it to linalg"};
  return std::nullopt;
}
