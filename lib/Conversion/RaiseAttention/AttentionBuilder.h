// Writes the sage.attention that a match stands for.

#ifndef SAGE_CONVERSION_RAISEATTENTION_ATTENTIONBUILDER_H
#define SAGE_CONVERSION_RAISEATTENTION_ATTENTIONBUILDER_H

#include "Masks.h"

namespace sage::raising {

struct RaisingOptions {
  RecipeAttr recipe;
  /// Element type of operands that are neither f16 nor bf16.
  mlir::Type narrowType;
  bool strict = false;
};

/// Builds the attention before the op of `match.root`; the value that replaces the root, or null
/// and `obstacle`.
mlir::Value buildAttention(ElementReader &reader, AttentionMatch &match,
                           const RaisingOptions &options, Obstacle &obstacle);

} // namespace sage::raising

#endif // SAGE_CONVERSION_RAISEATTENTION_ATTENTIONBUILDER_H
