//===- ReferenceTest.cpp - the CPU reference against float64 --------------===//
#include "Accuracy.h"
#include "Quantization.h"
#include "SampleArtifact.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace sage::test;
using sage::evaluation::Accuracy;
using sage::evaluation::compare;
using sage::evaluation::InputDistribution;

namespace {

sage_program named(const char *name, int64_t dims = 64, sage_fragment fragment = SAGE_WGMMA) {
  sage_program program;
  EXPECT_EQ(sage_program_named(name, fragment, &program), nullptr);
  program.problem.head_dim = program.problem.value_head_dim = dims;
  return program;
}

struct Result {
  Accuracy output, lse;
};

Result run(const sage_program &program, HostCall &host, sage_reference_options options = {}) {
  EXPECT_EQ(takeMessage(sage_reference_run(&program, &host.call, &options, nullptr)), "");
  std::vector<double> exact(host.output.size()), lse(host.lse.size());
  EXPECT_EQ(
      takeMessage(sage_exact_run(&program.problem, &host.call, exact.data(), lse.data(), nullptr)),
      "");
  return {compare(host.outputs(), exact), compare(host.lses(), lse)};
}

Result run(const sage_program &program, InputDistribution inputs, int64_t heads, int64_t queries,
           int64_t keys, sage_reference_options options = {}) {
  HostCall host(program.problem, 1, heads, heads, queries, keys, inputs);
  return run(program, host, options);
}

} // namespace

// Written down again without tiles: three tokens, float64.
TEST(Reference, ExactAttentionIsAttention) {
  sage_program program = named("f16", 2);
  program.problem.mask = SAGE_MASK_CAUSAL_TOP_LEFT;
  HostCall host(program.problem, 1, 1, 1, 3, 3);
  std::vector<double> output(6), lse(3);
  ASSERT_EQ(sage_exact_run(&program.problem, &host.call, output.data(), lse.data(), nullptr),
            nullptr);
  auto widen = [&](const std::vector<uint16_t> &bits) {
    HostCall copy = host;
    copy.output = bits;
    return copy.outputs();
  };
  auto q = widen(host.query), k = widen(host.key), v = widen(host.value);
  for (size_t i = 0; i < 3; ++i) {
    double sum = 0, o[2] = {};
    for (size_t j = 0; j <= i; ++j) {
      double score = (q[2 * i] * k[2 * j] + q[2 * i + 1] * k[2 * j + 1]) / std::sqrt(2.0);
      sum += std::exp(score);
      for (size_t d = 0; d < 2; ++d)
        o[d] += std::exp(score) * v[2 * j + d];
    }
    for (size_t d = 0; d < 2; ++d)
      EXPECT_NEAR(output[2 * i + d], o[d] / sum, 1e-14);
    EXPECT_NEAR(lse[i], std::log(sum), 1e-14);
  }
}

// Bounds: about twice what was measured on these seeds.
TEST(Reference, EveryRecipeIsNearFloat64) {
  struct Bound {
    const char *recipe;
    double relativeL1, lse;
  };
  // Row sums of e4m3 values: each is at most 2^-4 of itself away from P, and so
  // is the sum, ln(1 / (1 - 2^-4)) of the LSE.
  const double roundedSums = -std::log1p(-0.0625);
  for (const Bound &bound : {Bound{"f16", 0.002, 1e-5}, Bound{"sage1", 0.02, 0.02},
                             Bound{"sage2-8b", 0.08, 0.02 + roundedSums},
                             Bound{"sage2pp", 0.08, 0.02}, Bound{"sage2-4b", 0.4, 0.3}})
    for (int64_t dims : {32, 64, 128})
      for (int64_t keys : {1, 7, 64, 129, 500}) {
        Result result = run(named(bound.recipe, dims), InputDistribution::Normal, 2, 100, keys);
        EXPECT_LT(result.output.relativeL1, bound.relativeL1)
            << bound.recipe << " D " << dims << " Nk " << keys;
        EXPECT_LT(result.lse.maximum, bound.lse) << bound.recipe << " D " << dims << " Nk " << keys;
        EXPECT_EQ(result.output.mismatches + result.lse.mismatches, 0);
      }
}

