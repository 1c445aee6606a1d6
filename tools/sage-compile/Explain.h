// --explain: what the attention kernel does, and how fast the chip could do it.

#ifndef SAGE_TOOLS_SAGE_COMPILE_EXPLAIN_H
#define SAGE_TOOLS_SAGE_COMPILE_EXPLAIN_H

#include "sage/CostModel/Prediction.h"

namespace sage {

/// What is known before the kernel is lowered.
struct Explanation {
  LoopWork work;
  KernelShape kernel;
  RatesAttr rates;
};

/// Counts the main loop of the program's attention kernel, which is scheduled and not yet
/// distributed.
mlir::FailureOr<Explanation> countAttention(tile::ProgramOp program);

/// Adds what ptxas says of the kernel; a note on standard error where it is missing.
void addRegisters(llvm::StringRef artifact, llvm::StringRef chip, llvm::StringRef ptxas,
                  Explanation &explanation);

std::string printExplanation(const Explanation &explanation, int64_t clockMegahertz, bool asJson);

} // namespace sage

#endif // SAGE_TOOLS_SAGE_COMPILE_EXPLAIN_H
