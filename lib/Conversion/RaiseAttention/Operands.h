// Operands of an attention, rank 4, from tensors whose dimensions are in another order, joined or
// taken apart.

#ifndef SAGE_CONVERSION_RAISEATTENTION_OPERANDS_H
#define SAGE_CONVERSION_RAISEATTENTION_OPERANDS_H

#include "Roles.h"

#include "mlir/IR/Builders.h"

namespace sage::raising {

class OperandBuilder {
public:
  /// Of a transpose; that of a reshape is 1.
  static constexpr int movingCost = 10;

  OperandBuilder(ElementReader &reader, mlir::OpBuilder &builder, mlir::Location loc)
      : reader(reader), builder(builder), loc(loc) {}

  /// The loops of the dimensions of the tensor that `element` is one of, if every dimension runs
  /// over loops completely, and no loop is in two.
  std::optional<Dimensions> getDimensions(const Element &element);

  /// What `build` would need: 0 for nothing; nothing where it cannot.
  std::optional<int> getCost(llvm::ArrayRef<Element> sources, const Dimensions &wanted) {
    Choice choice = choose(sources, wanted, /*mayLack=*/false);
    return choice.source ? std::optional(choice.cost) : std::nullopt;
  }

  /// Of `sources`, the tensor that needs the least to have the dimensions `wanted`; null if none
  /// can. 16-bit ones are preferred. Dimensions of `wanted` that the tensor does not have have
  /// extent 1 with `mayLack`; otherwise it is repeated along them.
  mlir::Value build(llvm::ArrayRef<Element> sources, const Dimensions &wanted, bool mayLack);

  /// `tensor` with dimensions `from` as one with dimensions `to`, which have the same loops.
  mlir::Value regroup(mlir::Value tensor, const Dimensions &from, const Dimensions &to);

  /// `tensor` with another float element type.
  mlir::Value convert(mlir::Value tensor, mlir::Type elementType);

private:
  struct Choice {
    const Element *source = nullptr;
    Dimensions dimensions;
    int cost = std::numeric_limits<int>::max();
  };
  Choice choose(llvm::ArrayRef<Element> sources, const Dimensions &wanted, bool mayLack);
  mlir::Value expand(mlir::Value tensor, const Dimensions &from);
  mlir::Value collapse(mlir::Value tensor, const Dimensions &to);
  mlir::Value insertUnits(mlir::Value tensor, const Dimensions &to);
  mlir::Value dropUnits(mlir::Value tensor);
  mlir::Value transpose(mlir::Value tensor, llvm::ArrayRef<int64_t> permutation);
  mlir::Value repeat(mlir::Value tensor, const Loops &present, const Loops &wanted);
  bool canRepeat(const Loops &loops);

  ElementReader &reader;
  mlir::OpBuilder &builder;
  mlir::Location loc;
};

} // namespace sage::raising

#endif // SAGE_CONVERSION_RAISEATTENTION_OPERANDS_H
