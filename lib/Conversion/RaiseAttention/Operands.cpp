// Reshapes and transposes that make operands of what other compilers' products read.

#include "Operands.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace sage::raising;

static RankedTensorType typeOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()); }

static Loops flatten(const Dimensions &dimensions) {
  Loops all;
  for (const Loops &loops : dimensions)
    all.append(loops);
  return all;
}

std::optional<Dimensions> OperandBuilder::getDimensions(const Element &element) {
  Dimensions dimensions;
  llvm::SmallDenseSet<unsigned> seen;
  for (auto [index, extent] : llvm::zip_equal(element.at, typeOf(element.value).getShape())) {
    IndexSum sum = IndexSum::get(reader.loops.simplify(index));
    llvm::stable_sort(sum.terms, [](const IndexTerm &a, const IndexTerm &b) {
      return a.coefficient > b.coefficient;
    });
    int64_t stride = 1;
    Loops loops;
    for (const IndexTerm &term : llvm::reverse(sum.terms)) {
      auto loop = dyn_cast<AffineDimExpr>(term.atom);
      if (!loop || term.coefficient != stride || !seen.insert(loop.getPosition()).second)
        return std::nullopt;
      loops.insert(loops.begin(), loop.getPosition());
      int64_t turns = reader.loops.getExtent(loop.getPosition());
      stride = ShapedType::isDynamic(turns) ? turns : stride * turns;
    }
    if (sum.constant != 0 || stride != extent)
      return std::nullopt;
    dimensions.push_back(loops);
  }
  return dimensions;
}

/// The extents of dimensions that each take one loop of a tensor's dimension.
Value OperandBuilder::expand(Value tensor, const Dimensions &from) {
  SmallVector<ReassociationIndices> groups;
  SmallVector<OpFoldResult> extents;
  SmallVector<int64_t> shape;
  bool isNeeded = false;
  for (auto [number, loops] : llvm::enumerate(from)) {
    ReassociationIndices &group = groups.emplace_back();
    isNeeded |= loops.size() > 1;
    int64_t inner = 1;
    for (unsigned loop : llvm::drop_begin(loops, loops.empty() ? 0 : 1))
      inner *= reader.loops.getExtent(loop);
    for (size_t k = 0; k < std::max<size_t>(loops.size(), 1); ++k) {
      group.push_back(shape.size());
      int64_t extent = loops.empty() ? 1 : reader.loops.getExtent(loops[k]);
      shape.push_back(extent);
      if (!ShapedType::isDynamic(extent)) {
        extents.push_back(builder.getIndexAttr(extent));
        continue;
      }
      Value all = tensor::DimOp::create(builder, loc, tensor, number);
      if (inner != 1)
        all = arith::DivUIOp::create(builder, loc, all,
                                     arith::ConstantIndexOp::create(builder, loc, inner));
      extents.push_back(all);
    }
  }
  if (!isNeeded)
    return tensor;
  auto type = RankedTensorType::get(shape, typeOf(tensor).getElementType());
  return tensor::ExpandShapeOp::create(builder, loc, type, tensor, groups, extents);
}

Value OperandBuilder::dropUnits(Value tensor) {
  SmallVector<ReassociationIndices> groups;
  SmallVector<int64_t> shape;
  ReassociationIndices pending;
  for (auto [number, extent] : llvm::enumerate(typeOf(tensor).getShape())) {
    pending.push_back(number);
    if (extent == 1)
      continue;
    groups.push_back(pending);
    shape.push_back(extent);
    pending.clear();
  }
  if (!groups.empty())
    groups.back().append(pending);
  if (shape.size() == static_cast<size_t>(typeOf(tensor).getRank()))
    return tensor;
  auto type = RankedTensorType::get(shape, typeOf(tensor).getElementType());
  return tensor::CollapseShapeOp::create(builder, loc, type, tensor, groups);
}

