//===- ReferencePolicyTest.cpp - Spec P1 to P5 and refused calls ----------===//
#include "SampleArtifact.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace sage::test;

namespace {

sage_program named(const char *name) {
  sage_program program;
  EXPECT_EQ(sage_program_named(name, SAGE_WGMMA, &program), nullptr);
  program.problem.head_dim = program.problem.value_head_dim = 32;
  return program;
}

constexpr uint16_t f16Nan = 0x7e00, f16Infinity = 0x7c00;

void run(const sage_program &program, HostCall &host) {
  ASSERT_EQ(takeMessage(sage_reference_run(&program, &host.call, nullptr, nullptr)), "");
}

std::string errorOf(const sage_program &program, const sage_call &call) {
  return takeMessage(sage_reference_run(&program, &call, nullptr, nullptr));
}

} // namespace

TEST(ReferencePolicy, NonFiniteQueriesPoisonTheirGroup) {
  for (const char *recipe : {"sage2-8b", "sage2-4b", "sage1", "f16"})
    for (uint16_t bad : {f16Nan, f16Infinity}) {
      sage_program program = named(recipe);
      HostCall host(program.problem, 1, 1, 1, 300, 50);
      host.query[3] = bad; // token 0
      run(program, host);
      auto output = host.outputs();
      EXPECT_TRUE(std::isnan(output[0])) << recipe;
      EXPECT_TRUE(std::isnan(host.lse[0])) << recipe;
      // Another query block shares nothing with it.
      for (size_t i = 256 * 32; i < output.size(); ++i)
        ASSERT_FALSE(std::isnan(output[i])) << recipe;
    }
}

TEST(ReferencePolicy, NonFiniteKeysPoisonWhoSeesThem) {
  for (uint16_t bad : {f16Nan, f16Infinity}) {
    sage_program program = named("sage2-8b");
    program.recipe.smooth_k = 0;
    program.problem.mask = SAGE_MASK_CAUSAL_TOP_LEFT;
    HostCall host(program.problem, 1, 1, 1, 300, 300);
    host.key[200 * 32] = bad; // in the second key tile: tokens 128 to 255
    run(program, host);
    auto output = host.outputs();
    EXPECT_FALSE(std::isnan(output[127 * 32]));
    // Token 200 is 8·25: it shares its scale with token 128.
    EXPECT_TRUE(std::isnan(output[128 * 32]));
    EXPECT_TRUE(std::isnan(output[299 * 32 + 31]));
    program.recipe.smooth_k = 1; // the mean spreads it
    run(program, host);
    EXPECT_TRUE(std::isnan(host.outputs()[0]));
  }
}

TEST(ReferencePolicy, NonFiniteValuesPoisonTheirChannel) {
  for (const char *recipe : {"sage2-8b", "f16"})
    for (uint16_t bad : {f16Nan, f16Infinity}) {
      sage_program program = named(recipe);
      HostCall host(program.problem, 1, 1, 1, 10, 50);
      host.value[7 * 32 + 5] = bad;
      run(program, host);
      auto output = host.outputs();
      for (size_t i = 0; i < output.size(); ++i)
        EXPECT_EQ(std::isnan(output[i]), i % 32 == 5) << recipe;
    }
}

TEST(ReferencePolicy, ZerosAreNoProblem) {
  for (const char *recipe : {"sage2-8b", "sage2-4b", "sage2pp", "sage-8b", "sage-4b", "f16"}) {
    sage_program program = named(recipe);
    HostCall host(program.problem, 1, 1, 1, 20, 30);
    for (auto *tensor : {&host.query, &host.key})
      std::fill(tensor->begin(), tensor->end(), 0);
    for (size_t n = 0; n < 30; ++n)
      host.value[n * 32] = 0; // a channel of zeros
    run(program, host);
    for (float lse : host.lse)
      EXPECT_NEAR(lse, std::log(30.0), 1e-6) << recipe;
    for (size_t i = 0; i < 20; ++i)
      EXPECT_EQ(host.outputs()[i * 32], 0) << recipe;
  }
}

