//===- EvaluationTest.cpp - random inputs, figures, .npy ------------------===//
#include "Accuracy.h"
#include "InputDistribution.h"
#include "Npy.h"
#include "Random.h"

#include "Exp2.h"
#include "FloatFormats.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>

using namespace sage::evaluation;

namespace {

std::vector<float> floatsOf(InputDistribution distribution, InputTensor tensor, int64_t heads,
                            int64_t tokens, int64_t dims, uint64_t seed = 0) {
  std::vector<float> values;
  for (uint16_t bits : makeInput(distribution, seed, tensor, SAGE_F16, 1, heads, tokens, dims))
    values.push_back(sage::runtime::f16ToFloat(bits));
  return values;
}

double deviationOf(const std::vector<float> &values) {
  double sum = 0, squares = 0;
  for (float value : values) {
    sum += value;
    squares += double(value) * value;
  }
  double mean = sum / double(values.size());
  return std::sqrt(squares / double(values.size()) - mean * mean);
}

} // namespace

// The known answer of Philox4x32-10 for counter and key zero.
TEST(Random, IsPhilox) {
  std::array<uint32_t, 4> expected = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
  EXPECT_EQ(Random(0, 0).bits(0), expected);
}

TEST(Random, NormalHasItsMoments) {
  Random random(11, 5);
  double sum = 0, squares = 0, fourth = 0;
  constexpr int count = 200000;
  for (int i = 0; i < count; ++i) {
    double value = random.normal(uint64_t(i));
    sum += value;
    squares += value * value;
    fourth += value * value * value * value;
  }
  EXPECT_NEAR(sum / count, 0, 0.01);
  EXPECT_NEAR(squares / count, 1, 0.015);
  EXPECT_NEAR(fourth / count, 3, 0.1);
}

// Pinned: another machine, compiler or version must give these bits.
TEST(Random, IsTheSameEverywhere) {
  Random random(42, 1);
  std::vector<uint64_t> bits;
  for (uint64_t i : {uint64_t(0), uint64_t(1), uint64_t(1) << 40}) {
    double value = random.normal(i);
    uint64_t word;
    std::memcpy(&word, &value, sizeof(word));
    bits.push_back(word);
  }
  EXPECT_EQ(bits,
            (std::vector<uint64_t>{0xbfef056f9b8f6721u, 0xbfd50570f1322834u, 0xbfed477ee4be5bb2u}));
}

TEST(InputDistribution, HasItsShape) {
  EXPECT_NEAR(deviationOf(floatsOf(InputDistribution::Normal, InputTensor::Query, 1, 1000, 64)), 1,
              0.02);
  // 1 + 0.001·100 = 1.1.
  auto outliers = floatsOf(InputDistribution::Outliers, InputTensor::Key, 4, 4000, 64);
  EXPECT_NEAR(deviationOf(outliers), std::sqrt(1.1), 0.02);
  EXPECT_NEAR(deviationOf(floatsOf(InputDistribution::Uniform, InputTensor::Value, 1, 1000, 64)),
              std::sqrt(1.0 / 3), 0.01);
  // 1 + 0.1·64 and 1 + 0.1·9, over many channels.
  EXPECT_NEAR(deviationOf(floatsOf(InputDistribution::ChannelBias, InputTensor::Key, 400, 4, 128)),
              std::sqrt(7.4), 0.15);
  EXPECT_NEAR(
      deviationOf(floatsOf(InputDistribution::ChannelBias, InputTensor::Query, 400, 4, 128)),
      std::sqrt(1.9), 0.08);
  EXPECT_NEAR(
      deviationOf(floatsOf(InputDistribution::ChannelBias, InputTensor::Value, 400, 4, 128)), 1,
      0.02);
}

TEST(InputDistribution, ChannelBiasIsConstantOverTokens) {
  auto values = floatsOf(InputDistribution::ChannelBias, InputTensor::Key, 1, 512, 128);
  int biased = 0;
  for (int d = 0; d < 128; ++d) {
    double mean = 0;
    for (int n = 0; n < 512; ++n)
      mean += values[size_t(n * 128 + d)] / 512;
    biased += std::fabs(mean) > 0.5;
  }
  EXPECT_GT(biased, 4);
  EXPECT_LT(biased, 24);
}

TEST(InputDistribution, PositionEncodesTheToken) {
  auto values = floatsOf(InputDistribution::Position, InputTensor::Value, 2, 100, 32);
  for (int row = 0; row < 200; ++row) {
    int token = 0;
    for (int d = 0; d < 16; ++d)
      token |= (values[size_t(row * 32 + d)] > 0) << d;
    EXPECT_EQ(token, row % 100);
  }
}

TEST(InputDistribution, DependsOnSeedAndTensor) {
  auto draw = [](InputTensor tensor, uint64_t seed) {
    return floatsOf(InputDistribution::Normal, tensor, 1, 4, 16, seed);
  };
  EXPECT_EQ(draw(InputTensor::Query, 1), draw(InputTensor::Query, 1));
  EXPECT_NE(draw(InputTensor::Query, 1), draw(InputTensor::Query, 2));
  EXPECT_NE(draw(InputTensor::Query, 1), draw(InputTensor::Key, 1));
  InputDistribution parsed;
  EXPECT_TRUE(parseInputDistribution("group-magnitudes", parsed));
  EXPECT_EQ(parsed, InputDistribution::GroupMagnitudes);
  EXPECT_FALSE(parseInputDistribution("gauss", parsed));
}

TEST(Accuracy, Figures) {
  Accuracy same = compare({1, -2, 0}, {1, -2, 0});
  EXPECT_NEAR(same.cosine, 1, 1e-15);
  EXPECT_EQ(same.relativeL1, 0);
  Accuracy other = compare({1, 1}, {1, -1});
  EXPECT_EQ(other.cosine, 0);
  EXPECT_EQ(other.relativeL1, 1);
  EXPECT_EQ(other.maximum, 2);
  EXPECT_NEAR(other.rmse, std::sqrt(2.0), 1e-15);
  EXPECT_EQ(compare({NAN, 1, -INFINITY}, {1, 1, -INFINITY}).mismatches, 1);
  EXPECT_EQ(compare({NAN}, {NAN}).mismatches, 0);
  EXPECT_EQ(compare({}, {}).cosine, 1);
}

TEST(Npy, RoundTripsAndRefusesDamage) {
  std::string path = testing::TempDir() + "sage_npy_test.npy";
  NpyArray array{"<f2", {2, 3, 1}, std::string("abcdefghijkl")}, back;
  EXPECT_EQ(writeNpy(path, array), "");
  EXPECT_EQ(readNpy(path, back), "");
  EXPECT_EQ(back.type, array.type);
  EXPECT_EQ(back.shape, array.shape);
  EXPECT_EQ(back.bytes, array.bytes);

  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ((bytes.size() - array.bytes.size()) % 64, 0u);
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::ofstream(path, std::ios::binary) << bytes.substr(0, size);
    EXPECT_NE(readNpy(path, back), "") << size;
  }
  for (size_t i = 0; i < bytes.size() - array.bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = char(damaged[i] ^ 0x11);
    std::ofstream(path, std::ios::binary) << damaged;
    readNpy(path, back); // no crash; some flips are spaces
  }
  std::remove(path.c_str());
}
