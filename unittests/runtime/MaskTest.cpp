//===- MaskTest.cpp - masks, biases, lengths and sequences ----------------===//
#include "Accuracy.h"
#include "MaskedCall.h"
#include "Random.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

using namespace sage::test;

namespace {

constexpr double infinity = INFINITY;

sage_program named(const char *name, int64_t dims = 32, int64_t valueDims = 32) {
  sage_program program;
  EXPECT_EQ(sage_program_named(name, SAGE_MMA_SYNC_16, &program), nullptr);
  program.problem.head_dim = dims;
  program.problem.value_head_dim = valueDims;
  return program;
}

/// A sequence of choices, by counter.
class Choices {
public:
  explicit Choices(uint64_t seed) : random(seed, /*stream=*/11) {}
  int64_t below(int64_t bound) { return int64_t(random.uniform(counter++) * double(bound)); }
  template <typename T> T of(std::initializer_list<T> values) {
    return values.begin()[below(int64_t(values.size()))];
  }

private:
  sage::evaluation::Random random;
  uint64_t counter = 0;
};

void chooseMask(Choices &choices, int64_t keys, sage_problem &problem) {
  problem.mask = sage_mask(choices.below(SAGE_MASK_WINDOW_BOTTOM_RIGHT + 1));
  bool isWindow =
      problem.mask == SAGE_MASK_WINDOW_TOP_LEFT || problem.mask == SAGE_MASK_WINDOW_BOTTOM_RIGHT;
  problem.has_window_left = problem.mask != SAGE_MASK_NONE && choices.below(3) != 0;
  problem.window_left = choices.below(keys + 2);
  problem.has_window_right = isWindow && (choices.below(2) || !problem.has_window_left);
  problem.window_right = choices.below(keys / 2 + 2);
  if (problem.has_window_left && choices.below(2))
    problem.sink_tokens = choices.below(keys + 2);
}

/// `parts` numbers, some of them 0, as offsets from 0 to `total`.
std::vector<int32_t> chooseOffsets(Choices &choices, int64_t parts, int64_t total) {
  std::vector<int32_t> offsets = {0};
  for (int64_t i = 1; i < parts; ++i)
    offsets.push_back(choices.below(3) ? int32_t(choices.below(total + 1)) : 0);
  offsets.push_back(int32_t(total));
  std::sort(offsets.begin(), offsets.end());
  return offsets;
}

/// One problem of every kind there is.
MaskedCall chooseCall(uint64_t seed, sage_program program) {
  Choices choices(seed);
  sage_problem &problem = program.problem;
  int64_t batch = 1 + choices.below(3), group = 1 + choices.below(3),
          keyHeads = 1 + choices.below(2);
  int64_t queries = 1 + choices.below(90), keys = choices.of<int64_t>({1, 7, 64, 65, 130, 200});
  problem.head_dim = choices.of<int64_t>({8, 24, 32});
  problem.value_head_dim = choices.of<int64_t>({8, 16, 40});
  problem.element_type = choices.of({SAGE_F16, SAGE_BF16});
  chooseMask(choices, keys, problem);
  problem.softcap = choices.of({0.0, 0.0, 0.5, 30.0});
  problem.has_bias = choices.below(2) != 0;
  problem.bias_type = choices.of({SAGE_F16, SAGE_BF16, SAGE_F32, SAGE_BOOL});
  problem.sinks = choices.below(3) == 0;
  int64_t lengths = choices.below(3);
  problem.key_lengths = lengths == 1;
  problem.packed = lengths == 2;
  if (problem.packed)
    batch = 1;
  MaskedCall host(problem, batch, keyHeads * group, keyHeads, queries, keys,
                  sage::evaluation::InputDistribution::Normal, seed);
  if (problem.has_bias) {
    int64_t whole = choices.below(16);
    host.addBias({whole & 1 ? batch : 1, whole & 2 ? keyHeads * group : 1, whole & 4 ? queries : 1,
                  whole & 8 ? keys : 1},
                 seed);
  }
  if (problem.sinks) {
    std::vector<float> sinks;
    for (int64_t h = 0; h < keyHeads * group; ++h)
      sinks.push_back(choices.of({0.0f, 1.5f, -3.0f, float(-infinity)}));
    host.addSinks(sinks);
  }
  if (problem.key_lengths) {
    std::vector<int32_t> values;
    for (int64_t b = 0; b < batch; ++b)
      values.push_back(int32_t(choices.below(4) ? choices.below(keys + 1) : 0));
    host.addKeyLengths(values);
  }
  if (problem.packed) {
    int64_t parts = 1 + choices.below(5);
    host.addOffsets(chooseOffsets(choices, parts, queries), chooseOffsets(choices, parts, keys));
  }
  return host;
}

NaiveResult runExact(const MaskedCall &host) {
  NaiveResult exact{std::vector<double>(host.output.size()), std::vector<double>(host.lse.size())};
  EXPECT_EQ(takeMessage(sage_exact_run(&host.problem, &host.call, exact.output.data(),
                                       exact.lse.data(), nullptr)),
            "");
  return exact;
}

void expectNear(const std::vector<double> &values, const std::vector<double> &expected,
                double tolerance, const std::string &what) {
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i)
    if (std::isinf(expected[i]))
      ASSERT_EQ(values[i], expected[i]) << what << " at " << i;
    else
      ASSERT_NEAR(values[i], expected[i], tolerance * std::max(1.0, std::fabs(expected[i])))
          << what << " at " << i;
}