Value OperandBuilder::transpose(Value tensor, ArrayRef<int64_t> permutation) {
  if (isIdentityPermutation(permutation))
    return tensor;
  SmallVector<OpFoldResult> extents = tensor::getMixedSizes(builder, loc, tensor), permuted;
  for (int64_t from : permutation)
    permuted.push_back(extents[from]);
  Value empty = tensor::EmptyOp::create(builder, loc, permuted, typeOf(tensor).getElementType());
  return linalg::TransposeOp::create(builder, loc, tensor, empty, permutation)->getResult(0);
}

/// Dimensions of one loop each become those of `to`, but for its empty ones.
Value OperandBuilder::collapse(Value tensor, const Dimensions &to) {
  SmallVector<ReassociationIndices> groups;
  int64_t next = 0;
  bool isNeeded = false;
  for (const Loops &loops : to) {
    if (loops.empty())
      continue;
    ReassociationIndices &group = groups.emplace_back();
    isNeeded |= loops.size() > 1;
    for (size_t k = 0; k < loops.size(); ++k)
      group.push_back(next++);
  }
  if (!isNeeded)
    return tensor;
  return tensor::CollapseShapeOp::create(builder, loc, tensor, groups);
}

Value OperandBuilder::insertUnits(Value tensor, const Dimensions &to) {
  SmallVector<ReassociationIndices> groups;
  SmallVector<OpFoldResult> extents, present = tensor::getMixedSizes(builder, loc, tensor);
  SmallVector<int64_t> shape;
  ReassociationIndices leading;
  for (auto [number, loops] : llvm::enumerate(to)) {
    if (!loops.empty()) {
      size_t from = groups.size();
      groups.emplace_back(std::exchange(leading, {}));
      extents.push_back(present[from]);
      shape.push_back(typeOf(tensor).getDimSize(from));
    } else {
      extents.push_back(builder.getIndexAttr(1));
      shape.push_back(1);
    }
    (groups.empty() ? leading : groups.back()).push_back(number);
  }
  if (shape.size() == present.size())
    return tensor;
  auto type = RankedTensorType::get(shape, typeOf(tensor).getElementType());
  return tensor::ExpandShapeOp::create(builder, loc, type, tensor, groups, extents);
}

Value OperandBuilder::regroup(Value tensor, const Dimensions &from, const Dimensions &to) {
  if (from == to)
    return tensor;
  Loops before = flatten(from), after = flatten(to);
  tensor = dropUnits(expand(tensor, from));
  SmallVector<int64_t> permutation;
  for (unsigned loop : after)
    permutation.push_back(std::distance(before.begin(), llvm::find(before, loop)));
  return insertUnits(collapse(transpose(tensor, permutation), to), to);
}

bool OperandBuilder::canRepeat(const Loops &loops) {
  return llvm::none_of(
      loops, [&](unsigned loop) { return ShapedType::isDynamic(reader.loops.getExtent(loop)); });
}

/// `tensor` has the dimensions `present`, one loop each, in the order of `wanted`.
Value OperandBuilder::repeat(Value tensor, const Loops &present, const Loops &wanted) {
  SmallVector<OpFoldResult> extents, known = tensor::getMixedSizes(builder, loc, tensor);
  SmallVector<int64_t> added;
  for (auto [number, loop] : llvm::enumerate(wanted)) {
    auto found = llvm::find(present, loop);
    if (found != present.end()) {
      extents.push_back(known[std::distance(present.begin(), found)]);
      continue;
    }
    extents.push_back(builder.getIndexAttr(reader.loops.getExtent(loop)));
    added.push_back(number);
  }
  if (added.empty())
    return tensor;
  Value empty = tensor::EmptyOp::create(builder, loc, extents, typeOf(tensor).getElementType());
  return linalg::BroadcastOp::create(builder, loc, tensor, empty, added)->getResult(0);
}

