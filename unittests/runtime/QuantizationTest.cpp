//===- QuantizationTest.cpp - Spec N1 to N6 -------------------------------===//
#include "Quantization.h"

#include "FloatFormats.h"
#include "SampleArtifact.h"

#include <cmath>
#include <gtest/gtest.h>
#include <set>

using namespace sage::runtime;
using namespace sage::test;

namespace {

/// N1, written down a second time, one column and no vectors.
float specifiedSum(const std::vector<float> &tokens) {
  float total = 0;
  for (size_t chunk = 0; chunk < tokens.size(); chunk += 256) {
    float p[8] = {};
    for (size_t t = chunk; t < std::min(tokens.size(), chunk + 256); ++t)
      p[t % 8] += tokens[t];
    float a = p[0] + p[4], b = p[1] + p[5], c = p[2] + p[6], d = p[3] + p[7];
    total += (a + c) + (b + d);
  }
  return total;
}

sage_geometry geometryOf(sage_granularity granularity, sage_fragment fragment) {
  sage_program program;
  EXPECT_EQ(sage_program_named("sage2-8b", fragment, &program), nullptr);
  EXPECT_EQ(sage_program_set_granularity(&program, granularity, fragment), nullptr);
  return program.geometry;
}

GroupMap mapOf(const char *json, int64_t tokens) {
  Expression expression;
  EXPECT_TRUE(Expression::parseText(json, mapSymbols, expression).ok());
  GroupMap map;
  EXPECT_TRUE(GroupMap::create(expression, tokens, map).ok());
  return map;
}

} // namespace

TEST(Quantization, SumsInTheSpecifiedOrder) {
  sage_problem problem{3, 3, SAGE_F16, SAGE_HEAD_MAJOR, SAGE_MASK_NONE, 0, 1, {-1, -1, -1, -1, -1}};
  for (int64_t tokens : {0, 1, 7, 8, 9, 255, 256, 257, 1000}) {
    HostCall host(problem, 1, 1, 1, 1, tokens,
                  sage::evaluation::InputDistribution::GroupMagnitudes);
    std::vector<float> rows;
    for (uint16_t bits : host.key)
      rows.push_back(f16ToFloat(bits));
    float sums[3];
    tokenSums(rows.data(), tokens, 3, sums);
    for (int64_t d = 0; d < 3; ++d) {
      std::vector<float> column;
      for (int64_t n = 0; n < tokens; ++n)
        column.push_back(rows[size_t(n * 3 + d)]);
      EXPECT_EQ(sums[d], specifiedSum(column)) << tokens;
    }
  }
}

// The order shows: 2^24 + 1 is not a float, so that adding the ones to each
// other first gives another sum.
TEST(Quantization, SumOrderIsNotSequential) {
  std::vector<float> rows(16, 1.0f);
  rows[0] = 0x1p24f;
  float sum;
  tokenSums(rows.data(), 16, 1, &sum);
  // p = {2^24, 2, 2, …}: 2^24 and seven twos.
  EXPECT_EQ(sum, 0x1p24f + 14.0f);
}

TEST(Quantization, RoundsHalfToEvenAndFillsTheRange) {
  GroupMap map = mapOf("0", 6);
  std::vector<float> rows = {127.0f, 0.5f, 1.5f, -2.5f, -127.0f, 126.5f};
  int8_t values[6];
  float scale;
  quantizeScores(rows.data(), 1, map, SAGE_SCORE_INT8, 1.0f, values, &scale);
  EXPECT_EQ(scale, 1.0f);
  const int8_t expected[] = {127, 0, 2, -2, -127, 126};
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(values[i], expected[i]) << i;
  quantizeScores(rows.data(), 1, map, SAGE_SCORE_INT4, 1.0f, values, &scale);
  EXPECT_EQ(scale, 127.0f / 7.0f);
  EXPECT_EQ(values[0], 7);
  EXPECT_EQ(values[4], -7);
}

TEST(Quantization, ZeroGroupsAndNonFiniteGroups) {
  GroupMap map = mapOf(R"(["floordiv","n",2])", 8);
  std::vector<float> rows = {0, -0.0f, 1, 2, NAN, 3, INFINITY, 1};
  int8_t values[8];
  float scales[4];
  quantizeScores(rows.data(), 1, map, SAGE_SCORE_INT8, 1.0f, values, scales);
  EXPECT_EQ(scales[0], 1.0f);
  EXPECT_EQ(values[0], 0);
  EXPECT_EQ(scales[1], 2.0f / 127.0f);
  EXPECT_TRUE(std::isnan(scales[2]));
  EXPECT_TRUE(std::isnan(scales[3]));
}

TEST(Quantization, SubnormalGroupsSaturate) {
  GroupMap map = mapOf("0", 2);
  std::vector<float> rows = {0x1p-140f, -0x1p-140f};
  int8_t values[2];
  float scale;
  quantizeScores(rows.data(), 1, map, SAGE_SCORE_INT8, 1.0f, values, &scale);
  EXPECT_EQ(values[0], 127);
  EXPECT_EQ(values[1], -127);
}

