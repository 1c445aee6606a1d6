// The runtime's enumerations and the dialect's have equal values.

#ifndef SAGE_LIB_CAPI_ENUMERATORS_H
#define SAGE_LIB_CAPI_ENUMERATORS_H

#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "sage/runtime/sage.h"

#define SAGE_CHECK_ENUMERATOR(CPP, C) static_assert(static_cast<int>(CPP) == static_cast<int>(C))
SAGE_CHECK_ENUMERATOR(sage::ScoreType::Int8, SAGE_SCORE_INT8);
SAGE_CHECK_ENUMERATOR(sage::ScoreType::Int4, SAGE_SCORE_INT4);
SAGE_CHECK_ENUMERATOR(sage::ScoreType::E4M3, SAGE_SCORE_E4M3);
SAGE_CHECK_ENUMERATOR(sage::ScoreType::F16, SAGE_SCORE_F16);
SAGE_CHECK_ENUMERATOR(sage::Granularity::PerTensor, SAGE_PER_TENSOR);
SAGE_CHECK_ENUMERATOR(sage::Granularity::PerBlock, SAGE_PER_BLOCK);
SAGE_CHECK_ENUMERATOR(sage::Granularity::PerWarp, SAGE_PER_WARP);
SAGE_CHECK_ENUMERATOR(sage::Granularity::PerThread, SAGE_PER_THREAD);
SAGE_CHECK_ENUMERATOR(sage::Granularity::PerToken, SAGE_PER_TOKEN);
SAGE_CHECK_ENUMERATOR(sage::PvType::E4M3, SAGE_VALUE_E4M3);
SAGE_CHECK_ENUMERATOR(sage::PvType::E5M2, SAGE_VALUE_E5M2);
SAGE_CHECK_ENUMERATOR(sage::PvType::F16, SAGE_VALUE_F16);
SAGE_CHECK_ENUMERATOR(sage::Accumulation::Single, SAGE_SINGLE_LEVEL);
SAGE_CHECK_ENUMERATOR(sage::Accumulation::TwoLevel, SAGE_TWO_LEVEL);
SAGE_CHECK_ENUMERATOR(sage::InnerType::F32, SAGE_INNER_F32);
SAGE_CHECK_ENUMERATOR(sage::InnerType::F16, SAGE_INNER_F16);
SAGE_CHECK_ENUMERATOR(sage::RowSum::Float, SAGE_ROW_SUM_FLOAT);
SAGE_CHECK_ENUMERATOR(sage::RowSum::Quantized, SAGE_ROW_SUM_QUANTIZED);
SAGE_CHECK_ENUMERATOR(sage::Rotation::None, SAGE_ROTATE_NONE);
SAGE_CHECK_ENUMERATOR(sage::Rotation::Hadamard, SAGE_ROTATE_HADAMARD);
SAGE_CHECK_ENUMERATOR(sage::ScoreRange::Full, SAGE_RANGE_FULL);
SAGE_CHECK_ENUMERATOR(sage::ScoreRange::Clipped, SAGE_RANGE_CLIPPED);
SAGE_CHECK_ENUMERATOR(sage::Layout::HeadMajor, SAGE_HEAD_MAJOR);
SAGE_CHECK_ENUMERATOR(sage::Layout::TokenMajor, SAGE_TOKEN_MAJOR);
SAGE_CHECK_ENUMERATOR(sage::Mask::None, SAGE_MASK_NONE);
SAGE_CHECK_ENUMERATOR(sage::Mask::CausalTopLeft, SAGE_MASK_CAUSAL_TOP_LEFT);
SAGE_CHECK_ENUMERATOR(sage::Mask::CausalBottomRight, SAGE_MASK_CAUSAL_BOTTOM_RIGHT);
SAGE_CHECK_ENUMERATOR(sage::Mask::WindowTopLeft, SAGE_MASK_WINDOW_TOP_LEFT);
SAGE_CHECK_ENUMERATOR(sage::Mask::WindowBottomRight, SAGE_MASK_WINDOW_BOTTOM_RIGHT);
#undef SAGE_CHECK_ENUMERATOR

namespace sage {

/// The enumerator of a value that a C caller gave; nothing when there is none.
inline std::optional<ScoreType> getEnumerator(sage_score_type value) {
  return symbolizeScoreType(static_cast<uint32_t>(value));
}
inline std::optional<Granularity> getEnumerator(sage_granularity value) {
  return symbolizeGranularity(static_cast<uint32_t>(value));
}
inline std::optional<PvType> getEnumerator(sage_value_type value) {
  return symbolizePvType(static_cast<uint32_t>(value));
}
inline std::optional<Accumulation> getEnumerator(sage_accumulation value) {
  return symbolizeAccumulation(static_cast<uint32_t>(value));
}
inline std::optional<InnerType> getEnumerator(sage_inner value) {
  return symbolizeInnerType(static_cast<uint32_t>(value));
}
inline std::optional<RowSum> getEnumerator(sage_row_sum value) {
  return symbolizeRowSum(static_cast<uint32_t>(value));
}
inline std::optional<Rotation> getEnumerator(sage_rotation value) {
  return symbolizeRotation(static_cast<uint32_t>(value));
}
inline std::optional<ScoreRange> getEnumerator(sage_score_range value) {
  return symbolizeScoreRange(static_cast<uint32_t>(value));
}
inline std::optional<Layout> getEnumerator(sage_layout value) {
  return symbolizeLayout(static_cast<uint32_t>(value));
}
inline std::optional<Mask> getEnumerator(sage_mask value) {
  return symbolizeMask(static_cast<uint32_t>(value));
}

} // namespace sage

#endif // SAGE_LIB_CAPI_ENUMERATORS_H
