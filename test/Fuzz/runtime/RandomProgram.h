// Programs for the CPU reference.

#ifndef SAGE_TEST_FUZZ_RUNTIME_RANDOMPROGRAM_H
#define SAGE_TEST_FUZZ_RUNTIME_RANDOMPROGRAM_H

#include "Random.h"

#include "sage/runtime/sage.h"

namespace sage::fuzz {

/// A named recipe with small head dims and blocks, any mask, groups and element type.
sage_program randomProgram(Random &random);
/// Gives one field a value that it must not have, or that breaks arithmetic.
void makeHostile(Random &random, sage_program &program);

} // namespace sage::fuzz

#endif