TEST(Reference, EveryCombinationRuns) {
  for (int qk = 0; qk <= SAGE_SCORE_F16; ++qk)
    for (int pv = 0; pv <= SAGE_VALUE_F16; ++pv)
      for (int smooth = 0; smooth < 8; ++smooth)
        for (int options = 0; options < 16; ++options) {
          sage_program program = named("sage2-8b", 32);
          program.recipe.qk = sage_score_type(qk);
          program.recipe.pv = sage_value_type(pv);
          program.recipe.smooth_q = smooth & 1;
          program.recipe.smooth_k = smooth >> 1 & 1;
          program.recipe.smooth_v = smooth >> 2 & 1;
          program.recipe.accumulation = sage_accumulation(options & 1);
          program.recipe.row_sum = sage_row_sum(options >> 1 & 1);
          program.problem.element_type = sage_element_type(options >> 2 & 1);
          sage_reference_options chosen{};
          chosen.tensor_core_accumulator = options >> 3;
          Result result = [&] {
            HostCall host(program.problem, 1, 1, 1, 20, 70);
            return run(program, host, chosen);
          }();
          // E5M2 has two bits of mantissa, INT4 keys three bits of value.
          EXPECT_LT(result.output.relativeL1, qk == SAGE_SCORE_INT4 ? 0.5 : 0.2)
              << "qk " << qk << " pv " << pv << " smooth " << smooth << " options " << options;
        }
}

TEST(Reference, MasksAndLengths) {
  for (sage_mask mask : {SAGE_MASK_NONE, SAGE_MASK_CAUSAL_TOP_LEFT, SAGE_MASK_CAUSAL_BOTTOM_RIGHT})
    for (auto [queries, keys] :
         {std::pair(1, 300), std::pair(300, 1), std::pair(130, 130), std::pair(64, 200),
          std::pair(200, 64), std::pair(5, 0), std::pair(0, 5), std::pair(0, 0)})
      for (const char *recipe : {"sage2-8b", "sage2-4b", "f16"}) {
        sage_program program = named(recipe);
        program.problem.mask = mask;
        Result result = run(program, InputDistribution::Normal, 2, queries, keys);
        // -∞ must be where float64 has it, and O = 0 there.
        EXPECT_EQ(result.lse.mismatches, 0);
        EXPECT_EQ(result.output.mismatches, 0);
        EXPECT_LT(result.output.relativeL1, std::string(recipe) == "sage2-4b" ? 0.4 : 0.1)
            << recipe << " mask " << mask << " " << queries << "×" << keys;
      }
}

TEST(Reference, GroupedQueriesReadTheirKeyHead) {
  for (const char *recipe : {"sage2-8b", "sage2-4b", "f16"}) {
    sage_program program = named(recipe);
    HostCall grouped(program.problem, 2, 6, 2, 40, 90);
    ASSERT_EQ(sage_reference_run(&program, &grouped.call, nullptr, nullptr), nullptr);
    // The same with every key/value head written out for its query heads.
    HostCall repeated(program.problem, 2, 6, 6, 40, 90);
    repeated.query = grouped.query;
    size_t head = 90 * 64;
    for (size_t b = 0; b < 2; ++b)
      for (size_t h = 0; h < 6; ++h) {
        size_t from = (b * 2 + h / 3) * head, to = (b * 6 + h) * head;
        std::copy_n(&grouped.key[from], head, &repeated.key[to]);
        std::copy_n(&grouped.value[from], head, &repeated.value[to]);
      }
    repeated.call.query.data = repeated.query.data();
    ASSERT_EQ(sage_reference_run(&program, &repeated.call, nullptr, nullptr), nullptr);
    EXPECT_EQ(grouped.output, repeated.output) << recipe;
    EXPECT_EQ(grouped.lse, repeated.lse) << recipe;
  }
}