/// The bits of two calls of the same shape.
void expectSameBits(const MaskedCall &a, const MaskedCall &b, const std::string &what) {
  EXPECT_EQ(a.output, b.output) << what;
  EXPECT_EQ(a.lse, b.lse) << what;
}

const char *const recipes[] = {"sage2-8b", "sage2-4b", "sage2pp", "sage1",
                               "sage-8b",  "sage-4b",  "f16"};

} // namespace

TEST(Mask, ExactAttentionIsTheDefinition) {
  for (uint64_t seed = 0; seed < 120; ++seed) {
    MaskedCall host = chooseCall(seed, named("f16"));
    NaiveResult exact = runExact(host), naive = evaluateNaively(host);
    expectNear(exact.output, naive.output, 1e-12, "O of seed " + std::to_string(seed));
    expectNear(exact.lse, naive.lse, 1e-12, "LSE of seed " + std::to_string(seed));
  }
}

TEST(Mask, EveryRecipeIsNearTheDefinition) {
  for (const char *recipe : recipes)
    for (uint64_t seed = 0; seed < 60; ++seed) {
      sage_program program = named(recipe);
      MaskedCall host = chooseCall(seed, program);
      ASSERT_EQ(host.run(program), "");
      NaiveResult exact = runExact(host);
      auto output = sage::evaluation::compare(host.outputs(), exact.output);
      auto lse = sage::evaluation::compare(host.lses(), exact.lse);
      std::string what = std::string(recipe) + " seed " + std::to_string(seed);
      EXPECT_EQ(output.mismatches, 0) << what;
      EXPECT_EQ(lse.mismatches, 0) << what;
      bool isInt4 = program.recipe.qk == SAGE_SCORE_INT4, is16 = std::string(recipe) == "f16";
      // One token of bf16 may be all there is: the bound is on the largest difference too.
      EXPECT_LT(output.maximum, is16 ? 0.03 : isInt4 ? 2.5 : 0.5) << what;
      // Of a group of few numbers the largest saturates by a quarter.
      double int4Bound = program.recipe.range == SAGE_RANGE_CLIPPED ? 0.9 : 0.7;
      EXPECT_LT(lse.maximum, is16 ? 1e-4 : isInt4 ? int4Bound : 0.2) << what;
    }
}

