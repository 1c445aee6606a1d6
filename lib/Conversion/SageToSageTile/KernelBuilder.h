// Writes one kernel: its parameters together with the launch arguments that feed them, and its
// body.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_KERNELBUILDER_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_KERNELBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "sage/Dialect/SageTile/IR/SageTile.h"

namespace sage {

/// The symbols of a host program's expressions, in the order that `sage_tile.program` documents.
enum class Symbol : unsigned {
  B,
  Hq,
  Hkv,
  Nq,
  Nk,
  QueryB,
  QueryH,
  QueryN,
  KeyB,
  KeyH,
  KeyN,
  ValueB,
  ValueH,
  ValueN,
  OutputB,
  OutputH,
  OutputN,
  Step,
  S,
  QueryAlign,
  KeyAlign,
  ValueAlign,
  OutputAlign,
  BiasB,
  BiasH,
  BiasQ,
  BiasK,
  Parts,
  Count
};

inline mlir::AffineExpr getSymbol(mlir::MLIRContext *context, Symbol symbol) {
  return mlir::getAffineSymbolExpr(static_cast<unsigned>(symbol), context);
}

/// An expression over the symbols as a map without dimensions.
inline mlir::AffineMap getSymbolMap(mlir::AffineExpr value) {
  return mlir::AffineMap::get(0, static_cast<unsigned>(Symbol::Count), value);
}

/// Which elements a load or a store accesses, and how; see `sage_tile.load`.
struct Access {
  mlir::Value limit, columnLimit, aligned;
  /// 0: all columns of the fragment.
  int64_t columns = 0;
  mlir::AffineMap map;
};

class KernelBuilder : public mlir::ImplicitLocOpBuilder {
public:
  /// Creates the kernel at the builder's insertion point and moves into its (empty) body.
  KernelBuilder(mlir::Location loc, mlir::OpBuilder &builder, mlir::StringRef name, tile::Unit unit,
                int64_t units);

  tile::KernelOp getKernel() { return kernel; }
  mlir::ArrayAttr getLaunchArguments() { return getArrayAttr(launchArguments); }

  // Parameters. Each call adds one to the kernel and to the launch.

  /// A caller's tensor `name` (query, key, value, output) [b, h, n, d] of run-time strides; `first`
  /// is the symbol of its batch stride. Once for each name.
  mlir::Value addTensor(mlir::StringRef name, mlir::Type elementType, int64_t channels,
                        Symbol first);
  /// A caller's tensor with a run-time stride for each dimension.
  mlir::Value addStrided(mlir::StringRef name, mlir::Type elementType,
                         mlir::ArrayRef<Symbol> strides);
  /// Types of buffers of float32: a table of rows of `columns` numbers, and numbers without a row
  /// structure.
  mlir::MemRefType getTable(int64_t columns) {
    return mlir::MemRefType::get({mlir::ShapedType::kDynamic, columns}, getF32Type());
  }
  mlir::MemRefType getVector() {
    return mlir::MemRefType::get({mlir::ShapedType::kDynamic}, getF32Type());
  }
  /// A contiguous buffer of the caller or of the workspace. Once for each name and type.
  mlir::Value addBuffer(mlir::StringRef name, mlir::MemRefType type);
  /// A buffer of rows that are `rowStride` elements apart.
  mlir::Value addRows(mlir::StringRef name, mlir::Type elementType, mlir::AffineExpr rowStride);
  /// An integer, as index in the body. Once for each expression.
  mlir::Value addInteger(mlir::AffineExpr value);
  /// Whether rows of the tensor with the alignment `symbol` are aligned to 16 bytes.
  mlir::Value addAlignment(Symbol symbol);
  /// (float) (factor · softmax scale).
  mlir::Value addScale(double factor);
  mlir::Value addTensorMap(tile::TensorMapArgAttr description);

  // Scalars.

