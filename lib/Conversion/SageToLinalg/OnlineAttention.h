// The attention of one head: an online softmax over key tiles (Spec N7 to N15, N18).

#ifndef SAGE_LIB_CONVERSION_SAGETOLINALG_ONLINEATTENTION_H
#define SAGE_LIB_CONVERSION_SAGETOLINALG_ONLINEATTENTION_H

#include "HeadLoop.h"

#include "sage/Dialect/Sage/IR/SageAttributes.h"

namespace sage {

/// The operands of one query head. Scales are one for each token, values are decoded and in token
/// order.
struct AttentionHead {
  mlir::Value query;           // [Nq, D], any element type
  mlir::Value key;             // [Nk, D]
  mlir::Value value;           // [Nk, Dv] f32
  mlir::Value queryScales;     // [Nq]
  mlir::Value keyScales;       // [Nk]
  mlir::Value valueScales;     // [Dv]
  mlir::Value scoreCorrection; // [blocks, Nk]; null without smooth Q
  mlir::Value lseCorrection;   // [Nq]; null without smooth K
  mlir::Value valueMean;       // [1, Dv]; null without smooth V
  mlir::Value bias;            // of all heads, in the tensor's own extents; null without
  mlir::Value sink;            // a scalar; null without
  Head position{};             // of the query head
};

/// What holds for all heads.
struct AttentionNumerics {
  RecipeAttr recipe;
  GeometryAttr geometry;
  Mask mask;
  std::optional<int64_t> windowLeft, windowRight;
  int64_t sinkTokens;
  std::optional<float> softcap;
  float scale;
  mlir::FloatType elementType; // of O
  mlir::Value partTiles;       // key tiles of a part; null: all are one part
};

struct AttentionResult {
  mlir::Value output; // [Nq, Dv]
  mlir::Value lse;    // [Nq]
};

AttentionResult attend(TensorBuilder &b, const AttentionNumerics &numerics,
                       const AttentionHead &head);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOLINALG_ONLINEATTENTION_H
