// sage-decompose and sage-unpack-sequences against the runtime's CPU reference on random masks,
// biases, soft caps, sinks, key lengths and packed sequences: two readings of Spec N13 to N17.

#include "AttentionJit.h"

#include "MaskedCall.h"
#include "Random.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace sage;
using namespace sage::test;

namespace {

/// A sequence of choices, by counter.
class Choices {
public:
  explicit Choices(uint64_t seed) : random(seed, /*stream=*/13) {}
  int64_t below(int64_t bound) { return int64_t(random.uniform(counter++) * double(bound)); }

private:
  evaluation::Random random;
  uint64_t counter = 0;
};

constexpr const char *maskNames[] = {"none", "causal_top_left", "causal_bottom_right",
                                     "window_top_left", "window_bottom_right"};
constexpr const char *elementNames[] = {"f16", "bf16", "f32", "i1"};
constexpr const char *recipeNames[] = {"sage2-8b", "sage2-4b", "sage2pp", "sage1",
                                       "sage-8b",  "sage-4b",  "f16"};

struct Case {
  sage_program program;
  AttentionText text;
  std::array<int64_t, 4> biasExtents{};
  std::vector<int32_t> keyLengths, queryOffsets, keyOffsets;
  std::vector<float> sinks;
};

void chooseWindow(Choices &choices, Case &chosen) {
  sage_problem &problem = chosen.program.problem;
  auto set = [&](const char *name, int64_t value) {
    chosen.text.attributes += std::string(", ") + name + " = " + std::to_string(value);
    return value;
  };
  bool isWindow =
      problem.mask == SAGE_MASK_WINDOW_TOP_LEFT || problem.mask == SAGE_MASK_WINDOW_BOTTOM_RIGHT;
  if (problem.mask != SAGE_MASK_NONE && choices.below(3)) {
    problem.has_window_left = 1;
    problem.window_left = set("window_left", choices.below(chosen.text.keys));
    if (choices.below(2))
      problem.sink_tokens = set("sink_tokens", choices.below(20));
  }
  if (isWindow && (choices.below(2) || !problem.has_window_left)) {
    problem.has_window_right = 1;
    problem.window_right = set("window_right", choices.below(40));
  }
}

std::vector<int32_t> chooseOffsets(Choices &choices, int64_t parts, int64_t total) {
  std::vector<int32_t> offsets = {0, int32_t(total)};
  for (int64_t i = 1; i < parts; ++i) // some of them empty
    offsets.push_back(choices.below(3) ? int32_t(choices.below(total + 1)) : 0);
  std::sort(offsets.begin(), offsets.end());
  return offsets;
}

void chooseOperands(Choices &choices, Case &chosen) {
  sage_problem &problem = chosen.program.problem;
  AttentionText &text = chosen.text;
  problem.has_bias = choices.below(2) != 0;
  if (problem.has_bias) {
    problem.bias_type = sage_element_type(choices.below(4));
    int64_t whole = choices.below(16);
    chosen.biasExtents = {whole & 1 ? text.batch : 1, whole & 2 ? text.queryHeads : 1,
                          whole & 4 ? text.queries : 1, whole & 8 ? text.keys : 1};
    text.extras.push_back(
        {"bias", std::vector<int64_t>(chosen.biasExtents.begin(), chosen.biasExtents.end()),
         elementNames[problem.bias_type]});
  }
  if (problem.key_lengths) {
    for (int64_t b = 0; b < text.batch; ++b)
      chosen.keyLengths.push_back(int32_t(choices.below(3) ? choices.below(text.keys + 1) : 0));
    text.extras.push_back({"key_lengths", {text.batch}, "i32"});
  }
  problem.sinks = choices.below(3) == 0 || text.keys == 0;
  if (problem.sinks) {
    for (int64_t h = 0; h < text.queryHeads; ++h)
      chosen.sinks.push_back(h % 3 == 2 ? -INFINITY : float(choices.below(5)) - 1.5f);
    text.extras.push_back({"sinks", {text.queryHeads}, "f32"});
  }
  if (problem.packed) {
    int64_t parts = 1 + choices.below(4);
    chosen.queryOffsets = chooseOffsets(choices, parts, text.queries);
    chosen.keyOffsets = chooseOffsets(choices, parts, text.keys);
    text.extras.push_back({"query_offsets", {parts + 1}, "i32"});
    text.extras.push_back({"key_offsets", {parts + 1}, "i32"});
  }
}

Case chooseCase(uint64_t seed) {
  Choices choices(seed);
  Case chosen{};
  const char *recipe = recipeNames[seed % 5];
  EXPECT_EQ(sage_program_named(recipe, SAGE_MMA_SYNC_16, &chosen.program), nullptr);
  sage_problem &problem = chosen.program.problem;
  AttentionText &text = chosen.text;
  problem.packed = seed % 3 == 1;
  problem.key_lengths = seed % 3 == 2;
  text.batch = problem.packed ? 1 : 1 + choices.below(2);
  text.keyHeads = 1 + choices.below(2);
  text.queryHeads = text.keyHeads * (1 + choices.below(2));
  text.queries = 1 + choices.below(140);
  text.keys = seed % 14 == 6 ? 0 : 1 + choices.below(180);
  text.headDim = problem.head_dim = 16 * (1 + choices.below(4));
  text.valueHeadDim = problem.value_head_dim = 8 * (1 + choices.below(8));
  text.isBF16 = choices.below(2);
  text.isDynamic = choices.below(2);
  problem.element_type = text.isBF16 ? SAGE_BF16 : SAGE_F16;
  problem.scale = float(1.0 / std::sqrt(double(text.headDim)));
  problem.mask = sage_mask(choices.below(5));
  text.recipe = "\"" + std::string(recipe) + "\"";
  text.family = "mma_sync";
  text.mask = maskNames[problem.mask];
  if (seed % 10 == 5) { // sums in panels, and smooth V
    text.recipe += ", interval = 32, smooth = k|v";
    chosen.program.recipe.interval = 32;
    chosen.program.recipe.smooth_v = 1;
  }
  chooseWindow(choices, chosen);
  if (choices.below(3) == 0) {
    problem.softcap = 4.0;
    text.attributes += ", softcap = 4.0 : f32";
  }
  chooseOperands(choices, chosen);
  return chosen;
}

template <typename Element>
Buffer copyOf(const std::vector<Element> &elements, std::vector<int64_t> extents) {
  Buffer buffer;
  buffer.extents = std::move(extents);
  buffer.bytes.resize(elements.size() * sizeof(Element));
  std::memcpy(buffer.bytes.data(), elements.data(), buffer.bytes.size());
  return buffer;
}

MaskedCall makeCall(const Case &chosen, uint64_t seed) {
  const AttentionText &text = chosen.text;
  MaskedCall host(chosen.program.problem, text.batch, text.queryHeads, text.keyHeads, text.queries,
                  text.keys, evaluation::InputDistribution::Normal, seed);
  if (host.problem.has_bias)
    host.addBias(chosen.biasExtents, seed);
  if (host.problem.key_lengths)
    host.addKeyLengths(chosen.keyLengths);
  if (host.problem.sinks)
    host.addSinks(chosen.sinks);
  if (host.problem.packed)
    host.addOffsets(chosen.queryOffsets, chosen.keyOffsets);
  return host;
}

std::vector<Buffer> makeExtras(const MaskedCall &host, const AttentionText &text) {
  std::vector<Buffer> extras;
  for (const ExtraOperand &extra : text.extras) {
    if (extra.name == "bias")
      extras.push_back(copyOf(host.bias, extra.extents));
    else if (extra.name == "key_lengths")
      extras.push_back(copyOf(host.keyLengths, extra.extents));
    else if (extra.name == "sinks")
      extras.push_back(copyOf(host.sinks, extra.extents));
    else
      extras.push_back(copyOf(extra.name == "query_offsets" ? host.queryOffsets : host.keyOffsets,
                              extra.extents));
  }
  return extras;
}

class DecomposeMask : public testing::TestWithParam<int> {};

} // namespace

