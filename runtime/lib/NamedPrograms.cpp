//===- NamedPrograms.cpp - recipes and groups by name ---------------------===//
#include "Status.h"

#include <array>
#include <cstring>

namespace sage::runtime {
namespace {

constexpr std::array<sage_recipe, 7> recipes = {{
    {"sage2-8b", SAGE_SCORE_INT8, SAGE_PER_THREAD, 0, 1, 0, SAGE_VALUE_E4M3, SAGE_TWO_LEVEL,
     SAGE_INNER_F32, SAGE_ROW_SUM_QUANTIZED, 0, SAGE_ROTATE_NONE, SAGE_RANGE_FULL},
    {"sage2-4b", SAGE_SCORE_INT4, SAGE_PER_THREAD, 1, 1, 0, SAGE_VALUE_E4M3, SAGE_TWO_LEVEL,
     SAGE_INNER_F32, SAGE_ROW_SUM_QUANTIZED, 0, SAGE_ROTATE_NONE, SAGE_RANGE_FULL},
    {"sage1", SAGE_SCORE_INT8, SAGE_PER_BLOCK, 0, 1, 0, SAGE_VALUE_F16, SAGE_SINGLE_LEVEL,
     SAGE_INNER_F32, SAGE_ROW_SUM_FLOAT, 0, SAGE_ROTATE_NONE, SAGE_RANGE_FULL},
    {"sage2pp", SAGE_SCORE_INT8, SAGE_PER_THREAD, 0, 1, 0, SAGE_VALUE_E4M3, SAGE_TWO_LEVEL,
     SAGE_INNER_F16, SAGE_ROW_SUM_FLOAT, 64, SAGE_ROTATE_NONE, SAGE_RANGE_FULL},
    {"sage-8b", SAGE_SCORE_INT8, SAGE_PER_THREAD, 0, 1, 0, SAGE_VALUE_E4M3, SAGE_TWO_LEVEL,
     SAGE_INNER_F32, SAGE_ROW_SUM_QUANTIZED, 0, SAGE_ROTATE_HADAMARD, SAGE_RANGE_FULL},
    {"sage-4b", SAGE_SCORE_INT4, SAGE_PER_THREAD, 1, 1, 0, SAGE_VALUE_E4M3, SAGE_TWO_LEVEL,
     SAGE_INNER_F32, SAGE_ROW_SUM_QUANTIZED, 0, SAGE_ROTATE_HADAMARD, SAGE_RANGE_CLIPPED},
    {"f16", SAGE_SCORE_F16, SAGE_PER_TENSOR, 0, 0, 0, SAGE_VALUE_F16, SAGE_SINGLE_LEVEL,
     SAGE_INNER_F32, SAGE_ROW_SUM_FLOAT, 0, SAGE_ROTATE_NONE, SAGE_RANGE_FULL},
}};

/// The tokens whose scores one lane holds in an accumulator fragment: rows t,
/// t+8, … of its warp, and of every eight key columns the pair 2c, 2c+1.
/// Blocks and tiles are those of the compiler's schedules up to head dim 128.
struct FragmentGroups {
  int64_t queryBlock, keyTile;
  const char *queryPerBlock, *queryPerWarp, *queryPerThread, *keyPerBlock, *keyPerThread;
};
constexpr std::array<FragmentGroups, 3> fragments = {{
    {128, 64, R"(["floordiv","n",128])", R"(["floordiv","n",16])",
     R"(["add",["mul",["floordiv","n",16],8],["mod","n",8]])", R"(["floordiv","n",64])",
     R"(["add",["mul",["floordiv","n",64],4],["floordiv",["mod","n",8],2]])"},
    {128, 64, R"(["floordiv","n",128])", R"(["floordiv","n",32])",
     R"(["add",["mul",["floordiv","n",32],8],["mod","n",8]])", R"(["floordiv","n",64])",
     R"(["add",["mul",["floordiv","n",64],4],["floordiv",["mod","n",8],2]])"},
    {192, 128, R"(["floordiv","n",192])", R"(["floordiv","n",16])",
     R"(["add",["mul",["floordiv","n",16],8],["mod","n",8]])", R"(["floordiv","n",128])",
     R"(["add",["mul",["floordiv","n",128],4],["floordiv",["mod","n",8],2]])"},
}};

/// Spec N6.
constexpr const char *valueOrder =
    R"(["add",["mul",["floordiv","n",16],16],["add",["mul",8,["floordiv",)"
    R"(["mod","n",4],2]],["add",["mul",2,["floordiv",["mod","n",16],4]],)"
    R"(["mod","n",2]]]])";

Status setGranularity(sage_program &program, sage_granularity granularity, sage_fragment fragment) {
  if (fragment < SAGE_MMA_SYNC_16 || fragment > SAGE_WGMMA)
    return invalidArgument("fragment must be a sage_fragment, but got ", int(fragment));
  const FragmentGroups &groups = fragments[size_t(fragment)];
  const char *query = nullptr, *key = nullptr;
  switch (granularity) {
  case SAGE_PER_TENSOR:
    query = key = "0";
    break;
  case SAGE_PER_BLOCK:
    query = groups.queryPerBlock, key = groups.keyPerBlock;
    break;
  case SAGE_PER_WARP:
    query = groups.queryPerWarp, key = groups.keyPerBlock;
    break;
  case SAGE_PER_THREAD:
    query = groups.queryPerThread, key = groups.keyPerThread;
    break;
  case SAGE_PER_TOKEN:
    query = key = R"("n")";
    break;
  }
  if (!query)
    return invalidArgument("granularity must be a sage_granularity, but got ", int(granularity));
  program.recipe.granularity = granularity;
  program.geometry = {groups.queryBlock, groups.keyTile, query, key, valueOrder, nullptr};
  return {};
}

Status namedProgram(const char *name, sage_fragment fragment, sage_program &program) {
  for (const sage_recipe &recipe : recipes) {
    if (!name || std::strcmp(recipe.name, name) != 0)
      continue;
    program.recipe = recipe;
    program.problem = sage_problem{};
    program.problem.head_dim = program.problem.value_head_dim = 128;
    program.problem.lse = 1;
    for (int64_t &extent : program.problem.shape)
      extent = -1;
    return setGranularity(program, recipe.granularity, fragment);
  }
  return invalidArgument("recipe must be one of sage2-8b, sage2-4b, sage1, "
                         "sage2pp, sage-8b, sage-4b, f16, but got '",
                         name ? name : "", "'");
}

} // namespace
} // namespace sage::runtime

extern "C" sage_status *sage_program_named(const char *name, sage_fragment fragment,
                                           sage_program *program) {
  return sage::runtime::namedProgram(name, fragment, *program).release();
}

extern "C" sage_status *sage_program_set_granularity(sage_program *program,
                                                     sage_granularity granularity,
                                                     sage_fragment fragment) {
  return sage::runtime::setGranularity(*program, granularity, fragment).release();
}
