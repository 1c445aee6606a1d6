// What the functions of a host program take.

#ifndef SAGE_LIB_CONVERSION_SAGEPROGRAMTOGPU_HOSTSIGNATURE_H
#define SAGE_LIB_CONVERSION_SAGEPROGRAMTOGPU_HOSTSIGNATURE_H

#include "mlir/IR/BuiltinTypes.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "sage/Dialect/SageTile/IR/SageTile.h"

namespace sage {

struct HostTensor {
  llvm::StringLiteral name;
  mlir::MemRefType type;
  bool isOutput = false;
};

/// The caller's tensors in the order of the arguments; after them come the workspace and the
/// stream.
struct HostSignature {
  llvm::SmallVector<HostTensor> tensors;
  Layout layout = Layout::HeadMajor;
  int64_t headDim = 0;
  /// B, Hq, Hkv, Nq, Nk; -1 where any extent is accepted.
  llvm::SmallVector<int64_t> shape;
  /// Null where no call is taken in parts (Spec N18).
  GeometryAttr geometryOfParts;
  /// The softmax scale, a float32 number (Spec N8).
  float scale = 1;

  /// Reports a program whose `problem` is incomplete.
  static mlir::FailureOr<HostSignature> get(tile::ProgramOp program);

  llvm::SmallVector<mlir::Type> getTensorTypes() const;
  std::optional<unsigned> find(llvm::StringRef name) const;
};

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGEPROGRAMTOGPU_HOSTSIGNATURE_H