TEST(ReferencePolicy, OverflowingOutputsAreInfinite) {
  sage_program program = named("sage2-8b");
  program.recipe.smooth_v = 1;
  HostCall host(program.problem, 1, 1, 1, 4, 1);
  for (uint16_t &bits : host.value)
    bits = 0xfbff; // -65504, f16's largest
  run(program, host);
  EXPECT_EQ(host.outputs()[0], -65504);
}

// P2: rounded probabilities against an unrounded sum lift some rows above the largest f16.
TEST(ReferencePolicy, OutputsBeyondF16RoundToInfinity) {
  sage_program program = named("sage2-8b");
  program.recipe.row_sum = SAGE_ROW_SUM_FLOAT;
  HostCall host(program.problem, 1, 1, 1, 200, 3);
  for (uint16_t &bits : host.value)
    bits = 0x7bff; // 65504, f16's largest
  run(program, host);
  int infinite = 0;
  for (double value : host.outputs()) {
    EXPECT_FALSE(std::isnan(value));
    EXPECT_GT(value, 60000);
    infinite += std::isinf(value);
  }
  EXPECT_GT(infinite, 0);
  EXPECT_LT(infinite, int(host.output.size()));
}

TEST(ReferencePolicy, RowsWithoutKeysAreZero) {
  sage_program program = named("sage2-8b");
  program.recipe.smooth_v = 1;
  program.problem.mask = SAGE_MASK_CAUSAL_BOTTOM_RIGHT;
  HostCall host(program.problem, 1, 1, 1, 20, 5);
  run(program, host);
  for (size_t i = 0; i < 15; ++i) {
    EXPECT_EQ(host.outputs()[i * 32], 0);
    EXPECT_EQ(host.lse[i], -INFINITY);
  }
  EXPECT_GT(host.lse[15], -INFINITY);
}

TEST(ReferencePolicy, RefusesWhatDoesNotFit) {
  sage_program program = named("sage2-8b");
  HostCall host(program.problem, 1, 4, 2, 10, 12);
  EXPECT_EQ(errorOf(program, host.call), "");
  auto expect = [&](const char *wanted, auto change) {
    sage_call call = host.call;
    change(call);
    EXPECT_NE(errorOf(program, call).find(wanted), std::string::npos) << errorOf(program, call);
  };
  expect("query.extents: head dim must be 32, but got 16",
         [](sage_call &c) { c.query.extents[3] = 16; });
  expect("value.extents: tokens must be 12, but got 11",
         [](sage_call &c) { c.value.extents[2] = 11; });
  expect("query heads must be a multiple of key heads, but got 4 and 3",
         [](sage_call &c) { c.key.extents[1] = c.value.extents[1] = 3; });
  expect("key.extents: tokens must be at least 0", [](sage_call &c) { c.key.extents[2] = -1; });
  expect("the head dim must be contiguous (stride 1), but got stride 2",
         [](sage_call &c) { c.key.strides[3] = 2; });
  expect("output: the token stride must be positive",
         [](sage_call &c) { c.output.strides[2] = 0; });
  expect("extents times strides overflow",
         [](sage_call &c) { c.query.strides[1] = INT64_MAX / 2; });
  expect("query.data must not be NULL", [](sage_call &c) { c.query.data = nullptr; });
  expect("key.element_type must be f16", [](sage_call &c) { c.key.element_type = SAGE_BF16; });
  program.problem.shape[3] = 11;
  expect("Nq must be 11, but got 10", [](sage_call &) {});
  program = named("sage2-8b");
  program.problem.scale = -1;
  expect("scale must be finite and positive", [](sage_call &) {});
  program = named("sage2-8b");
  program.geometry.key_groups = "[\"mul\",\"n\",100000]";
  expect("geometry.key_groups: the group map gives 100000", [](sage_call &) {});
  program.geometry.key_groups = "[\"sub\",\"n\",5]";
  expect("geometry.key_groups must be at least 0", [](sage_call &) {});
  program.geometry.key_groups = nullptr;
  expect("geometry.key_groups must not be NULL", [](sage_call &) {});
  program = named("sage2-8b");
  program.recipe.pv = sage_value_type(9);
  expect("recipe.pv must be 0 to 2, but got 9", [](sage_call &) {});
  program = named("sage2-8b");
  program.problem.mask = sage_mask(-1);
  expect("problem.mask must be 0 to 4, but got -1", [](sage_call &) {});
  program = named("sage2-8b");
  expect("value.element_type must be f16",
         [](sage_call &c) { c.value.element_type = sage_element_type(77); });
}