TEST(Mask, KeyLengthsAreSlicedCalls) {
  for (const char *recipe : recipes) {
    sage_program program = named(recipe, 24, 40);
    program.problem.mask = SAGE_MASK_CAUSAL_BOTTOM_RIGHT;
    program.problem.key_lengths = 1;
    MaskedCall whole(program.problem, 4, 4, 2, 33, 150);
    whole.addKeyLengths({150, 0, 65, 17});
    // What pads a batch entry is never read into a result.
    for (size_t b = 0; b < 4; ++b)
      for (size_t h = 0; h < 2; ++h) {
        size_t row = (b * 2 + h) * 150 + size_t(whole.keyLengths[b]), end = (b * 2 + h + 1) * 150;
        std::fill(&whole.key[row * 24], &whole.key[0] + end * 24, 0x7e00);
        std::fill(&whole.value[row * 40], &whole.value[0] + end * 40, 0x7c00);
      }
    ASSERT_EQ(whole.run(program), "");
    program.problem.key_lengths = 0;
    for (int64_t b = 0; b < 4; ++b) {
      MaskedCall part = whole;
      part.problem = program.problem;
      part.call.key_lengths = nullptr;
      auto narrow = [&](sage_tensor &tensor, std::vector<uint16_t> &data) {
        tensor.data = data.data() + b * tensor.strides[0];
        tensor.extents[0] = 1;
      };
      narrow(part.call.query, part.query);
      narrow(part.call.key, part.key);
      narrow(part.call.value, part.value);
      narrow(part.call.output, part.output);
      part.call.key.extents[2] = part.call.value.extents[2] = whole.keyLengths[size_t(b)];
      part.call.lse = part.lse.data() + b * 4 * 33;
      // The rest already holds what the whole call wrote.
      std::fill_n(static_cast<uint16_t *>(part.call.output.data), 4 * 33 * 40, 0x1234);
      std::fill_n(part.call.lse, 4 * 33, -7.0f);
      ASSERT_EQ(part.run(program), "");
      expectSameBits(part, whole, std::string(recipe) + " entry " + std::to_string(b));
    }
  }
}

TEST(Mask, SequencesAreSeparateCalls) {
  for (const char *recipe : recipes) {
    sage_program program = named(recipe, 32, 16);
    program.problem.mask = SAGE_MASK_WINDOW_BOTTOM_RIGHT;
    program.problem.has_window_left = program.problem.has_window_right = 1;
    program.problem.window_left = 70;
    program.problem.window_right = 3;
    program.problem.packed = program.problem.has_bias = 1;
    program.problem.bias_type = SAGE_F32;
    MaskedCall whole(program.problem, 1, 4, 2, 190, 260);
    whole.addBias({1, 4, 1, 260});
    // Empty members, and rows 180 to 189 in no sequence.
    whole.addOffsets({0, 0, 60, 61, 180}, {0, 5, 5, 200, 250});
    ASSERT_EQ(whole.run(program), "");
    for (int64_t h = 0; h < 4; ++h)
      for (int64_t i = 180; i < 190; ++i) {
        EXPECT_EQ(whole.output[size_t((h * 190 + i) * 16)], 0x7fff);
        EXPECT_EQ(whole.lse[size_t(h * 190 + i)], 12345.0f);
      }
    program.problem.packed = 0;
    for (size_t s = 0; s < 4; ++s) {
      MaskedCall part = whole;
      part.problem = program.problem;
      auto narrow = [&](sage_tensor &tensor, std::vector<uint16_t> &data,
                        const std::vector<int32_t> &offsets) {
        tensor.data = data.data() + offsets[s] * tensor.strides[2];
        tensor.extents[2] = offsets[s + 1] - offsets[s];
      };
      narrow(part.call.query, part.query, whole.queryOffsets);
      narrow(part.call.output, part.output, whole.queryOffsets);
      narrow(part.call.key, part.key, whole.keyOffsets);
      narrow(part.call.value, part.value, whole.keyOffsets);
      part.call.bias.data = part.bias.data() + whole.keyOffsets[s] * 4;
      part.call.bias.extents[3] = part.call.key.extents[2];
      part.call.query_offsets = part.call.key_offsets = nullptr;
      part.call.sequences = 0;
      part.call.lse = nullptr;
      for (int64_t h = 0; h < 4; ++h)
        std::fill_n(static_cast<uint16_t *>(part.call.output.data) + h * 190 * 16,
                    part.call.output.extents[2] * 16, 0x1234);
      ASSERT_EQ(part.run(program), "");
      EXPECT_EQ(part.output, whole.output) << recipe << " sequence " << s;
    }
  }
}

