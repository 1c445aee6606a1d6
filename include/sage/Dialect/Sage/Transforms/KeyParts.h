// In how many parts the key tiles of a call are taken, as code.

#ifndef SAGE_DIALECT_SAGE_TRANSFORMS_KEYPARTS_H
#define SAGE_DIALECT_SAGE_TRANSFORMS_KEYPARTS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"

namespace sage {

/// What `GeometryAttr::countKeyParts` says of extents that are known when the code runs (Spec N18):
/// `extents` are B, Hq, Hkv, Nq and Nk, all `index` as is the result.
mlir::Value emitKeyParts(mlir::ImplicitLocOpBuilder &b, GeometryAttr geometry,
                         mlir::ValueRange extents);

} // namespace sage

#endif // SAGE_DIALECT_SAGE_TRANSFORMS_KEYPARTS_H
