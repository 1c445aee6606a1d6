// Values inside a function of a host program: extents, strides, addresses and expressions of them.

#ifndef SAGE_LIB_CONVERSION_SAGEPROGRAMTOGPU_HOSTVALUES_H
#define SAGE_LIB_CONVERSION_SAGEPROGRAMTOGPU_HOSTVALUES_H

#include "HostSignature.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sage {

/// The order of a program's symbols (`sage_tile.program`).
enum class HostSymbol : unsigned {
  B,
  Hq,
  Hkv,
  Nq,
  Nk,
  QueryB,
  KeyB = 8,
  ValueB = 11,
  OutputB = 14,
  Step = 17,
  S,
  QueryAlign,
  KeyAlign,
  ValueAlign,
  OutputAlign,
  BiasB,
  Parts = 27
};

/// Writes at the builder's insertion point, at first the start of the function.
class HostValues : public mlir::ImplicitLocOpBuilder {
public:
  HostValues(mlir::Location loc, const HostSignature &signature, mlir::Block &body);

  /// What a memref argument holds; all are `index`.
  struct View {
    mlir::Value address;
    llvm::SmallVector<mlir::Value> extents, strides;
  };
  const HostSignature &getSignature() const { return signature; }
  const View &getView(unsigned tensor) const { return views[tensor]; }
  /// Where batch, head and token are among the extents of query, key, value and output.
  unsigned getAxis(unsigned batchHeadToken) const;

  mlir::Value getSymbol(HostSymbol symbol) const { return symbols[unsigned(symbol)]; }
  void setStep(mlir::Value step) { symbols[unsigned(HostSymbol::Step)] = step; }
  /// The value of result `index` of `map`, which has no dimensions.
  mlir::Value evaluate(mlir::AffineMap map, unsigned index = 0);

  mlir::Value constant(int64_t value);
  mlir::Value toI64(mlir::Value index);
  /// `value` rounded up to a multiple of `step`, a power of two.
  mlir::Value roundUp(mlir::Value value, int64_t step);

private:
  View readView(mlir::Value memref);
  void setAlignments();

  const HostSignature &signature;
  llvm::SmallVector<View> views;
  llvm::SmallVector<mlir::Value> symbols;
};

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGEPROGRAMTOGPU_HOSTVALUES_H
