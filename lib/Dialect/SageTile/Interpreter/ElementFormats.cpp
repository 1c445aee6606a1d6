// Conversions between element types and float32, by integer arithmetic.

#include "ElementFormats.h"

#include "mlir/IR/BuiltinTypes.h"

#include <array>
#include <cmath>
#include <limits>

using namespace mlir;

namespace sage::tile::interpreter {

std::optional<ElementKind> getElementKind(Type type) {
  if (type.isF32())
    return ElementKind::F32;
  if (type.isF16())
    return ElementKind::F16;
  if (type.isBF16())
    return ElementKind::BF16;
  if (isa<Float8E4M3FNType>(type))
    return ElementKind::E4M3;
  if (isa<Float8E5M2Type>(type))
    return ElementKind::E5M2;
  if (type.isIndex() || type.isInteger(64))
    return ElementKind::I64;
  if (type.isInteger(32))
    return ElementKind::I32;
  if (type.isInteger(16))
    return ElementKind::I16;
  if (type.isInteger(8))
    return ElementKind::I8;
  if (type.isInteger(1))
    return ElementKind::I1;
  return std::nullopt;
}

int64_t getElementBytes(ElementKind kind) {
  switch (kind) {
  case ElementKind::I64:
    return 8;
  case ElementKind::F32:
  case ElementKind::I32:
    return 4;
  case ElementKind::F16:
  case ElementKind::BF16:
  case ElementKind::I16:
    return 2;
  default:
    return 1;
  }
}

unsigned getIntegerWidth(ElementKind kind) {
  return kind == ElementKind::I1 ? 1 : 8 * getElementBytes(kind);
}

/// A small binary float: exponent bias, mantissa bits, largest finite value; subnormals are exact.
static float roundToFormat(float value, int minExponent, int mantissaBits) {
  int exponent;
  std::frexp(value, &exponent);
  // The unit of the last place, in a binade or among the subnormals.
  int unit = std::max(exponent - 1, minExponent) - mantissaBits;
  return std::ldexp(std::nearbyint(std::ldexp(value, -unit)), unit);
}

float roundTo(ElementKind kind, float value) {
  if (kind == ElementKind::F32 || std::isnan(value) || value == 0)
    return value;
  switch (kind) {
  case ElementKind::F16: {
    float rounded = std::isinf(value) ? value : roundToFormat(value, -14, 10);
    return std::abs(rounded) > 65504.0f ? std::copysign(INFINITY, value) : rounded;
  }
  case ElementKind::BF16: {
    uint32_t bits = bitCast<uint32_t>(value);
    return bitCast<float>((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000u);
  }
  case ElementKind::E4M3: {
    float rounded = std::isinf(value) ? value : roundToFormat(value, -6, 3);
    return std::abs(rounded) > 448.0f ? std::copysign(448.0f, value) : rounded;
  }
  case ElementKind::E5M2: {
    float rounded = std::isinf(value) ? value : roundToFormat(value, -14, 2);
    return std::abs(rounded) > 57344.0f ? std::copysign(57344.0f, value) : rounded;
  }
  default:
    return value;
  }
}

static float decodeHalf(uint16_t bits) {
  int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  float magnitude;
  if (exponent == 31)
    magnitude = mantissa ? NAN : INFINITY;
  else if (exponent == 0)
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  else
    magnitude = std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

static float decodeE4M3(uint8_t bits) {
  int exponent = (bits >> 3) & 15, mantissa = bits & 7;
  float magnitude;
  if (exponent == 15 && mantissa == 7)
    magnitude = NAN;
  else if (exponent == 0)
    magnitude = std::ldexp(static_cast<float>(mantissa), -9);
  else
    magnitude = std::ldexp(static_cast<float>(mantissa + 8), exponent - 10);
  return bits & 0x80 ? -magnitude : magnitude;
}

/// The upper half of a float16.
static float decodeE5M2(uint8_t bits) { return decodeHalf(static_cast<uint16_t>(bits << 8)); }

/// Tables make tile decoding cheap.
template <typename Bits, float (*decode)(Bits)> static float lookUp(Bits bits) {
  static const auto table = [] {
    std::array<float, std::numeric_limits<Bits>::max() + 1> values;
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = decode(static_cast<Bits>(i));
    return values;
  }();
  return table[bits];
}

float decodeFloat(ElementKind kind, const uint8_t *bytes) {
  uint16_t half;
  float single;
  switch (kind) {
  case ElementKind::E4M3:
    return lookUp<uint8_t, decodeE4M3>(*bytes);
  case ElementKind::E5M2:
    return lookUp<uint8_t, decodeE5M2>(*bytes);
  case ElementKind::F16:
    std::memcpy(&half, bytes, 2);
    return lookUp<uint16_t, decodeHalf>(half);
  case ElementKind::BF16:
    std::memcpy(&half, bytes, 2);
    return bitCast<float>(static_cast<uint32_t>(half) << 16);
  default:
    std::memcpy(&single, bytes, 4);
    return single;
  }
}

/// Bits of a value that is exact in a format of `mantissaBits` and exponents from `minExponent`.
static uint32_t encodeExact(float value, int minExponent, int mantissaBits) {
  float magnitude = std::abs(value);
  if (magnitude == 0)
    return 0;
  int exponent;
  std::frexp(magnitude, &exponent);
  exponent -= 1;
  if (exponent < minExponent)
    return static_cast<uint32_t>(std::ldexp(magnitude, mantissaBits - minExponent));
  uint32_t mantissa = static_cast<uint32_t>(std::ldexp(magnitude, mantissaBits - exponent));
  return (static_cast<uint32_t>(exponent - minExponent) << mantissaBits) + mantissa;
}

void encodeFloat(ElementKind kind, float value, uint8_t *bytes) {
  uint32_t sign = std::signbit(value) ? 1 : 0;
  float rounded = roundTo(kind, value);
  switch (kind) {
  case ElementKind::E4M3:
    *bytes =
        std::isnan(value) ? 0x7F : static_cast<uint8_t>(sign << 7 | encodeExact(rounded, -6, 3));
    return;
  case ElementKind::E5M2:
    *bytes =
        std::isnan(value) ? 0x7F : static_cast<uint8_t>(sign << 7 | encodeExact(rounded, -14, 2));
    return;
  case ElementKind::F16: {
    uint32_t magnitude = std::isnan(value)     ? 0x7E00
                         : std::isinf(rounded) ? 0x7C00
                                               : encodeExact(rounded, -14, 10);
    uint16_t half = static_cast<uint16_t>(sign << 15 | magnitude);
    std::memcpy(bytes, &half, 2);
    return;
  }
  case ElementKind::BF16: {
    uint16_t half = std::isnan(value) ? 0x7FC0 : bitCast<uint32_t>(rounded) >> 16;
    std::memcpy(bytes, &half, 2);
    return;
  }
  default:
    std::memcpy(bytes, &value, 4);
  }
}

int64_t decodeInteger(ElementKind kind, const uint8_t *bytes) {
  uint64_t bits = 0;
  std::memcpy(&bits, bytes, getElementBytes(kind));
  return wrapInteger(static_cast<int64_t>(bits), getIntegerWidth(kind));
}

void encodeInteger(ElementKind kind, int64_t value, uint8_t *bytes) {
  std::memcpy(bytes, &value, getElementBytes(kind));
}

} // namespace sage::tile::interpreter
