//===- SelfTest.cpp - the error bound, tried on the CPU -------------------===//
#include "SelfTest.h"

#include "Session.h"

#include <cmath>
#include <cstdio>
#include <functional>

namespace sage::gpu {
namespace {

using namespace sage::runtime;
using Change = std::function<void(ReferenceOperands &)>;

struct Variant {
  const char *name;
  bool isFault;
  bool modelsTensorCore;
  Change change;
};

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
       }},
      {"one key too many", true, false,
       [](ReferenceOperands &operands) {
         // The first row sees the second key too: one value in its place.
         operands.problem.mask = SAGE_MASK_CAUSAL_TOP_LEFT;
       }},
      {"no scales of V", true, false,
       [](ReferenceOperands &operands) {
         std::fill(operands.valueScales.begin(), operands.valueScales.end(), 1.0f);
       }},
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
       }},
      {"exponents 1/500 larger", true, false, scaled(1.002f)},
  };
}

struct Setting {
  const char *name;
  sage_fragment fragment;
  ScoreConversion conversion;
};

bool runOne(const Setting &setting, InputDistribution distribution,
            int64_t queries, int64_t keys) {
  sage_program program;
  if (Status status = fromApi(
          sage_program_named("sage2-8b", setting.fragment, &program));
      !status.ok()) {
    std::printf("%s\n", status.message().c_str());
    return false;
  }
  program.problem.mask = SAGE_MASK_CAUSAL_BOTTOM_RIGHT;
  Case inputsOf;
  inputsOf.shape = {1, 2, 1, queries, keys};
  inputsOf.distribution = distribution;
  HostInputs inputs;
  makeInputs(inputsOf, SAGE_F16, 128, 3, inputs);
  ReferenceResults reference;
  if (Status status = reference.run(program, inputs, setting.conversion);
      !status.ok()) {
    std::printf("%s\n", status.message().c_str());
    return false;
  }
  bool passed = true;
  for (const Variant &variant : variants()) {
    ReferenceOperands changed = reference.operands;
    variant.change(changed);
    std::vector<uint16_t> output(reference.output32.size());
    sage_reference_options options{};
    options.tensor_core_accumulator = variant.modelsTensorCore;
    attend(changed, inputs.call(output.data(), nullptr), options);
    OutputComparison comparison = compareOutputs(
        output, reference.output32, reference.output22, reference.bounds, SAGE_F16);
    bool right = variant.isFault ? comparison.worst() >= 3 : comparison.worst() <= 1;
    passed &= right;
    std::printf("%-4s %-6s d%d %4lldx%-4lld %-42s element %9.3g  L1 %.3g of %.3g\n",
                right ? "ok" : "FAIL", setting.name, int(distribution),
                (long long)queries, (long long)keys, variant.name,
                comparison.elementRatio, comparison.relativeL1,
                comparison.relativeL1Bound);
  }
  return passed;
}

} // namespace

int runSelfTest() {
  const Setting settings[] = {
      {"mma", SAGE_MMA_SYNC_16, ScoreConversion::Exact},
      {"wgmma", SAGE_WGMMA, ScoreConversion::FoldedMagic},
  };
  bool passed = true;
  for (const Setting &setting : settings)
    for (InputDistribution distribution :
         {InputDistribution::Normal, InputDistribution::Outliers,
          InputDistribution::ChannelBias, InputDistribution::GroupMagnitudes,
          InputDistribution::Position})
      for (auto [queries, keys] : {std::pair<int64_t, int64_t>(65, 200),
                                   std::pair<int64_t, int64_t>(129, 1000)})
        passed &= runOne(setting, distribution, queries, keys);
  std::printf("%s\n", passed ? "passed" : "FAILED");
  return passed ? 0 : 1;
}

} // namespace sage::gpu
