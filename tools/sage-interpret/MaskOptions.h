// Options that choose the operands besides Q, K and V.

#ifndef SAGE_INTERPRET_MASKOPTIONS_H
#define SAGE_INTERPRET_MASKOPTIONS_H

#include "MaskInputs.h"

#include "llvm/Support/CommandLine.h"

namespace sage::interpret {

struct MaskOptions {
  explicit MaskOptions(llvm::cl::OptionCategory &category);

  /// Fills `choice`, and draws the operands that `problem` has. Returns an empty text or what is
  /// wrong.
  std::string makeOperands(const sage_problem &problem, const evaluation::CallShape &shape,
                           evaluation::MaskChoice choice, uint64_t seed,
                           evaluation::MaskInputs &operands) const;

  llvm::cl::opt<std::string> keyLengths, sequences, sinks, biasFile;
};

} // namespace sage::interpret

#endif // SAGE_INTERPRET_MASKOPTIONS_H
