// Runs one level of an attention on the CPU.

#ifndef SAGE_CHECK_LEVELS_EXECUTION_H
#define SAGE_CHECK_LEVELS_EXECUTION_H

#include "Problem.h"

#include "sage/Dialect/SageTile/IR/SageTile.h"

namespace sage::check {

enum class Means { None, Lengths, Decomposition, Interpreter };

/// How `module` can be executed: by decomposition while it has sage ops whose geometry is fixed, by
/// the interpreter once it has tile kernels on fragments. Lengths: it has sage ops with key lengths
/// or sequences below sage.attention, which nothing executes (sage-unpack-sequences).
Means findMeans(mlir::ModuleOp module);

/// Fills the outputs of `tensors`. `module` is used up by a decomposition. Returns an empty text or
/// what is wrong; diagnostics go to the context.
std::string execute(mlir::ModuleOp module, Means means, interpret::Tensors &tensors,
                    uint64_t scheduleSeed);

/// Compiles `module`, which has tile kernels, to an artifact and launches it on a device.
std::string executeArtifact(mlir::ModuleOp module, interpret::Tensors &tensors, int32_t device,
                            const std::string &driver);

} // namespace sage::check

#endif // SAGE_CHECK_LEVELS_EXECUTION_H
