// Runs ptxas on an artifact and reads its report.

#ifndef SAGE_TOOLS_SAGE_COMPILE_ASSEMBLER_H
#define SAGE_TOOLS_SAGE_COMPILE_ASSEMBLER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace sage {

struct AssembledKernel {
  std::string name;
  int registers = 0, stackBytes = 0, spillStoreBytes = 0, spillLoadBytes = 0;
};

struct Assembly {
  std::string cubin;
  std::vector<AssembledKernel> kernels;
  /// Warnings of the C75xx kind: ptxas serialized matrix products or ignored a register count.
  std::vector<std::string> warnings;
};

/// Assembles `ptx` for `chip`. `ptxas` names the program; empty looks for it on PATH and in the
/// CUDA toolkit's usual folder.
llvm::Expected<Assembly> assemble(llvm::StringRef ptx, llvm::StringRef chip,
                                  llvm::StringRef ptxas = "");

} // namespace sage

#endif // SAGE_TOOLS_SAGE_COMPILE_ASSEMBLER_H
