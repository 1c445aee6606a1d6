// The artifact: PTX that describes itself (docs/Artifact.md).

#ifndef SAGE_TARGET_ARTIFACT_H
#define SAGE_TARGET_ARTIFACT_H

#include "mlir/IR/BuiltinOps.h"
#include "sage/Dialect/SageTile/IR/SageTile.h"

#include <string>

namespace sage {

/// The only host program of `module`, or the one called `name`. Reports a missing or an ambiguous
/// one.
mlir::FailureOr<tile::ProgramOp> findProgram(mlir::ModuleOp module, llvm::StringRef name = "");

/// The PTX of the kernels of `program`, whose gpu.module is at the NVVM level (pipeline
/// `sage-to-nvvm`). Kernels are translated in parallel, each as a module of its own, or all as one
/// if not `separately` (debug information has sections of the whole module).
mlir::FailureOr<std::string> emitPtx(tile::ProgramOp program, bool separately = true);

/// An expression as the manifest spells it, JSON text: a dimension is `n`, a symbol one of
/// `sage_tile.program`'s.
std::string printExpression(mlir::AffineExpr expression);

/// The least of the results of `map`.
std::string printMinimum(mlir::AffineMap map);

/// The manifest of `program`: one JSON object, indented.
mlir::FailureOr<std::string> emitManifest(tile::ProgramOp program);

/// The artifact: version, checksum, manifest and PTX.
mlir::FailureOr<std::string> emitArtifact(tile::ProgramOp program);

} // namespace sage

#endif // SAGE_TARGET_ARTIFACT_H
