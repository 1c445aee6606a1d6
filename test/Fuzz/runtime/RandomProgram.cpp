#include "RandomProgram.h"

namespace sage::fuzz {
namespace {

const char *randomMap(Random &random) {
  return random.pick<const char *>(
      {"\"n\"", "0", "1", "[\"floordiv\",\"n\",32]", "[\"mod\",\"n\",8]", "[\"mul\",\"n\",1000]",
       "[\"sub\",\"n\",5]", "[\"floordiv\",\"n\",0]", "[\"mul\",\"n\",9223372036854775807]",
       "[\"mod\",[\"mul\",\"n\",4611686018427387904],3]", "[\"add\",\"n\"]", "\"Nq\"", "[", "null",
       "[\"min\",[\"max\",\"n\",3],7]", "[\"ceildiv\",\"n\",2]", "9223372036854775808", ""});
}

int randomNumber(Random &random) {
  return random.oneIn(3) ? int(random.next()) : int(random.below(6));
}

/// Callers in C can store any number in an enumeration.
template <typename Enumeration> void corrupt(Random &random, Enumeration &value) {
  static_assert(sizeof(Enumeration) == sizeof(int));
  value = static_cast<Enumeration>(randomNumber(random));
}

void corruptRecipe(Random &random, sage_recipe &recipe) {
  switch (random.below(7)) {
  case 0:
    return corrupt(random, recipe.qk);
  case 1:
    return corrupt(random, recipe.granularity);
  case 2:
    return corrupt(random, recipe.pv);
  case 3:
    return corrupt(random, recipe.accumulation);
  case 4:
    return corrupt(random, recipe.inner);
  case 5:
    return corrupt(random, recipe.row_sum);
  default:
    recipe.smooth_q = randomNumber(random);
    recipe.smooth_v = randomNumber(random);
  }
}

void corruptProblem(Random &random, sage_problem &problem) {
  switch (random.below(7)) {
  case 0:
    problem.head_dim = random.pick(boundaryIntegers);
    return;
  case 1:
    problem.value_head_dim = random.pick(boundaryIntegers);
    return;
  case 2:
    return corrupt(random, problem.mask);
  case 3:
    return corrupt(random, problem.element_type);
  case 4:
    return corrupt(random, problem.layout);
  case 5:
    problem.scale = random.pick({-1.0, 1e-320, 1e308, __builtin_nan(""), __builtin_inf(), 1e-40});
    return;
  default:
    problem.shape[random.below(5)] = random.pick(boundaryIntegers);
  }
}

void corruptGeometry(Random &random, sage_geometry &geometry) {
  switch (random.below(5)) {
  case 0:
    geometry.query_block = random.pick(boundaryIntegers);
    return;
  case 1:
    geometry.key_tile = random.pick(boundaryIntegers);
    return;
  case 2:
    geometry.query_groups = randomMap(random);
    return;
  case 3:
    geometry.key_groups = randomMap(random);
    return;
  default:
    geometry.value_order = randomMap(random);
  }
}

} // namespace

sage_program randomProgram(Random &random) {
  sage_program program{};
  const char *name = random.pick<const char *>({"sage2-8b", "sage2-4b", "sage1", "sage2pp", "f16"});
  auto fragment = random.pick({SAGE_MMA_SYNC_16, SAGE_MMA_SYNC_32, SAGE_WGMMA});
  sage_status_destroy(sage_program_named(name, fragment, &program));
  if (random.oneIn(3)) {
    auto granularity = random.pick(
        {SAGE_PER_TENSOR, SAGE_PER_BLOCK, SAGE_PER_WARP, SAGE_PER_THREAD, SAGE_PER_TOKEN});
    sage_status_destroy(sage_program_set_granularity(&program, granularity, fragment));
  }
  sage_problem &problem = program.problem;
  problem.head_dim = problem.value_head_dim = random.pick({1, 8, 16, 32, 40});
  if (random.oneIn(3))
    problem.value_head_dim = random.pick({1, 8, 24});
  problem.element_type = random.pick({SAGE_F16, SAGE_BF16});
  problem.mask =
      random.pick({SAGE_MASK_NONE, SAGE_MASK_CAUSAL_TOP_LEFT, SAGE_MASK_CAUSAL_BOTTOM_RIGHT});
  program.recipe.smooth_q = int32_t(random.below(2));
  program.recipe.smooth_k = int32_t(random.below(2));
  program.geometry.query_block = random.pick({16, 32, 128});
  program.geometry.key_tile = random.pick({1, 7, 16, 32, 64, 128});
  return program;
}

void makeHostile(Random &random, sage_program &program) {
  switch (random.below(3)) {
  case 0:
    return corruptProblem(random, program.problem);
  case 1:
    return corruptRecipe(random, program.recipe);
  default:
    return corruptGeometry(random, program.geometry);
  }
}

} // namespace sage::fuzz