TEST(Mask, OffsetsOutOfRangeCountAsTheNearestInIt) {
  sage_program program = named("sage2-8b");
  program.problem.packed = 1;
  MaskedCall wild(program.problem, 1, 2, 1, 50, 60), tame = wild;
  wild.addOffsets({-5, 20, 2000000000}, {-100, 200, 61});
  tame.addOffsets({0, 20, 50}, {0, 60, 60});
  wild.call.output.data = wild.output.data();
  tame.call.query.data = tame.query.data();
  tame.call.key.data = tame.key.data();
  tame.call.value.data = tame.value.data();
  tame.call.output.data = tame.output.data();
  tame.call.lse = tame.lse.data();
  ASSERT_EQ(wild.run(program), "");
  ASSERT_EQ(tame.run(program), "");
  expectSameBits(wild, tame, "clamped");
}

TEST(Mask, TheSameMaskInOtherWords) {
  for (const char *recipe : recipes) {
    sage_program program = named(recipe, 32, 32);
    auto run = [&](auto change) {
      MaskedCall host(program.problem, 2, 4, 2, 100, 140);
      change(host);
      EXPECT_EQ(host.run(program), "");
      return host;
    };
    MaskedCall none = run([](MaskedCall &) {});
    auto window = [](sage_mask mask, int64_t left, int64_t right) {
      return [=](MaskedCall &host) {
        host.problem.mask = mask;
        host.problem.has_window_left = left >= 0;
        host.problem.has_window_right = right >= 0;
        host.problem.window_left = left;
        host.problem.window_right = right;
      };
    };
    expectSameBits(run(window(SAGE_MASK_WINDOW_TOP_LEFT, 1000, 1 << 30)), none, "wide window");
    expectSameBits(run([](MaskedCall &host) {
                     host.problem.sinks = 1;
                     host.addSinks(std::vector<float>(4, float(-infinity)));
                   }),
                   none, "sinks of -inf");
    MaskedCall causal = run(window(SAGE_MASK_CAUSAL_BOTTOM_RIGHT, -1, -1));
    expectSameBits(run(window(SAGE_MASK_WINDOW_BOTTOM_RIGHT, -1, 0)), causal, "right bound 0");
    expectSameBits(run([&](MaskedCall &host) {
                     window(SAGE_MASK_CAUSAL_BOTTOM_RIGHT, 3, -1)(host);
                     host.problem.sink_tokens = 140;
                   }),
                   causal, "sink tokens everywhere");
    expectSameBits(run([](MaskedCall &host) {
                     host.problem.has_bias = 1;
                     host.problem.bias_type = SAGE_BOOL;
                     host.addBias({1, 1, 100, 140});
                     for (int64_t i = 0; i < 100; ++i)
                       for (int64_t j = 0; j < 140; ++j)
                         host.bias[size_t(i * 140 + j)] = j <= i + 40;
                   }),
                   causal, "boolean bias");
  }
}

TEST(Mask, WhatChangesScoresVanishesInItsLimits) {
  for (const char *recipe : recipes) {
    sage_program program = named(recipe, 32, 32);
    auto run = [&](auto change) {
      MaskedCall host(program.problem, 1, 2, 1, 80, 140);
      change(host);
      EXPECT_EQ(host.run(program), "");
      return host;
    };
    MaskedCall none = run([](MaskedCall &) {});
    MaskedCall zeros = run([](MaskedCall &host) {
      host.problem.has_bias = 1;
      host.problem.bias_type = SAGE_BF16;
      host.addBias({1, 1, 1, 140});
      std::fill(host.bias.begin(), host.bias.end(), uint8_t(0));
    });
    MaskedCall capped = run([](MaskedCall &host) { host.problem.softcap = 1e5; });
    // Not fused (N14), so that a probability may be rounded the other way.
    for (const MaskedCall *host : {&zeros, &capped}) {
      expectNear(host->outputs(), none.outputs(), 2e-3, recipe);
      expectNear(host->lses(), none.lses(), host == &zeros ? 1e-5 : 3e-3, recipe);
    }
  }
}

