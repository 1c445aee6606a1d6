// Element types in memory, and the exact float32 values they stand for.

#ifndef SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_ELEMENTFORMATS_H
#define SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_ELEMENTFORMATS_H

#include "mlir/IR/Types.h"

#include <cstdint>
#include <cstring>
#include <optional>

namespace sage::tile::interpreter {

enum class ElementKind : uint8_t { F32, F16, BF16, E4M3, E5M2, I64, I32, I16, I8, I1 };

std::optional<ElementKind> getElementKind(mlir::Type type);
/// Bytes in memory; i1 takes one.
int64_t getElementBytes(ElementKind kind);
inline bool isFloat(ElementKind kind) { return kind <= ElementKind::E5M2; }
/// Bits of an integer type (index counts as 64).
unsigned getIntegerWidth(ElementKind kind);

/// `value` rounded to `kind`: nearest even; e4m3 and e5m2 saturate (Spec N5).
float roundTo(ElementKind kind, float value);

float decodeFloat(ElementKind kind, const uint8_t *bytes);
void encodeFloat(ElementKind kind, float value, uint8_t *bytes);
int64_t decodeInteger(ElementKind kind, const uint8_t *bytes);
void encodeInteger(ElementKind kind, int64_t value, uint8_t *bytes);

/// The low `width` bits of `value` as a signed number (unsigned for one bit).
inline int64_t wrapInteger(int64_t value, unsigned width) {
  if (width >= 64)
    return value;
  if (width == 1)
    return value & 1;
  return static_cast<int64_t>(static_cast<uint64_t>(value) << (64 - width)) >> (64 - width);
}

template <typename To, typename From> To bitCast(const From &from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(To));
  return to;
}

} // namespace sage::tile::interpreter

#endif // SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_ELEMENTFORMATS_H