// P3: anything but a finite positive scale; 0 stands for the default in the C API.
TEST(ReferencePolicy, ScaleMustBeFiniteAndPositive) {
  for (double scale : {-1.0, -1e-300, double(NAN), double(INFINITY), double(-INFINITY)}) {
    sage_program program = named("sage2-8b");
    HostCall host(program.problem, 1, 1, 1, 4, 4);
    program.problem.scale = scale;
    EXPECT_NE(errorOf(program, host.call).find("scale must be finite and positive"),
              std::string::npos)
        << scale;
  }
}

// P4: there is no such element type to name.
TEST(ReferencePolicy, ElementTypesAreF16AndBf16) {
  for (int type : {-1, 2, 3, 1 << 20}) {
    sage_program program = named("sage2-8b");
    HostCall host(program.problem, 1, 1, 1, 4, 4);
    program.problem.element_type = sage_element_type(type);
    EXPECT_NE(errorOf(program, host.call).find("problem.element_type must be 0 to 1, but got"),
              std::string::npos)
        << type;
  }
}

// P7: scores that overflow float32 count as ±softcap.
TEST(ReferencePolicy, InfiniteScoresUnderASoftCap) {
  sage_program program = named("f16");
  program.problem.element_type = SAGE_BF16;
  program.problem.softcap = 2;
  HostCall host(program.problem, 1, 1, 1, 1, 2);
  constexpr uint16_t large = 0x7149, minusLarge = 0xf149, one = 0x3f80; // ±1e30 and 1 in bf16
  std::fill(host.query.begin(), host.query.end(), large);
  for (size_t d = 0; d < 32; ++d) {
    host.key[d] = large;
    host.key[32 + d] = minusLarge;
    host.value[d] = one;
    host.value[32 + d] = 0;
  }
  run(program, host);
  EXPECT_NEAR(host.lse[0], std::log(std::exp(2.0) + std::exp(-2.0)), 1e-4);
  EXPECT_NEAR(host.outputs()[0], 1 / (1 + std::exp(-4.0)), 0.01);
}

TEST(ReferencePolicy, OutputsMustNotOverlapThemselves) {
  sage_program program = named("sage2-8b");
  HostCall host(program.problem, 2, 2, 2, 10, 12);
  for (int64_t stride : {1, 31, 64, 9 * 32}) {
    sage_call call = host.call;
    call.output.strides[1] = stride;
    EXPECT_NE(errorOf(program, call).find("output: strides must keep elements apart"),
              std::string::npos)
        << stride;
  }
}

TEST(ReferencePolicy, EndlessSequencesAreRefused) {
  sage_program program = named("sage2-8b");
  HostCall host(program.problem, 1, 1, 1, 10, 12);
  for (int64_t tokens : {(int64_t(1) << 22) + 1, int64_t(1) << 40, int64_t(1) << 50}) {
    sage_call call = host.call;
    call.key = sage_tensor_dense(nullptr, SAGE_HEAD_MAJOR, SAGE_F16, 1, 1, tokens, 32);
    call.value = call.key;
    sage_reference_sizes sizes;
    sage_status_code code;
    EXPECT_NE(takeMessage(sage_reference_get_sizes(&program, &call, &sizes), &code)
                  .find("geometry.key_groups: the CPU reference takes at most 4194304 tokens"),
              std::string::npos);
    EXPECT_EQ(code, SAGE_UNSUPPORTED);
  }
}

TEST(ReferencePolicy, NamesTheRecipes) {
  sage_program program;
  EXPECT_EQ(takeMessage(sage_program_named("sage3", SAGE_WGMMA, &program)),
            "recipe must be one of sage2-8b, sage2-4b, sage1, sage2pp, sage-8b, sage-4b, f16, but "
            "got 'sage3'");
}
