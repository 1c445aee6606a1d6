// Passes on sage_tile kernels.

#ifndef SAGE_DIALECT_SAGETILE_TRANSFORMS_PASSES_H
#define SAGE_DIALECT_SAGETILE_TRANSFORMS_PASSES_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/Pass.h"

namespace sage::tile {

#define GEN_PASS_DECL
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"

} // namespace sage::tile

#endif // SAGE_DIALECT_SAGETILE_TRANSFORMS_PASSES_H
