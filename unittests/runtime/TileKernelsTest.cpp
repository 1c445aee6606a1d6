//===- TileKernelsTest.cpp - inner loops of the CPU reference -------------===//
#include "TileKernels.h"

#include "FloatFormats.h"
#include "Random.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

using namespace sage::runtime;

namespace {

std::vector<float> randomFloats(size_t count, uint32_t stream) {
  sage::evaluation::Random random(3, stream);
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = float(random.normal(i));
  return values;
}

std::vector<float> accumulated(const TileKernels &kernels, Accumulator accumulator,
                               std::vector<float> p, std::vector<float> v, std::vector<float> sum) {
  int64_t columns = int64_t(sum.size()), count = int64_t(p.size());
  kernels.accumulate(accumulator, p.data(), v.data(), columns, count, columns, sum.data());
  return sum;
}

float sumOf(Accumulator accumulator, std::vector<float> p, float start = 0) {
  return accumulated(tileKernels(), accumulator, p, std::vector<float>(p.size(), 1.0f), {start})[0];
}

} // namespace

TEST(TileKernels, Exp2IsCloseAndExactOnIntegers) {
  for (int i = -126; i < 128; ++i)
    EXPECT_EQ(exp2Reference(float(i)), std::ldexp(1.0f, i));
  EXPECT_EQ(exp2Reference(-127), 0.0f);
  EXPECT_EQ(exp2Reference(-INFINITY), 0.0f);
  EXPECT_EQ(exp2Reference(INFINITY), INFINITY);
  EXPECT_EQ(exp2Reference(128), INFINITY);
  EXPECT_TRUE(std::isnan(exp2Reference(NAN)));
  for (float x = -125.99f; x < 127; x += 0.00731f) {
    double exact = std::exp2(double(x));
    EXPECT_LE(std::fabs(exp2Reference(x) - exact), exact * 0x1p-23) << x;
  }
}

TEST(TileKernels, InstructionSetsGiveTheSameBits) {
  const TileKernels &fast = tileKernels(), &base = baselineTileKernels();
  constexpr int64_t count = 77, dims = 40;
  std::vector<float> scores = randomFloats(count, 1), scales(count, 0.01f);
  for (float &score : scores)
    score = std::round(score * 1000);
  std::vector<float> x[2], factors[2], p[2];
  for (int i = 0; i < 2; ++i) {
    const TileKernels &kernels = i ? base : fast;
    for (auto *buffer : {&x[i], &factors[i], &p[i]})
      buffer->resize(count);
    float largest = kernels.logits(scores.data(), scales.data(), 0.37f, nullptr, 0, count,
                                   x[i].data(), factors[i].data());
    kernels.probabilities(scores.data(), factors[i].data(), x[i].data(), false, 8.8f - largest,
                          Probability::E4M3, count, p[i].data());
  }
  EXPECT_EQ(x[0], x[1]);
  EXPECT_EQ(p[0], p[1]);
  std::vector<float> values = randomFloats(count * dims, 2);
  for (float &value : values)
    value = roundToE4m3(value * 100);
  std::vector<float> start = randomFloats(dims, 3);
  for (Accumulator accumulator :
       {Accumulator::Float32, Accumulator::TensorCore22, Accumulator::Float16})
    EXPECT_EQ(accumulated(fast, accumulator, p[0], values, start),
              accumulated(base, accumulator, p[0], values, start));
}

TEST(TileKernels, TensorCoreCutsOffBehind13Bits) {
  // 2^13 is the last addend that leaves a 1 alone: 2^14 keeps bits from 2 on.
  EXPECT_EQ(sumOf(Accumulator::TensorCore22, {1.0f, 1.0f}, 0x1p13f), 0x1p13f + 2);
  EXPECT_EQ(sumOf(Accumulator::TensorCore22, {1.0f, 1.0f}, 0x1p14f), 0x1p14f);
  EXPECT_EQ(sumOf(Accumulator::Float32, {1.0f, 1.0f}, 0x1p14f), 0x1p14f + 2);
  // Toward zero, from either side.
  EXPECT_EQ(sumOf(Accumulator::TensorCore22, {1.5f}, 0x1p13f), 0x1p13f + 1);
  EXPECT_EQ(sumOf(Accumulator::TensorCore22, {-1.5f}, -0x1p13f), -0x1p13f - 1);
  // A sum that carries loses its last bit: 2^14 - 1 + 2 has 15 bits.
  EXPECT_EQ(sumOf(Accumulator::TensorCore22, {2.0f}, 0x1p14f - 1), 0x1p14f);
  // 33 small addends in two steps of 32.
  EXPECT_EQ(sumOf(Accumulator::TensorCore22, std::vector<float>(33, 448.0f)), 33 * 448.0f);
  EXPECT_EQ(sumOf(Accumulator::TensorCore22, {0.0f, -0.0f}), 0.0f);
}

TEST(TileKernels, Float16RoundsOncePerStep) {
  // 2048 + 1 is no f16, 2048 + 32 is.
  EXPECT_EQ(sumOf(Accumulator::Float16, {1.0f}, 2048), 2048);
  EXPECT_EQ(sumOf(Accumulator::Float16, std::vector<float>(32, 1.0f), 2048), 2080);
  EXPECT_EQ(sumOf(Accumulator::Float16, std::vector<float>(64, 1008.0f)), 64512);
  EXPECT_EQ(sumOf(Accumulator::Float16, std::vector<float>(96, 1008.0f)), INFINITY);
}
