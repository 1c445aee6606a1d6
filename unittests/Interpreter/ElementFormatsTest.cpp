// Conversions of the interpreter against LLVM's arbitrary-precision floats.

#include "ElementFormats.h"

#include "llvm/ADT/APFloat.h"
#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace sage::tile::interpreter;
using llvm::APFloat;

namespace {

struct Format {
  ElementKind kind;
  const llvm::fltSemantics &semantics;
};

const Format formats[] = {{ElementKind::F16, APFloat::IEEEhalf()},
                          {ElementKind::BF16, APFloat::BFloat()},
                          {ElementKind::E4M3, APFloat::Float8E4M3FN()},
                          {ElementKind::E5M2, APFloat::Float8E5M2()}};

TEST(ElementFormats, DecodingIsExact) {
  for (const Format &format : formats) {
    unsigned bits = 8 * getElementBytes(format.kind);
    for (uint32_t code = 0; code < (1u << bits); ++code) {
      APFloat expected(format.semantics, llvm::APInt(bits, code));
      bool loses;
      expected.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &loses);
      uint8_t bytes[2] = {static_cast<uint8_t>(code), static_cast<uint8_t>(code >> 8)};
      float value = decodeFloat(format.kind, bytes);
      if (std::isnan(value)) {
        EXPECT_TRUE(expected.isNaN()) << code;
        continue;
      }
      EXPECT_EQ(value, expected.convertToFloat()) << code;
      uint8_t again[2] = {};
      encodeFloat(format.kind, value, again);
      // Infinity saturates like any number that is too large.
      bool saturates = format.kind == ElementKind::E5M2 && std::isinf(value);
      EXPECT_EQ(again[0] | again[1] << 8, static_cast<int>(saturates ? code - 1 : code));
    }
  }
}

TEST(ElementFormats, RoundingIsToNearestEven) {
  std::mt19937 random(1);
  for (const Format &format : formats)
    for (int i = 0; i < 100000; ++i) {
      float value = std::ldexp(static_cast<float>(static_cast<int32_t>(random())),
                               -31 + int(random() % 40) - 30);
      APFloat expected(value);
      bool loses;
      expected.convert(format.semantics, APFloat::rmNearestTiesToEven, &loses);
      float rounded = roundTo(format.kind, value);
      if (expected.isFinite())
        EXPECT_EQ(rounded, expected.convertToFloat()) << value;
    }
}

// Spec N5.
TEST(ElementFormats, EightBitsSaturate) {
  EXPECT_EQ(roundTo(ElementKind::E5M2, 1e9f), 57344.0f);
  EXPECT_EQ(roundTo(ElementKind::E5M2, -INFINITY), -57344.0f);
  EXPECT_TRUE(std::isnan(roundTo(ElementKind::E5M2, NAN)));
  EXPECT_EQ(roundTo(ElementKind::E4M3, 1e9f), 448.0f);
  EXPECT_EQ(roundTo(ElementKind::E4M3, -INFINITY), -448.0f);
  EXPECT_EQ(roundTo(ElementKind::E4M3, 460.0f), 448.0f);
  EXPECT_TRUE(std::isnan(roundTo(ElementKind::E4M3, NAN)));
  EXPECT_EQ(roundTo(ElementKind::F16, 65520.0f), INFINITY);
}

TEST(ElementFormats, IntegersWrap) {
  EXPECT_EQ(wrapInteger(200, 8), -56);
  EXPECT_EQ(wrapInteger(-1, 1), 1);
  EXPECT_EQ(wrapInteger(int64_t(1) << 31, 32), -(int64_t(1) << 31));
}

} // namespace
