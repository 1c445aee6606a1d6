// Random calls: mostly plausible, sometimes with any number in any field.

#ifndef SAGE_TEST_FUZZ_RUNTIME_HOSTILECALL_H
#define SAGE_TEST_FUZZ_RUNTIME_HOSTILECALL_H

#include "Random.h"

#include "sage/runtime/sage.h"

#include <vector>

namespace sage::fuzz {

/// Small extents that agree with the problem; strides dense, of a padded or of a transposed tensor;
/// a bias that repeats along any of its axes. No addresses.
sage_call plausibleCall(Random &random, const sage_problem &problem);
/// One to three fields of `call` get boundary values.
void makeHostile(Random &random, sage_call &call);
/// Offsets of `count` sequences of `tokens`, or lengths of `count` entries: mostly in range.
std::vector<int32_t> randomOffsets(Random &random, int64_t count, int64_t tokens);
std::vector<int32_t> randomLengths(Random &random, int64_t count, int64_t tokens);
/// Elements from the first to the last one of a tensor; -1 if that, or their number, is more than
/// 2^20.
int64_t spanOf(const sage_tensor &tensor);

} // namespace sage::fuzz

#endif
