//===- SelfTest.cpp - the error bound, tried on the CPU -------------------===//
#include "SelfTest.h"

#include "FloatFormats.h"
#include "HostTensor.h"
#include "Session.h"
#include "TileKernels.h"

#include <cmath>
#include <cstdio>
#include <functional>

namespace sage::gpu {
namespace {

using namespace sage::runtime;
using Change = std::function<void(ReferenceOperands &)>;

/// Row by row as the Hopper kernel does it: integer scores stay under 12582912, whose
/// multiple is taken away in the exponent's constant.
class FoldedKernel {
public:
  explicit FoldedKernel(const ReferenceOperands &operands)
      : operands(operands), columns(size_t(operands.valueColumns())), total(columns),
        fresh(columns) {}

  void attendRow(int64_t head, int64_t query, std::vector<uint16_t> &output) {
    const Extents &extents = operands.extents;
    int64_t tile = operands.geometry.keyTile;
    int64_t visible = visibleKeys(operands.problem, extents, query).end;
    std::fill(total.begin(), total.end(), 0.0f);
    maximum = -INFINITY;
    for (int64_t t = (visible + tile - 1) / tile - 1; t >= 0; --t)
      addTile(head, query, t * tile, std::min(tile, visible - t * tile));
    size_t dims = columns - 1; // the last one sums the rows
    const float *scales = operands.valueScales.data() + head / extents.headGroup() * int64_t(dims);
    float inverse = total[dims] == 0 ? 0 : 1.0f / total[dims];
    for (size_t d = 0; d < dims; ++d)
      output[size_t(head * extents.queries + query) * dims + d] =
          encodeElement(operands.problem.element_type, total[d] * inverse * scales[d]);
  }

private:
  void addTile(int64_t head, int64_t query, int64_t firstKey, int64_t keys) {
    constexpr float magic = 12582912.0f;
    const Extents &extents = operands.extents;
    int64_t dims = operands.problem.head_dim;
    int64_t row = head * extents.queries + query;
    int64_t keyRow = head / extents.headGroup() * extents.keys + firstKey;
    std::vector<float> scores(static_cast<size_t>(keys)), factors(scores.size());
    tileKernels().integerScores(operands.queryIntegers.data() + row * dims,
                                operands.keyIntegers.data() + keyRow * dims, dims, keys,
                                scores.data());
    float next = maximum;
    for (size_t j = 0; j < scores.size(); ++j) {
      factors[j] = operands.queryScales[size_t(row)] * operands.scaleLog2e *
                   operands.keyScales[size_t(keyRow) + j];
      next = std::max(next, scores[j] * factors[j]);
    }
    float rescale = maximum == -INFINITY ? 0 : std::exp2(maximum - next);
    maximum = next;
    std::fill(fresh.begin(), fresh.end(), 0.0f);
    for (size_t j = 0; j < scores.size(); ++j) {
      float constant = std::fma(-magic, factors[j], std::log2(448.0f) - maximum);
      float p = roundToE4m3(std::exp2(std::fma(scores[j] + magic, factors[j], constant)));
      for (size_t d = 0; d < columns; ++d)
        fresh[d] += p * operands.values[(size_t(keyRow) + j) * columns + d];
    }
    for (size_t d = 0; d < columns; ++d)
      total[d] = std::fma(total[d], rescale, fresh[d]);
  }

