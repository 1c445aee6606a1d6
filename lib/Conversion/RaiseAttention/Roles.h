// What the loops of an attention's output stand for: batch, heads, queries, channels.

#ifndef SAGE_CONVERSION_RAISEATTENTION_ROLES_H
#define SAGE_CONVERSION_RAISEATTENTION_ROLES_H

#include "AttentionMatcher.h"

namespace sage::raising {

using Loops = llvm::SmallVector<unsigned, 4>;

/// The loops that every dimension of a tensor runs over, in row-major order.
using Dimensions = llvm::SmallVector<Loops, 4>;

/// The elements from which an operand can be taken: that of the product, and those it was moved or
/// converted from.
using Sources = llvm::SmallVector<Element, 8>;

struct Roles {
  /// The loops of every dimension of the output, after loops over several dimensions at once have
  /// been taken apart.
  Dimensions output;
  /// Loops that are one dimension of an operand, in row-major order; none stands for an extent
  /// of 1.
  Loops batch, keyHeads, groups, query, valueChannel;
  Sources querySources, keySources, valueSources;

  /// As these roles, but with one of the groups as the queries.
  Roles withQuery(unsigned loop) const;

  /// Query heads: those of keys, and the queries that share one.
  Loops getQueryHeads() const;
};

/// Takes loops over several dimensions apart, in `match` too, and assigns the roles; nothing, and
/// `obstacle`, where the operands do not fit together as those of an attention.
std::optional<Roles> assignRoles(ElementReader &reader, AttentionMatch &match, Obstacle &obstacle);

/// The elements of tensors that `element` is moved from or converted from, and multiplied with
/// constants if `skipsFactors`.
Sources collectSources(ElementReader &reader, Element element, bool skipsFactors);

} // namespace sage::raising

#endif // SAGE_CONVERSION_RAISEATTENTION_ROLES_H