TEST_P(DecomposeMask, Agrees) {
  uint64_t seed = uint64_t(GetParam());
  Case chosen = chooseCase(seed);
  const AttentionText &text = chosen.text;
  MaskedCall host = makeCall(chosen, seed);
  std::vector<Buffer> extras = makeExtras(host, text);
  Buffer query = copyOf(host.query, text.orderExtents(text.queryHeads, text.queries, text.headDim));
  Buffer key = copyOf(host.key, text.orderExtents(text.keyHeads, text.keys, text.headDim));
  Buffer value = copyOf(host.value, text.orderExtents(text.keyHeads, text.keys, text.valueHeadDim));
  Buffer output =
      copyOf(host.output, text.orderExtents(text.queryHeads, text.queries, text.valueHeadDim));
  Buffer lse = copyOf(host.lse, {text.batch, text.queryHeads, text.queries});
  ASSERT_EQ(host.run(chosen.program), "");

  AttentionJit jit(text);
  ASSERT_TRUE(jit.isValid());
  Intermediates intermediates;
  jit.run(query, key, value, output, lse, intermediates, extras);

  std::vector<double> expected = host.outputs();
  std::memcpy(host.output.data(), output.bytes.data(), output.bytes.size());
  std::vector<double> computed = host.outputs();
  double largest = 0;
  for (double x : expected)
    largest = std::max(largest, std::fabs(x));
  // One rounding of P8 that goes the other way, or of E.
  double tolerance = std::max(largest * (text.isBF16 ? 0x1p-7 : 0x1p-10), largest * 4e-3);
  for (size_t i = 0; i < expected.size(); ++i)
    if (std::isnan(expected[i]))
      ASSERT_TRUE(std::isnan(computed[i])) << "O at " << i << "\n" << text.print();
    else
      ASSERT_NEAR(computed[i], expected[i], tolerance) << "O at " << i << "\n" << text.print();
  for (size_t i = 0; i < host.lse.size(); ++i)
    if (std::isinf(host.lse[i]))
      ASSERT_EQ(lse.as<float>()[i], host.lse[i]) << "LSE at " << i << "\n" << text.print();
    else
      ASSERT_NEAR(lse.as<float>()[i], host.lse[i], 3e-3 * std::max(1.0f, std::fabs(host.lse[i])))
          << "LSE at " << i << "\n"
          << text.print();
}

INSTANTIATE_TEST_SUITE_P(Random, DecomposeMask, testing::Range(0, 30));
