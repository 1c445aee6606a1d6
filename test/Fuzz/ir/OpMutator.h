// Mutations of a parsed module, without regard for what ops mean.

#ifndef SAGE_TEST_FUZZ_IR_OPMUTATOR_H
#define SAGE_TEST_FUZZ_IR_OPMUTATOR_H

#include "Random.h"

#include "mlir/IR/BuiltinOps.h"

namespace sage::fuzz {

/// One to three changes: ops erased, doubled, moved; operands, attributes and types exchanged for
/// others of the module. What results has every structure that the verifier may see, but is mostly
/// invalid.
void mutateOps(Random &random, mlir::ModuleOp module);

} // namespace sage::fuzz

#endif
