//===- CallEntry.h - what lengths and sequences mean ------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_CALLENTRY_H
#define SAGE_RUNTIME_LIB_CALLENTRY_H

#include "CallCheck.h"

namespace sage::runtime {

/// Where the rows of an entry's call lie among those of the call it is a part
/// of: row i of head h (counted through its batch) is first + h·headStride + i.
struct RowPlacement {
  int64_t first = 0, headStride = 0;
};

/// One batch entry that ends at its key length, or one sequence, as a call
/// without either (Spec N16, N17).
struct CallEntry {
  sage_problem problem;
  sage_call call; // its lse is null: a sequence's rows are not contiguous
  RowPlacement rows;
};

inline bool hasEntries(const sage_problem &problem) {
  return problem.key_lengths || problem.packed;
}
/// 1 where there are neither lengths nor sequences.
int64_t countEntries(const sage_problem &problem, const sage_call &call);
/// Reads lengths and offsets, which must be in host memory.
CallEntry entryOf(const sage_problem &problem, const sage_call &call, int64_t entry);

} // namespace sage::runtime

#endif