TEST(Reference, TakesTheCallsScale) {
  sage_program program;
  ASSERT_EQ(takeMessage(sage_program_named("sage2-8b", SAGE_WGMMA, &program)), "");
  program.problem.head_dim = program.problem.value_head_dim = 32;
  HostCall ofCall(program.problem, 1, 2, 1, 70, 90), ofProblem = ofCall;
  ofCall.call.scale = 0.3;
  ofCall.call.output.data = ofCall.output.data();
  ofProblem.call.output.data = ofProblem.output.data();
  ofCall.call.lse = ofCall.lse.data();
  ofProblem.call.lse = ofProblem.lse.data();
  ASSERT_EQ(takeMessage(sage_reference_run(&program, &ofCall.call, nullptr, nullptr)), "");
  std::vector<double> exactOfCall(70 * 2 * 32), exactOfProblem = exactOfCall;
  ASSERT_EQ(takeMessage(sage_exact_run(&program.problem, &ofCall.call, exactOfCall.data(), nullptr,
                                       nullptr)),
            "");
  program.problem.scale = 0.3;
  ASSERT_EQ(takeMessage(sage_reference_run(&program, &ofProblem.call, nullptr, nullptr)), "");
  ASSERT_EQ(takeMessage(sage_exact_run(&program.problem, &ofProblem.call, exactOfProblem.data(),
                                       nullptr, nullptr)),
            "");
  EXPECT_EQ(ofCall.output, ofProblem.output);
  EXPECT_EQ(ofCall.lse, ofProblem.lse);
  EXPECT_EQ(exactOfCall, exactOfProblem);
  ofCall.call.scale = -1;
  EXPECT_NE(takeMessage(sage_reference_run(&program, &ofCall.call, nullptr, nullptr))
                .find("scale must be finite and positive"),
            std::string::npos);
}

TEST(Reference, DoesNotDependOnThreads) {
  sage_program program = named("sage2-4b");
  HostCall host(program.problem, 1, 3, 3, 200, 333);
  sage_reference_options options{};
  options.threads = 1;
  ASSERT_EQ(sage_reference_run(&program, &host.call, &options, nullptr), nullptr);
  std::vector<uint16_t> output = host.output;
  std::vector<float> lse = host.lse;
  for (int32_t threads : {2, 5, 0}) {
    options.threads = threads;
    ASSERT_EQ(sage_reference_run(&program, &host.call, &options, nullptr), nullptr);
    EXPECT_EQ(host.output, output);
    EXPECT_EQ(host.lse, lse);
  }
}

TEST(Reference, ReadsAndWritesStridedTensors) {
  sage_program program = named("sage2-8b");
  HostCall dense(program.problem, 2, 2, 2, 50, 60);
  ASSERT_EQ(sage_reference_run(&program, &dense.call, nullptr, nullptr), nullptr);
  HostCall strided = dense;
  // Token-major with a gap behind every token.
  constexpr int64_t gap = 3;
  auto spread = [&](const std::vector<uint16_t> &from, sage_tensor &tensor) {
    auto [batch, heads, tokens, dims] = tensor.extents;
    tensor.strides[2] = heads * dims + gap;
    tensor.strides[1] = dims;
    tensor.strides[0] = tokens * tensor.strides[2];
    std::vector<uint16_t> to(size_t(batch * tensor.strides[0]), 0xabcd);
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t n = 0; n < tokens; ++n)
          std::copy_n(
              &from[size_t(((b * heads + h) * tokens + n) * dims)], dims,
              &to[size_t(b * tensor.strides[0] + h * tensor.strides[1] + n * tensor.strides[2])]);
    return to;
  };
  auto query = spread(dense.query, strided.call.query);
  auto key = spread(dense.key, strided.call.key);
  auto value = spread(dense.value, strided.call.value);
  auto expected = spread(dense.output, strided.call.output);
  std::vector<uint16_t> output(expected.size(), 0xabcd);
  strided.call.query.data = query.data();
  strided.call.key.data = key.data();
  strided.call.value.data = value.data();
  strided.call.output.data = output.data();
  strided.call.lse = nullptr;
  ASSERT_EQ(takeMessage(sage_reference_run(&program, &strided.call, nullptr, nullptr)), "");
  EXPECT_EQ(output, expected); // the gaps too: nothing else is written
}

TEST(Reference, SmoothKeysHelpWithChannelBias) {
  sage_program smooth = named("sage2-8b", 128), plain = smooth;
  plain.recipe.smooth_k = 0;
  Result with = run(smooth, InputDistribution::ChannelBias, 4, 512, 512);
  Result without = run(plain, InputDistribution::ChannelBias, 4, 512, 512);
  EXPECT_LT(with.output.relativeL1 * 1.3, without.output.relativeL1);
  // Without bias it changes next to nothing.
  with = run(smooth, InputDistribution::Normal, 4, 512, 512);
  without = run(plain, InputDistribution::Normal, 4, 512, 512);
  EXPECT_NEAR(with.output.relativeL1, without.output.relativeL1, 1e-3);
}

TEST(Reference, SmoothQueriesHelpInt4WithChannelBias) {
  sage_program both = named("sage2-4b", 128), keysOnly = both;
  keysOnly.recipe.smooth_q = 0;
  Result with = run(both, InputDistribution::ChannelBias, 4, 512, 512);
  Result without = run(keysOnly, InputDistribution::ChannelBias, 4, 512, 512);
  EXPECT_LT(with.output.relativeL1 * 1.1, without.output.relativeL1);
}

