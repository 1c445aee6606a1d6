//===- PartsTest.cpp - the keys of a call in parts (Spec N18) --------------===//
#include "Accuracy.h"
#include "MaskedCall.h"

#include <gtest/gtest.h>

using namespace sage::test;

namespace {

sage_program named(const char *name, const char *parts) {
  sage_program program;
  EXPECT_EQ(sage_program_named(name, SAGE_MMA_SYNC_16, &program), nullptr);
  program.problem.head_dim = program.problem.value_head_dim = 32;
  program.geometry.key_parts = parts;
  return program;
}

const char *const recipes[] = {"sage2-8b", "sage2-4b", "sage2pp", "sage1",
                               "sage-8b",  "sage-4b",  "f16"};

MaskedCall callOf(const sage_program &program, int64_t queries, int64_t keys) {
  return MaskedCall(program.problem, 2, 4, 2, queries, keys);
}

} // namespace

TEST(Parts, OnePartIsAsNone) {
  for (const char *recipe : recipes)
    for (const char *parts : {"1", "0", "-3", R"(["floordiv","Nk",1000])"}) {
      sage_program whole = named(recipe, nullptr), one = named(recipe, parts);
      MaskedCall a = callOf(whole, 20, 300), b = callOf(one, 20, 300);
      ASSERT_EQ(a.run(whole), "");
      ASSERT_EQ(b.run(one), "");
      EXPECT_EQ(a.output, b.output) << recipe << " " << parts;
      EXPECT_EQ(a.lse, b.lse) << recipe << " " << parts;
    }
}

/// Also with parts that have no tile, that no query sees, and under sinks.
TEST(Parts, AreNearTheDefinition) {
  for (const char *recipe : recipes)
    for (const char *parts : {"2", "3", "4", "1000"})
      for (sage_mask mask :
           {SAGE_MASK_NONE, SAGE_MASK_CAUSAL_BOTTOM_RIGHT, SAGE_MASK_CAUSAL_TOP_LEFT}) {
        sage_program program = named(recipe, parts);
        program.problem.mask = mask;
        program.problem.sinks = mask == SAGE_MASK_NONE;
        MaskedCall host = callOf(program, 20, 300);
        if (program.problem.sinks)
          host.addSinks({0.5f, -2.0f, 1.0f, 0.0f});
        ASSERT_EQ(host.run(program), "");
        NaiveResult exact = evaluateNaively(host);
        auto output = sage::evaluation::compare(host.outputs(), exact.output);
        auto lse = sage::evaluation::compare(host.lses(), exact.lse);
        std::string what =
            std::string(recipe) + " parts " + parts + " mask " + std::to_string(mask);
        EXPECT_EQ(output.mismatches + lse.mismatches, 0) << what;
        bool isInt4 = program.recipe.qk == SAGE_SCORE_INT4, is16 = std::string(recipe) == "f16";
        EXPECT_LT(output.maximum, is16 ? 0.01 : isInt4 ? 1.5 : 0.3) << what;
        EXPECT_LT(lse.maximum, is16 ? 1e-4 : isInt4 ? 0.7 : 0.2) << what;
      }
}

/// Without rounding of P, parts change float32 roundings only.
TEST(Parts, ChangeRoundingOnly) {
  sage_program whole = named("f16", nullptr), split = named("f16", "3");
  MaskedCall a = callOf(whole, 33, 500), b = callOf(split, 33, 500);
  ASSERT_EQ(a.run(whole), "");
  ASSERT_EQ(b.run(split), "");
  auto difference = sage::evaluation::compare({a.lse.begin(), a.lse.end()},
                                              std::vector<double>(b.lse.begin(), b.lse.end()));
  EXPECT_LT(difference.maximum, 2e-6);
  EXPECT_GT(difference.maximum, 0);
}

TEST(Parts, NoPartSeesAnything) {
  sage_program program = named("sage2-8b", "2");
  program.problem.mask = SAGE_MASK_CAUSAL_BOTTOM_RIGHT;
  MaskedCall host(program.problem, 1, 2, 2, 400, 300);
  ASSERT_EQ(host.run(program), "");
  for (size_t row = 0; row < 100; ++row) {
    EXPECT_EQ(host.lse[row], -INFINITY);
    EXPECT_EQ(host.output[row * 32], 0);
  }
}

/// An entry's own tiles, in the parts of the whole call.
TEST(Parts, KeyLengthsDivideTheirOwnTiles) {
  sage_program program = named("sage2-8b", R"(["floordiv","Nk",100])");
  program.problem.key_lengths = 1;
  MaskedCall whole(program.problem, 2, 2, 2, 9, 400);
  whole.addKeyLengths({400, 130});
  ASSERT_EQ(whole.run(program), "");
  // Four parts of the second entry's three tiles.
  sage_program fixed = named("sage2-8b", "4");
  MaskedCall part = whole;
  part.problem = fixed.problem;
  part.call.key_lengths = nullptr;
  for (auto [tensor, data] :
       {std::pair(&part.call.query, &part.query), std::pair(&part.call.key, &part.key),
        std::pair(&part.call.value, &part.value), std::pair(&part.call.output, &part.output)}) {
    tensor->data = data->data() + tensor->strides[0];
    tensor->extents[0] = 1;
  }
  part.call.key.extents[2] = part.call.value.extents[2] = 130;
  part.call.lse = part.lse.data() + 2 * 9;
  ASSERT_EQ(part.run(fixed), "");
  EXPECT_EQ(part.output, whole.output);
  EXPECT_EQ(part.lse, whole.lse);
}

TEST(Parts, PackedSequencesAreWhole) {
  sage_program split = named("sage2-8b", "3"), whole = named("sage2-8b", nullptr);
  split.problem.packed = whole.problem.packed = 1;
  MaskedCall a(split.problem, 1, 2, 2, 40, 500), b(whole.problem, 1, 2, 2, 40, 500);
  a.addOffsets({0, 10, 40}, {0, 300, 500});
  b.addOffsets({0, 10, 40}, {0, 300, 500});
  ASSERT_EQ(a.run(split), "");
  ASSERT_EQ(b.run(whole), "");
  EXPECT_EQ(a.output, b.output);
}

TEST(Parts, ExpressionsAreChecked) {
  auto errorOf = [](const char *parts) {
    sage_program program = named("sage2-8b", parts);
    MaskedCall host = callOf(program, 8, 70);
    return host.run(program);
  };
  EXPECT_NE(errorOf("\"n\"").find("geometry.key_parts: "), std::string::npos);
  EXPECT_NE(errorOf("\"n\"").find("accepted here: B, Hq, Hkv, Nq, Nk"), std::string::npos);
  EXPECT_NE(errorOf(R"(["floordiv",8,["sub","Nq",8]])").find("divisors must be positive"),
            std::string::npos);
}
