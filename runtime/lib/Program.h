//===- Program.h - problem, recipe and geometry, checked --------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_PROGRAM_H
#define SAGE_RUNTIME_LIB_PROGRAM_H

#include "Expression.h"

#include <cstring>

namespace sage::runtime {

/// V is permuted within runs of this many tokens (Spec N6).
constexpr int64_t valueOrderGroup = 16;

/// A geometry with its maps parsed.
struct Geometry {
  int64_t queryBlock = 0;
  int64_t keyTile = 0;
  Expression queryGroups, keyGroups, valueOrder;
  bool hasParts = false;
  Expression keyParts;

  static Status create(const sage_geometry &plain, Geometry &result);
  /// In how many parts the key tiles of a call are taken (Spec N18); `symbols`
  /// has its extents.
  Status countKeyParts(const sage_problem &problem, const SymbolValues &symbols,
                       int64_t &parts) const;
};

/// The number in an enumeration that a caller filled in. Callers in C and Python
/// can store any, which C++ must not read as the enumeration.
template <typename Enumeration> int numberOf(const Enumeration &value) {
  static_assert(sizeof(Enumeration) == sizeof(int));
  int number;
  std::memcpy(&number, &value, sizeof(number));
  return number;
}

/// The checks that a manifest and a hand-made program share.
Status checkProblem(const sage_problem &problem);
Status checkRecipe(const sage_recipe &recipe);
Status checkGeometry(const Geometry &geometry);

/// The softmax scale of a call: its own, or what `problem` means (whose 0 is 1/√head_dim).
double resolvedScale(const sage_problem &problem, const sage_call &call);

} // namespace sage::runtime

#endif