OperandBuilder::Choice OperandBuilder::choose(ArrayRef<Element> sources, const Dimensions &wanted,
                                              bool mayLack) {
  Loops all = flatten(wanted);
  Choice best;
  for (const Element &source : sources) {
    std::optional<Dimensions> dimensions = getDimensions(source);
    if (!dimensions)
      continue;
    Loops loops = flatten(*dimensions), inOrder;
    if (!llvm::all_of(loops, [&](unsigned loop) { return llvm::is_contained(all, loop); }))
      continue;
    llvm::copy_if(all, std::back_inserter(inOrder),
                  [&](unsigned loop) { return llvm::is_contained(loops, loop); });
    Dimensions expected;
    for (const Loops &dimension : wanted) {
      bool isPresent =
          llvm::any_of(dimension, [&](unsigned loop) { return llvm::is_contained(loops, loop); });
      expected.push_back(isPresent || !mayLack ? dimension : Loops());
    }
    // Moving elements costs more than naming their dimensions otherwise.
    int cost = (*dimensions == expected ? 0 : 1) + (inOrder == loops ? 0 : movingCost);
    // A smaller tensor, where it is repeated in either case.
    if (mayLack)
      cost += static_cast<int>(loops.size()) * movingCost;
    Type element = typeOf(source.value).getElementType();
    if (element.isF32() || element.isF64())
      cost += 10 * movingCost;
    // Of equals the last, which makes the moves before it unnecessary.
    if (cost <= best.cost)
      best = {&source, *dimensions, cost};
  }
  return best;
}

Value OperandBuilder::build(ArrayRef<Element> sources, const Dimensions &wanted, bool mayLack) {
  Choice best = choose(sources, wanted, mayLack);
  if (!best.source)
    return nullptr;
  // What the tensor has of the wanted dimensions; one that it has in part is completed.
  Loops present = flatten(best.dimensions);
  Dimensions partial, complete;
  for (const Loops &dimension : wanted) {
    Loops &kept = partial.emplace_back();
    llvm::copy_if(dimension, std::back_inserter(kept),
                  [&](unsigned loop) { return llvm::is_contained(present, loop); });
    complete.push_back(kept.empty() && mayLack ? Loops() : dimension);
  }
  if (partial == complete)
    return regroup(best.source->value, best.dimensions, complete);
  Loops kept = flatten(partial), completed = flatten(complete), missing;
  llvm::copy_if(completed, std::back_inserter(missing),
                [&](unsigned loop) { return !llvm::is_contained(kept, loop); });
  if (!canRepeat(missing))
    return nullptr;
  Dimensions separate;
  for (unsigned loop : kept)
    separate.push_back({loop});
  Value tensor = regroup(best.source->value, best.dimensions, separate);
  return insertUnits(collapse(repeat(tensor, kept, completed), complete), complete);
}

Value OperandBuilder::convert(Value tensor, Type elementType) {
  RankedTensorType type = typeOf(tensor);
  if (type.getElementType() == elementType)
    return tensor;
  Value empty = tensor::EmptyOp::create(builder, loc, tensor::getMixedSizes(builder, loc, tensor),
                                        elementType);
  AffineMap identity = builder.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> parallel(type.getRank(), utils::IteratorType::parallel);
  auto width = [](Type type) { return type.getIntOrFloatBitWidth(); };
  auto generic = linalg::GenericOp::create(
      builder, loc, empty.getType(), tensor, empty, ArrayRef<AffineMap>{identity, identity},
      parallel, [&](OpBuilder &b, Location at, ValueRange arguments) {
        Value value = arguments[0];
        // f16 and bf16 become one another by way of f32.
        if (width(value.getType()) == width(elementType))
          value = arith::ExtFOp::create(b, at, b.getF32Type(), value);
        if (width(value.getType()) > width(elementType))
          value = arith::TruncFOp::create(b, at, elementType, value);
        else if (width(value.getType()) < width(elementType))
          value = arith::ExtFOp::create(b, at, elementType, value);
        linalg::YieldOp::create(b, at, value);
      });
  return generic.getResult(0);
}
