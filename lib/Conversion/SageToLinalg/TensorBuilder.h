// Builds linalg ops on small tensors; extents are attributes where they are known.

#ifndef SAGE_LIB_CONVERSION_SAGETOLINALG_TENSORBUILDER_H
#define SAGE_LIB_CONVERSION_SAGETOLINALG_TENSORBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sage {

using Extents = llvm::ArrayRef<mlir::OpFoldResult>;

class TensorBuilder : public mlir::ImplicitLocOpBuilder {
public:
  /// Computes one scalar from the inputs' elements at a point.
  using PointBody = llvm::function_ref<mlir::Value(TensorBuilder &, mlir::ValueRange elements)>;

  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  mlir::Value constant(float value) {
    return mlir::arith::ConstantOp::create(*this, getF32FloatAttr(value));
  }
  mlir::Value constantI32(int32_t value) {
    return mlir::arith::ConstantOp::create(*this, getI32IntegerAttr(value));
  }
  mlir::Value index(mlir::OpFoldResult value);
  /// The value of `map` at the operands, folded where they are constants.
  mlir::OpFoldResult apply(mlir::AffineMap map, Extents operands);

  mlir::OpFoldResult extent(mlir::Value tensor, int64_t dimension);
  mlir::SmallVector<mlir::OpFoldResult> extents(mlir::Value tensor);
  mlir::Value empty(Extents extents, mlir::Type element);
  mlir::Value filled(Extents extents, mlir::TypedAttr value);
  mlir::Value filled(Extents extents, float value) {
    return filled(extents, getF32FloatAttr(value));
  }

  /// The `sizes` elements from `offsets`, of rank `shape.size()`: `shape` are the sizes that are
  /// not dropped.
  mlir::Value slice(mlir::Value tensor, Extents offsets, Extents sizes, Extents shape);
  /// Rows first to first + count of a rank-2 tensor, or elements of a rank-1 tensor.
  mlir::Value rows(mlir::Value tensor, mlir::OpFoldResult first, mlir::OpFoldResult count);
  mlir::Value insertRows(mlir::Value rows, mlir::Value tensor, mlir::OpFoldResult first);

  /// A tensor of `extents` whose elements `body` computes. `maps` say which element of each input a
  /// point reads.
  mlir::Value generate(Extents extents, mlir::Type element, mlir::ValueRange inputs,
                       llvm::ArrayRef<mlir::AffineMap> maps, PointBody body);
  /// The same for inputs of the extents of the first.
  mlir::Value elementwise(mlir::Type element, mlir::ValueRange inputs, PointBody body);
  /// Overwrites `destination`: `body` gets the inputs' elements and the old one. Loops carry their
  /// tensors through such updates, so that they stay in one buffer.
  mlir::Value update(mlir::Value destination, mlir::ValueRange inputs,
                     llvm::ArrayRef<mlir::AffineMap> maps, PointBody body);
  /// destination + addend.
  mlir::Value add(mlir::Value destination, mlir::Value addend);
  /// Folds a rank-2 tensor into the rank-1 `init`: its columns, or with `overRows` its rows, in
  /// increasing order. `body` gets an element and the accumulator.
  mlir::Value fold(mlir::Value input, mlir::Value init, PointBody body, bool overRows = false);
  /// init[i, j] + Σ_d lhs[i, d]·rhs[j, d], operands widened to init's type.
  mlir::Value multiplyTransposed(mlir::Value lhs, mlir::Value rhs, mlir::Value init);
  /// init[i, j] + Σ_k lhs[i, k]·rhs[k, j].
  mlir::Value multiply(mlir::Value lhs, mlir::Value rhs, mlir::Value init);
  /// Widens floats to f32, and converts integers.
  mlir::Value toF32(mlir::Value tensor);
  /// The same tensor with other known extents.
  mlir::Value castTo(mlir::Type type, mlir::Value tensor);

  /// Inside a point body: the point's coordinate.
  mlir::Value coordinate(int64_t dimension) {
    return mlir::linalg::IndexOp::create(*this, dimension);
  }
  mlir::Value read(mlir::Value tensor, mlir::ValueRange indices) {
    return mlir::tensor::ExtractOp::create(*this, tensor, indices);
  }
};

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOLINALG_TENSORBUILDER_H