TEST(Mask, NotFiniteBiasesAndSinks) {
  sage_program program = named("sage2-8b", 32, 32);
  program.problem.has_bias = program.problem.sinks = 1;
  program.problem.bias_type = SAGE_F32;
  MaskedCall host(program.problem, 1, 3, 1, 4, 70);
  host.addBias({1, 1, 4, 70});
  auto *bias = reinterpret_cast<float *>(host.bias.data());
  bias[0 * 70 + 5] = NAN;
  bias[1 * 70 + 69] = INFINITY;
  std::fill_n(bias + 2 * 70, 70, -INFINITY);
  host.addSinks({0.5f, NAN, INFINITY});
  ASSERT_EQ(host.run(program), "");
  std::vector<double> output = host.outputs();
  auto isNan = [&](int64_t head, int64_t row) {
    bool all = std::isnan(host.lse[size_t(head * 4 + row)]);
    for (int64_t d = 0; d < 32; ++d)
      all &= std::isnan(output[size_t((head * 4 + row) * 32 + d)]);
    return all;
  };
  EXPECT_TRUE(isNan(0, 0));
  EXPECT_TRUE(isNan(0, 1));
  EXPECT_NEAR(host.lse[2], 0.5f, 1e-6); // only the sink is left
  EXPECT_EQ(output[2 * 32], 0.0);
  EXPECT_FALSE(isNan(0, 3));
  for (int64_t row = 0; row < 4; ++row)
    EXPECT_TRUE(isNan(1, row) && isNan(2, row)) << row;
}

TEST(Mask, IntervalsPromote) {
  sage_program tile = named("sage2-8b"), panels = tile;
  sage_reference_options hardware{};
  hardware.tensor_core_accumulator = 1;
  panels.recipe.interval = 32;
  MaskedCall whole(tile.problem, 1, 1, 1, 40, 500), parts = whole;
  for (MaskedCall *host : {&whole, &parts})
    host->call.output.data = host->output.data();
  ASSERT_EQ(takeMessage(sage_reference_run(&tile, &whole.call, &hardware, nullptr)), "");
  ASSERT_EQ(takeMessage(sage_reference_run(&panels, &parts.call, &hardware, nullptr)), "");
  EXPECT_NE(whole.output, parts.output);
  expectNear(parts.outputs(), whole.outputs(), 1e-2, "interval");
  // A tile of one panel is one promotion.
  panels.recipe.interval = 64;
  ASSERT_EQ(takeMessage(sage_reference_run(&panels, &parts.call, &hardware, nullptr)), "");
  EXPECT_EQ(whole.output, parts.output);
}

TEST(Mask, EntriesOfACall) {
  sage_program program = named("sage2-8b");
  program.problem.key_lengths = 1;
  MaskedCall host(program.problem, 2, 2, 1, 10, 70);
  host.addKeyLengths({70, 9});
  sage_problem problem;
  sage_call call;
  ASSERT_EQ(takeMessage(sage_call_entry(&host.problem, &host.call, 1, &problem, &call)), "");
  EXPECT_EQ(problem.key_lengths, 0);
  EXPECT_EQ(call.key_lengths, nullptr);
  EXPECT_EQ(call.key.extents[2], 9);
  EXPECT_EQ(call.query.data, host.query.data() + 2 * 10 * 32);
  EXPECT_EQ(takeMessage(sage_call_entry(&host.problem, &host.call, 2, &problem, &call)),
            "the entry must be 0 to 1, but got 2");
  float mean[2 * 32];
  sage_reference_intermediates wanted{};
  wanted.key_mean = mean;
  sage_program whole = program;
  EXPECT_NE(takeMessage(sage_reference_run(&whole, &host.call, nullptr, &wanted))
                .find("intermediates are those of one entry"),
            std::string::npos);
  sage_reference_sizes sizes;
  EXPECT_NE(takeMessage(sage_reference_get_sizes(&whole, &host.call, &sizes))
                .find("sizes are those of one entry"),
            std::string::npos);
}