TEST(Quantization, PerThreadGroupsFollowTheFragments) {
  struct Case {
    sage_fragment fragment;
    int64_t queryRows, keyTile;
  };
  for (const Case &c : {Case{SAGE_MMA_SYNC_16, 16, 64}, Case{SAGE_MMA_SYNC_32, 32, 64},
                        Case{SAGE_WGMMA, 16, 128}}) {
    sage_geometry geometry = geometryOf(SAGE_PER_THREAD, c.fragment);
    EXPECT_EQ(geometry.key_tile, c.keyTile);
    GroupMap query = mapOf(geometry.query_groups, 256);
    GroupMap key = mapOf(geometry.key_groups, 256);
    EXPECT_EQ(query.groups, 256 / c.queryRows * 8);
    EXPECT_EQ(key.groups, 256 / c.keyTile * 4);
    for (int64_t warp = 0; warp < 256 / c.queryRows; ++warp)
      for (int64_t t = 0; t < 8; ++t)
        for (int64_t row = t; row < c.queryRows; row += 8)
          EXPECT_EQ(query.groupOf[size_t(warp * c.queryRows + row)], warp * 8 + t);
    for (int64_t tile = 0; tile < 256 / c.keyTile; ++tile)
      for (int64_t lane = 0; lane < 4; ++lane)
        for (int64_t i = 0; i < c.keyTile / 8; ++i)
          for (int64_t odd : {0, 1})
            EXPECT_EQ(key.groupOf[size_t(tile * c.keyTile + 8 * i + 2 * lane + odd)],
                      tile * 4 + lane);
  }
}

TEST(Quantization, CoarserGroups) {
  EXPECT_EQ(mapOf(geometryOf(SAGE_PER_TENSOR, SAGE_WGMMA).key_groups, 300).groups, 1);
  EXPECT_EQ(mapOf(geometryOf(SAGE_PER_BLOCK, SAGE_WGMMA).key_groups, 300).groups, 3);
  EXPECT_EQ(mapOf(geometryOf(SAGE_PER_WARP, SAGE_WGMMA).query_groups, 33).groups, 3);
  EXPECT_EQ(mapOf(geometryOf(SAGE_PER_TOKEN, SAGE_WGMMA).key_groups, 300).groups, 300);
}

TEST(Quantization, RefusesMapsOutsideBounds) {
  Expression expression;
  ASSERT_TRUE(Expression::parseText(R"(["sub","n",1])", mapSymbols, expression).ok());
  GroupMap map;
  EXPECT_FALSE(GroupMap::create(expression, 4, map).ok());
  ASSERT_TRUE(Expression::parseText(R"(["mul","n",1000000])", mapSymbols, expression).ok());
  EXPECT_FALSE(GroupMap::create(expression, 4, map).ok());
}

TEST(Quantization, ValueOrderIsTheSpecifiedPermutation) {
  Expression order;
  ASSERT_TRUE(
      Expression::parseText(geometryOf(SAGE_PER_THREAD, SAGE_WGMMA).value_order, mapSymbols, order)
          .ok());
  std::set<int64_t> tokens;
  for (int64_t p = 0; p < 64; ++p) {
    int64_t token, inGroup = p % 16;
    ASSERT_TRUE(order.evaluateAt(p, token).ok());
    EXPECT_EQ(token, p / 16 * 16 + 8 * ((inGroup % 4) / 2) + 2 * (inGroup / 4) + inGroup % 2);
    tokens.insert(token);
  }
  EXPECT_EQ(tokens.size(), 64u);
}

TEST(Quantization, ValuesGoIntoStorageOrderWithZerosBehind) {
  sage_program program;
  ASSERT_EQ(sage_program_named("sage2-8b", SAGE_WGMMA, &program), nullptr);
  Geometry geometry;
  ASSERT_TRUE(Geometry::create(program.geometry, geometry).ok());
  constexpr int64_t tokens = 19, columns = 2, positions = 32;
  std::vector<float> rows(tokens * columns, 0.0f);
  for (int64_t n = 0; n < tokens; ++n)
    rows[size_t(n * columns)] = float(n) - 9;
  std::vector<float> decoded(rows.size());
  std::vector<uint8_t> bits(columns * positions, 0xff);
  float scales[columns];
  ASSERT_TRUE(quantizeValues(rows.data(), tokens, columns, program.recipe, SAGE_F16,
                             geometry.valueOrder, decoded.data(), scales, bits.data())
                  .ok());
  EXPECT_EQ(scales[0], 9.0f / 448.0f);
  EXPECT_EQ(scales[1], 1.0f); // a channel of zeros
  for (int64_t p = 0; p < positions; ++p) {
    int64_t token;
    ASSERT_TRUE(geometry.valueOrder.evaluateAt(p, token).ok());
    float expected = token < tokens ? decoded[size_t(token * columns)] : 0.0f;
    EXPECT_EQ(e4m3ToFloat(bits[size_t(p)]), expected);
    EXPECT_EQ(bits[size_t(positions + p)], 0);
  }
}
