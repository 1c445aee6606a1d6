//===- FloatFormatsTest.cpp - every bit pattern, every rounding boundary --===//
#include "FloatFormats.h"

#include <cmath>
#include <gtest/gtest.h>
#include <vector>

using namespace sage::runtime;

namespace {

/// What the tests need of one format.
template <typename Bits> struct Format {
  uint32_t magnitudes; // patterns without sign
  float (*decode)(Bits);
  Bits (*encode)(float);
  float (*round)(float);
  bool saturates;
};

template <typename Bits> void testFormat(const Format<Bits> &format) {
  std::vector<float> values; // finite, not negative, by pattern
  Bits sign = Bits(format.magnitudes);
  for (uint32_t bits = 0; bits < format.magnitudes; ++bits) {
    float value = format.decode(Bits(bits));
    float negative = format.decode(Bits(bits | sign));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(format.decode(format.encode(value))));
      EXPECT_TRUE(std::isnan(negative));
      continue;
    }
    EXPECT_EQ(negative, -value);
    if (std::isinf(value))
      continue;
    ASSERT_EQ(values.size(), bits);
    if (bits > 0) {
      EXPECT_GT(value, values.back());
    }
    values.push_back(value);
    EXPECT_EQ(format.encode(value), bits);
    EXPECT_EQ(format.encode(-value), Bits(bits | sign));
    EXPECT_EQ(format.round(value), value);
  }
  for (uint32_t bits = 0; bits + 1 < values.size(); ++bits) {
    float low = values[bits], high = values[bits + 1];
    float middle = float((double(low) + double(high)) / 2); // exact
    uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    EXPECT_EQ(format.encode(middle), even) << middle;
    EXPECT_EQ(format.encode(std::nextafterf(middle, low)), bits);
    EXPECT_EQ(format.encode(std::nextafterf(middle, high)), bits + 1);
    EXPECT_EQ(format.encode(-middle), Bits(even | sign));
    EXPECT_EQ(format.round(middle), values[even]);
    EXPECT_EQ(format.round(std::nextafterf(middle, high)), high);
  }
  float largest = values.back(), infinity = INFINITY;
  float below = values[values.size() - 2];
  float step = largest - below;
  // Half a step above the largest is where IEEE conversion overflows.
  float beyond = largest + step / 2;
  EXPECT_EQ(format.round(std::nextafterf(beyond, 0)), largest);
  EXPECT_EQ(format.round(beyond), format.saturates ? largest : infinity);
  EXPECT_EQ(format.decode(format.encode(infinity)), format.saturates ? largest : infinity);
  EXPECT_EQ(format.decode(format.encode(-infinity)), format.saturates ? -largest : -infinity);
  EXPECT_TRUE(std::isnan(format.round(NAN)));
  EXPECT_TRUE(std::isnan(format.decode(format.encode(NAN))));
}

} // namespace

TEST(FloatFormats, F16) {
  testFormat<uint16_t>({0x8000, f16ToFloat, floatToF16, roundToF16, false});
  EXPECT_EQ(f16ToFloat(0x7bff), 65504.0f);
  EXPECT_EQ(f16ToFloat(0x0001), 0x1p-24f);
}

TEST(FloatFormats, Bf16) {
  testFormat<uint16_t>({0x8000, bf16ToFloat, floatToBf16, roundToBf16, false});
}

TEST(FloatFormats, E4m3) {
  testFormat<uint8_t>({0x80, e4m3ToFloat, floatToE4m3, roundToE4m3, true});
  EXPECT_EQ(e4m3ToFloat(0x7e), 448.0f);
  EXPECT_TRUE(std::isnan(e4m3ToFloat(0x7f)));
  EXPECT_EQ(e4m3ToFloat(0x01), 0x1p-9f);
  EXPECT_EQ(floatToE4m3(1e30f), 0x7e);
  EXPECT_EQ(floatToE4m3(NAN) & 0x7f, 0x7f);
}

TEST(FloatFormats, E5m2) {
  testFormat<uint8_t>({0x80, e5m2ToFloat, floatToE5m2, roundToE5m2, true});
  EXPECT_EQ(e5m2ToFloat(0x7b), 57344.0f);
  EXPECT_EQ(e5m2ToFloat(0x01), 0x1p-16f);
  EXPECT_EQ(floatToE5m2(1e30f), 0x7b);
}

TEST(FloatFormats, RoundingIsEncodingAndDecoding) {
  // A stride that is no power of two visits all exponents and many mantissas.
  for (uint64_t bits = 0; bits <= 0xffffffffu; bits += 9973) {
    float value = floatOf(uint32_t(bits));
    if (std::isnan(value))
      continue;
    ASSERT_EQ(bitsOf(roundToE4m3(value)), bitsOf(e4m3ToFloat(floatToE4m3(value)))) << value;
    ASSERT_EQ(bitsOf(roundToE5m2(value)), bitsOf(e5m2ToFloat(floatToE5m2(value)))) << value;
    ASSERT_EQ(bitsOf(roundToF16(value)), bitsOf(f16ToFloat(floatToF16(value)))) << value;
  }
}
