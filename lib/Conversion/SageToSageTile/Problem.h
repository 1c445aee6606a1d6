// What kernels are generated from, and what both sides of the workspace derive from it: padding,
// storage types, scale groups.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_PROBLEM_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_PROBLEM_H

#include "sage/Dialect/Sage/IR/SageOps.h"

#include <optional>
#include <string>

namespace sage {

/// How many scales the tokens of a head have: `groups` for every `tokens` of them.
struct ScaleGroups {
  int64_t groups;
  /// 0: all tokens of the head.
  int64_t tokens;

  bool coversHead() const { return tokens == 0; }
};

/// The attributes of the op; none of its extents but the head dims.
struct Problem {
  RecipeAttr recipe;
  GeometryAttr geometry;
  ScheduleAttr schedule;
  TargetAttr target;
  Mask mask;
  int64_t headDim, valueHeadDim;
  mlir::Type elementType;
  bool hasLse;
  /// B, Hq, Hkv, Nq, Nk; kDynamic where any extent is accepted.
  llvm::SmallVector<int64_t> shape;
  /// Null for 1/sqrt(head dim).
  mlir::FloatAttr scale;
  Layout layout;
  /// What hides keys, ends sequences and changes scores (Spec N13 to N17); null where absent. A
  /// boolean bias is i1.
  mlir::Type bias;
  mlir::IntegerAttr windowLeft, windowRight, sinkTokens;
  mlir::FloatAttr softcap;
  bool hasKeyLengths = false, hasSinks = false, isPacked = false;

  /// The chunk of tokens that a partial sum covers (Spec N1).
  static constexpr int64_t chunkTokens = 256;
  /// Tokens that share a query scale block: the rows of one warp.
  static constexpr int64_t warpRows = 16;
  static constexpr double log2OfE = 1.4426950408889634;

  /// Columns of Q and K (of V and O) in the workspace: the smallest of 64, 128, 192, 256 that holds
  /// the head dim. Columns past the head dim are zero.
  int64_t getPaddedHeadDim() const { return padHeadDim(headDim); }
  int64_t getPaddedValueHeadDim() const { return padHeadDim(valueHeadDim); }

  int64_t getKeyTile() const { return geometry.getKeyTile(); }
  int64_t getQueryTile() const { return schedule.getBlockRows(); }
  /// Whether the numbers depend on the blocks of queries.
  bool usesQueryBlocks() const {
    return recipe.smoothsQuery() || recipe.getGranularity() == Granularity::PerBlock;
  }
  /// The workspace has a multiple of this many query rows a head: whole query tiles and, where they
  /// matter, whole query blocks, of which one holds a whole number of the other.
  int64_t getQueryPadding() const {
    return usesQueryBlocks() ? std::max(getQueryTile(), geometry.getQueryBlock()) : getQueryTile();
  }
  /// Keys that a query sees past its own (Spec N13); nothing where no key past it is hidden.
  std::optional<int64_t> getRightBound() const;
  /// Whether a query's own key is counted from the last one.
  bool isBottomRight() const {
    return mask == Mask::CausalBottomRight || mask == Mask::WindowBottomRight;
  }

  /// Whether the keys of a call may be taken in parts (Spec N18).
  bool splitsKeys() const { return geometry.getKeyParts() && !isPacked; }

  /// Whether the attention kernel quantizes Q, from the caller's tensor (Spec S13).
  bool quantizesQueryInKernel() const { return schedule.quantizesQueryOf(recipe); }

  /// Whether the attention reads what centring K removed (Spec M7).
  bool correctsLse() const { return recipe.smoothsKey() && (hasLse || softcap || hasSinks); }

  /// Whether Q and K are stored as two 4-bit integers a byte: where the target multiplies them.
  bool packsNibbles() const { return recipe.getQk() == ScoreType::Int4 && target.getInt4Mma(); }
  /// Whether 4-bit integers are stored as E4M3 numbers, which hold them exactly: on the
  /// instructions where their products have the rate of 8-bit integers' and end as floats. Sums
  /// stay below 2^14, which 14 bits of an accumulator hold exactly (Spec N8).
  bool multipliesAsFloats() const {
    return recipe.getQk() == ScoreType::Int4 && schedule.getFamily() == Family::Wgmma &&
           target.getE4m3Mma();
  }
  /// Element type of Q and K in the workspace, elements and bytes of one row.
  mlir::Type getScoreType() const;
  int64_t getScoreColumns() const { return getPaddedHeadDim() / (packsNibbles() ? 2 : 1); }
  int64_t getScoreRowBytes() const;
  /// Scales of quantized Q and K (Spec N3).
  ScaleGroups getQueryGroups() const;
  ScaleGroups getKeyGroups() const;

  /// Element type of V in the workspace, and the bytes of one element.
  mlir::Type getValueType() const;
  int64_t getValueBytes() const;

  static int64_t padHeadDim(int64_t headDim) { return (headDim + 63) / 64 * 64; }
};

/// Why kernels do not cover a problem, and what does.
struct Refusal {
  std::string what, remedy;
};

/// What the preparation kernels do not cover of `problem`; the attention kernel covers what its
/// schedule does.
std::optional<Refusal> findUnsupportedPreparation(const Problem &problem);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_PROBLEM_H
