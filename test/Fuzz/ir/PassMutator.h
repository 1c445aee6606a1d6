// Random pipelines of Sage's passes.

#ifndef SAGE_TEST_FUZZ_IR_PASSMUTATOR_H
#define SAGE_TEST_FUZZ_IR_PASSMUTATOR_H

#include "Random.h"

#include <string>

namespace sage::fuzz {

/// For modules with sage.attention. `generated` modules may go as far as PTX; upstream's code
/// generator aborts on much of what mutation makes (docs/Robustness.md, "code generation").
std::string randomAttentionPipeline(Random &random, bool generated);
/// For modules with tile kernels: tile passes in any order, with any options.
std::string randomKernelPipeline(Random &random);

} // namespace sage::fuzz

#endif