TEST(Reference, FinerGroupsHelp) {
  double previous = 0;
  for (sage_granularity granularity :
       {SAGE_PER_TOKEN, SAGE_PER_THREAD, SAGE_PER_BLOCK, SAGE_PER_TENSOR}) {
    sage_program program = named("sage2-4b");
    ASSERT_EQ(sage_program_set_granularity(&program, granularity, SAGE_WGMMA), nullptr);
    double error = run(program, InputDistribution::GroupMagnitudes, 2, 512, 512).output.relativeL1;
    EXPECT_GT(error, previous) << granularity;
    previous = error;
  }
}

// What the second level is for: with 22 bits, one accumulator over all keys
// loses what small products add (algorithm: two-level accumulation).
TEST(Reference, TwoLevelsHelpA22BitAccumulator) {
  sage_program two = named("sage2-8b"), one = two;
  one.recipe.accumulation = SAGE_SINGLE_LEVEL;
  sage_reference_options hardware{};
  hardware.tensor_core_accumulator = 1;
  auto biased = [&](const sage_program &program, const sage_reference_options &options) {
    // Values of one sign: the sum grows, and truncation always takes away.
    HostCall host(program.problem, 1, 1, 1, 64, 8192, InputDistribution::Uniform);
    for (uint16_t &bits : host.value)
      bits &= 0x7fff;
    return run(program, host, options).output.relativeL1;
  };
  double exactTwo = biased(two, {}), exactOne = biased(one, {});
  double hardwareTwo = biased(two, hardware), hardwareOne = biased(one, hardware);
  EXPECT_NEAR(exactTwo, exactOne, 1e-3);
  EXPECT_GT(hardwareOne, 2 * hardwareTwo);
  EXPECT_LT(hardwareTwo, exactTwo + 2e-3);
}

TEST(Reference, ExposesItsIntermediates) {
  for (const char *recipe : {"sage2-8b", "sage2-4b", "sage1", "f16"}) {
    sage_program program = named(recipe, 32);
    HostCall host(program.problem, 1, 2, 1, 200, 75, InputDistribution::ChannelBias);
    sage_reference_sizes sizes;
    ASSERT_EQ(sage_reference_get_sizes(&program, &host.call, &sizes), nullptr);
    EXPECT_EQ(sizes.query_blocks, 2);
    EXPECT_EQ(sizes.value_positions, 80);
    std::vector<float> queryMean(size_t(2 * sizes.query_blocks * 32)), keyMean(32),
        queryScales(size_t(2 * sizes.query_groups)), keyScales(size_t(sizes.key_groups)),
        valueScales(32), valueMean(32), correction(size_t(2 * sizes.query_blocks * 75), -1);
    std::vector<int8_t> q8(2 * 200 * 32), k8(75 * 32);
    std::vector<uint8_t> v8(size_t(32 * sizes.value_positions));
    sage_reference_intermediates wanted{queryMean.data(), keyMean.data(),     valueMean.data(),
                                        q8.data(),        queryScales.data(), k8.data(),
                                        keyScales.data(), v8.data(),          valueScales.data(),
                                        correction.data()};
    ASSERT_EQ(takeMessage(sage_reference_run(&program, &host.call, nullptr, &wanted)), "");
    bool quantized = program.recipe.qk != SAGE_SCORE_F16;
    int8_t range = program.recipe.qk == SAGE_SCORE_INT4 ? 7 : 127;
    EXPECT_EQ(*std::max_element(k8.begin(), k8.end()) == range ||
                  *std::min_element(k8.begin(), k8.end()) == -range,
              quantized);
    for (float scale : keyScales)
      EXPECT_TRUE(quantized ? scale > 0 && scale < 1 : scale == 1);
    EXPECT_EQ(keyMean[0] != 0, program.recipe.smooth_k != 0);
    EXPECT_EQ(queryMean[0] != 0, program.recipe.smooth_q != 0);
    EXPECT_EQ(correction[0] != 0, program.recipe.smooth_q != 0);
    EXPECT_EQ(valueScales[0] != 1, program.recipe.pv == SAGE_VALUE_E4M3);
    EXPECT_EQ(v8[0] != 0, program.recipe.pv == SAGE_VALUE_E4M3);
  }
}
