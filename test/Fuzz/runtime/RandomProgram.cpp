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
  switch (random.below(9)) {
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
  case 6:
    return corrupt(random, recipe.rotate);
  case 7:
    return corrupt(random, recipe.range);
  default:
    recipe.smooth_q = randomNumber(random);
    recipe.smooth_v = randomNumber(random);
  }
}

void corruptMasks(Random &random, sage_problem &problem) {
  switch (random.below(8)) {
  case 0:
    problem.window_left = random.pick(boundaryIntegers);
    return;
  case 1:
    problem.window_right = random.pick(boundaryIntegers);
    return;
  case 2:
    problem.sink_tokens = random.pick(boundaryIntegers);
    return;
  case 3:
    problem.softcap =
        random.pick({-1.0, 1e-320, 1e-30, 1e30, 1e308, __builtin_nan(""), __builtin_inf()});
    return;
  case 4:
    return corrupt(random, problem.bias_type);
  case 5:
    problem.has_window_left = randomNumber(random);
    return;
  case 6:
    problem.has_window_right = randomNumber(random);
    return;
  default: // together where one excludes the other
    problem.packed = randomNumber(random);
    problem.key_lengths = randomNumber(random);
  }
}

void corruptProblem(Random &random, sage_problem &problem) {
  switch (random.below(8)) {
  case 7:
    return corruptMasks(random, problem);
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
  switch (random.below(6)) {
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
  case 4:
    geometry.key_parts = random.pick<const char *>(
        {"2", "\"Nk\"", "-9223372036854775808", "9223372036854775807", "\"n\"",
         R"(["floordiv",132,["sub","Nq",1]])", R"(["mul","Nk",4611686018427387904])",
         R"(["min",["floordiv",132,["mul","B","Hq"]],["floordiv","Nk",64]])"});
    return;
  default:
    geometry.value_order = randomMap(random);
  }
}

void addMasks(Random &random, sage_problem &problem) {
  problem.mask =
      random.pick({SAGE_MASK_NONE, SAGE_MASK_CAUSAL_TOP_LEFT, SAGE_MASK_CAUSAL_BOTTOM_RIGHT,
                   SAGE_MASK_WINDOW_TOP_LEFT, SAGE_MASK_WINDOW_BOTTOM_RIGHT});
  auto bound = [&] { return random.oneIn(8) ? int64_t(1) << 30 : int64_t(random.below(20)); };
  bool isWindow =
      problem.mask == SAGE_MASK_WINDOW_TOP_LEFT || problem.mask == SAGE_MASK_WINDOW_BOTTOM_RIGHT;
  problem.has_window_right = isWindow && random.oneIn(2);
  problem.has_window_left = (isWindow && !problem.has_window_right) ||
                            (problem.mask != SAGE_MASK_NONE && random.oneIn(4));
  problem.window_left = problem.has_window_left ? bound() : 0;
  problem.window_right = problem.has_window_right ? bound() : 0;
  problem.sink_tokens = problem.has_window_left && random.oneIn(3) ? bound() : 0;
  problem.softcap = random.oneIn(4) ? random.pick({50.0, 2.0, 1e-18, 1e18}) : 0;
  problem.has_bias = random.oneIn(3);
  problem.bias_type =
      problem.has_bias ? random.pick({SAGE_F16, SAGE_BF16, SAGE_F32, SAGE_BOOL}) : SAGE_F16;
  problem.sinks = random.oneIn(4);
  problem.packed = random.oneIn(4);
  problem.key_lengths = !problem.packed && random.oneIn(4);
}

} // namespace

sage_program randomProgram(Random &random) {
  sage_program program{};
  const char *name = random.pick<const char *>(
      {"sage2-8b", "sage2-4b", "sage1", "sage2pp", "sage-8b", "sage-4b", "f16"});
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
  addMasks(random, problem);
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