  mlir::Value index(int64_t value) { return mlir::arith::ConstantIndexOp::create(*this, value); }
  mlir::Value f32(float value);
  mlir::Value add(mlir::Value a, mlir::Value b) { return mlir::arith::AddIOp::create(*this, a, b); }
  mlir::Value sub(mlir::Value a, mlir::Value b) { return mlir::arith::SubIOp::create(*this, a, b); }
  mlir::Value mul(mlir::Value a, mlir::Value b) { return mlir::arith::MulIOp::create(*this, a, b); }
  mlir::Value mul(mlir::Value a, int64_t b) { return mul(a, index(b)); }
  /// Quotient and remainder of values that fit 31 bits and are not negative.
  std::pair<mlir::Value, mlir::Value> divide(mlir::Value a, mlir::Value b);
  mlir::Value ceilDivide(mlir::Value a, int64_t b);
  mlir::Value toI32(mlir::Value index);
  /// The scale, or its inverse, of a group whose largest magnitude is `magnitude`: 1 (0) for a
  /// group of zeros, NaN for one that is not finite (Spec N4, N5, P1).
  mlir::Value getScale(mlir::Value magnitude, float range, bool inverse);

  /// Waits for the launches before this one, or lets the next one start, where launches overlap.
  void awaitGrid(bool overlaps);
  void releaseGrid(bool overlaps);
  /// Runs `body` where `condition` holds; always where it is null.
  void when(mlir::Value condition, llvm::function_ref<void()> body);
  /// Runs one of two.
  void choose(mlir::Value condition, llvm::function_ref<void()> body,
              llvm::function_ref<void()> otherwise);

  // Fragments.

  /// Runs `body` on the elements of `inputs`; see `sage_tile.map`.
  mlir::Value map(tile::FragmentType result, mlir::ValueRange inputs,
                  mlir::ArrayRef<mlir::AffineMap> maps,
                  llvm::function_ref<mlir::Value(mlir::ValueRange)> body, bool positions = false);
  /// Operands of extent 1 are broadcast.
  mlir::Value map(tile::FragmentType result, mlir::ValueRange inputs,
                  llvm::function_ref<mlir::Value(mlir::ValueRange)> body) {
    return map(result, inputs, {}, body);
  }
  mlir::Value splat(tile::FragmentType type, float value) {
    return tile::SplatOp::create(*this, type, f32(value));
  }
  mlir::Value load(tile::FragmentType type, mlir::Value source, mlir::ValueRange indices,
                   const Access &access);
  mlir::Value load(tile::FragmentType type, mlir::Value source, mlir::ValueRange indices,
                   mlir::Value limit = {}, mlir::AffineMap map = {}) {
    return load(type, source, indices, Access{limit, {}, {}, 0, map});
  }
  void store(mlir::Value value, mlir::Value target, mlir::ValueRange indices, const Access &access);
  void store(mlir::Value value, mlir::Value target, mlir::ValueRange indices,
             mlir::Value limit = {}, mlir::AffineMap map = {}) {
    store(value, target, indices, Access{limit, {}, {}, 0, map});
  }
  mlir::Value reduce(tile::ReduceKind kind, mlir::Value source, tile::FragmentType result,
                     mlir::AffineMap map = {});
  mlir::Value convert(mlir::Value source, tile::FragmentType type, mlir::AffineMap order = {});

private:
  mlir::BlockArgument addParameter(mlir::Type type,
                                   llvm::ArrayRef<mlir::NamedAttribute> attributes = {});
  /// Memory of the caller.
  mlir::BlockArgument addInput(mlir::Type type);

  tile::KernelOp kernel;
  llvm::SmallVector<mlir::Attribute> launchArguments;
  llvm::SmallVector<mlir::DictionaryAttr> parameterAttributes;
  llvm::DenseMap<mlir::AffineExpr, mlir::Value> integers;
  llvm::DenseMap<std::pair<mlir::StringAttr, mlir::Type>, mlir::Value> memories;
};

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_KERNELBUILDER_H