  const ReferenceOperands &operands;
  size_t columns;
  std::vector<float> total, fresh;
  float maximum = 0;
};

using Applies = bool (*)(const sage_recipe &);

struct Variant {
  const char *name;
  bool isFault;
  bool modelsTensorCore;
  Change change;
  /// Faults that a recipe cannot show are left out.
  Applies applies = [](const sage_recipe &) { return true; };
};

bool quantizesValues(const sage_recipe &recipe) { return recipe.pv != SAGE_VALUE_F16; }
/// e4m3 scores that are cut off to 13 bits hide small changes of the exponent.
bool hasExactScores(const sage_recipe &recipe) { return recipe.qk != SAGE_SCORE_E4M3; }
/// Keys of one tile have several scales.
bool hasKeyGroups(const sage_recipe &recipe) {
  return recipe.qk != SAGE_SCORE_F16 && recipe.granularity >= SAGE_PER_THREAD &&
         hasExactScores(recipe);
}

/// What a right kernel may do, and what planted faults do (sage-tile-inject-fault).
std::vector<Variant> variants() {
  auto scaled = [](float factor) {
    return [factor](ReferenceOperands &operands) { operands.scaleLog2e *= factor; };
  };
  return {
      {"the reference itself", false, false, [](ReferenceOperands &) {}},
      {"22-bit accumulation", false, true, [](ReferenceOperands &) {}},
      {"exponents 2^-24 larger", false, false, scaled(1 + 0x1p-23f)},
      {"exponents 2^-24 smaller, 22 bits", false, true, scaled(1 - 0x1p-24f)},
      {"scales of the next key group", true, false,
       [](ReferenceOperands &operands) {
         std::vector<float> scales = operands.keyScales;
         for (size_t n = 0; n < scales.size(); ++n)
           operands.keyScales[n] = scales[n + 2 < scales.size() ? n + 2 : n];
       },
       hasKeyGroups},
      {"one key too many", true, false,
       [](ReferenceOperands &operands) {
         // The first row sees the second key too: one value in its place.
         operands.problem.mask = SAGE_MASK_CAUSAL_TOP_LEFT;
       }},
      {"no scales of V", true, false,
       [](ReferenceOperands &operands) {
         std::fill(operands.valueScales.begin(), operands.valueScales.end(), 1.0f);
       },
       quantizesValues},
      {"swapped tokens of V", true, false,
       [](ReferenceOperands &operands) {
         int64_t columns = operands.valueColumns();
         for (size_t n = 0; n + 1 < operands.values.size() / size_t(columns); n += 2)
           for (int64_t d = 0; d < columns; ++d)
             std::swap(operands.values[n * size_t(columns) + size_t(d)],
                       operands.values[(n + 1) * size_t(columns) + size_t(d)]);
       }},
      {"other key tiles, so other maxima under P8", true, false,
       [](ReferenceOperands &operands) {
         operands.geometry.keyTile = operands.geometry.keyTile == 64 ? 128 : 64;
       },
       [](const sage_recipe &recipe) {
         return quantizesValues(recipe) && hasExactScores(recipe) && recipe.inner == SAGE_INNER_F32;
       }},
      {"exponents 1/500 larger", true, false, scaled(1.002f), hasExactScores},
  };
}

struct Setting {
  const char *name; ///< of the recipe
  sage_fragment fragment;
  ScoreConversion conversion = ScoreConversion::Exact;
  void (*change)(sage_recipe &) = [](sage_recipe &) {};
  void (*mask)(sage_problem &) = [](sage_problem &problem) {
    problem.mask = SAGE_MASK_CAUSAL_BOTTOM_RIGHT;
  };
};

void maskWindow(sage_problem &problem) {
  problem.mask = SAGE_MASK_WINDOW_BOTTOM_RIGHT;
  problem.has_window_left = problem.has_window_right = 1;
  problem.window_left = 90;
  problem.window_right = 3;
  problem.sink_tokens = 5;
  problem.sinks = 1;
}

void biasAndCap(sage_problem &problem) {
  problem.mask = SAGE_MASK_CAUSAL_BOTTOM_RIGHT;
  problem.softcap = 20;
  problem.has_bias = 1;
  problem.bias_type = SAGE_BF16;
}

bool judge(const Setting &setting, const Case &from, const char *name, bool isFault,
           const ReferenceResults &reference, const std::vector<uint16_t> &output) {
  OutputComparison comparison =
      compareOutputs(output, reference.output32, reference.output22, reference.bounds, SAGE_F16);
  bool right = isFault ? comparison.worst() >= 3 : comparison.worst() <= 1;
  std::printf("%-4s %-9s d%d %-16s %-42s element %9.3g  L1 %.3g of %.3g\n", right ? "ok" : "FAIL",
              setting.name, int(from.distribution), from.shape.text().c_str(), name,
              comparison.elementRatio, comparison.relativeL1, comparison.relativeL1Bound);
  return right;
}

bool runOne(const Setting &setting, InputDistribution distribution, int64_t queries, int64_t keys) {
  sage_program program;
  if (Status status = fromApi(sage_program_named(setting.name, setting.fragment, &program));
      !status.ok()) {
    std::printf("%s\n", status.message().c_str());
    return false;
  }
  setting.mask(program.problem);
  setting.change(program.recipe);
  Case inputsOf;
  inputsOf.shape = {1, 2, 1, queries, keys};
  inputsOf.distribution = distribution;
  HostInputs inputs;
  makeInputs(inputsOf, program.problem, 3, inputs);
  ReferenceResults reference;
  if (Status status = reference.run(program, inputs, setting.conversion); !status.ok()) {
    std::printf("%s\n", status.message().c_str());
    return false;
  }
  bool passed = true;
  // FoldedKernel takes its row sums from the column of ones.
  if (setting.conversion == ScoreConversion::FoldedMagic && reference.operands.sumsColumn()) {
    std::vector<uint16_t> output(reference.output32.size());
    FoldedKernel kernel(reference.operands);
    for (int64_t row = 0; row < inputs.rows(); ++row)
      kernel.attendRow(row / queries, row % queries, output);
    passed = judge(setting, inputsOf, "folded score conversion", false, reference, output);
  }
  for (const Variant &variant : variants()) {
    if (!variant.applies(program.recipe))
      continue;
    ReferenceOperands changed = reference.operands;
    variant.change(changed);
    std::vector<uint16_t> output(reference.output32.size());
    sage_reference_options options{};
    options.tensor_core_accumulator = variant.modelsTensorCore;
    attend(changed, inputs.call(output.data(), nullptr), nullptr, {0, inputs.shape.queries},
           options);
    passed &= judge(setting, inputsOf, variant.name, variant.isFault, reference, output);
  }
  return passed;
}

} // namespace

int runSelfTest() {
  const Setting settings[] = {
      {"sage2-8b", SAGE_MMA_SYNC_16, ScoreConversion::Exact,
       [](sage_recipe &recipe) { recipe.row_sum = SAGE_ROW_SUM_FLOAT; }},
      {"sage2-8b", SAGE_WGMMA, ScoreConversion::FoldedMagic},
      {"sage2-8b", SAGE_WGMMA, ScoreConversion::Exact,
       [](sage_recipe &recipe) { recipe.smooth_v = recipe.smooth_q = 1; }},
      {"sage2-8b", SAGE_MMA_SYNC_16, ScoreConversion::Exact,
       [](sage_recipe &recipe) { recipe.pv = SAGE_VALUE_E5M2; }},
      {"sage2-8b", SAGE_WGMMA, ScoreConversion::Exact,
       [](sage_recipe &recipe) { recipe.qk = SAGE_SCORE_E4M3; }},
      {"sage2-8b", SAGE_MMA_SYNC_16, ScoreConversion::Exact,
       [](sage_recipe &recipe) {
         recipe.row_sum = SAGE_ROW_SUM_FLOAT;
         recipe.accumulation = SAGE_SINGLE_LEVEL;
       }},
      {"sage2-4b", SAGE_MMA_SYNC_16},
      {"sage2pp", SAGE_MMA_SYNC_16},
      {"sage1", SAGE_MMA_SYNC_16},
      {"f16", SAGE_WGMMA},
      {"sage2-8b", SAGE_WGMMA, ScoreConversion::Exact, [](sage_recipe &) {}, maskWindow},
      {"sage2-8b", SAGE_MMA_SYNC_16, ScoreConversion::Exact,
       [](sage_recipe &recipe) { recipe.smooth_v = 1; }, biasAndCap},
      {"f16", SAGE_MMA_SYNC_16, ScoreConversion::Exact, [](sage_recipe &) {}, biasAndCap},
  };
  bool passed = true;
  for (const Setting &setting : settings)
    for (InputDistribution distribution :
         {InputDistribution::Normal, InputDistribution::Outliers, InputDistribution::ChannelBias,
          InputDistribution::GroupMagnitudes, InputDistribution::Position})
      for (auto [queries, keys] :
           {std::pair<int64_t, int64_t>(65, 200), std::pair<int64_t, int64_t>(129, 1000)})
        passed &= runOne(setting, distribution, queries, keys);
  std::printf("%s\n", passed ? "passed" : "FAILED");
  return passed ? 0 : 1;
}

} // namespace sage::gpu
