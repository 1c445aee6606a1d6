// The loop over batch and heads.

#include "HeadLoop.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace sage;

namespace {
/// One head of a tensor: where it is, how large it is with and without the dimensions of size 1.
struct HeadRange {
  SmallVector<OpFoldResult> offsets, sizes, shape, strides;
};
} // namespace

static HeadRange getHeadRange(TensorBuilder &b, Value tensor, Head head, Layout layout) {
  int64_t rank = cast<RankedTensorType>(tensor.getType()).getRank();
  int64_t headDimension = rank == 4 ? getHeadDimension(layout) : 1;
  HeadRange range;
  range.offsets.assign(rank, b.getIndexAttr(0));
  range.strides.assign(rank, b.getIndexAttr(1));
  range.sizes.assign(rank, b.getIndexAttr(1));
  range.offsets[0] = head.batch;
  range.offsets[headDimension] = head.head;
  for (int64_t d = 1; d < rank; ++d) {
    if (d == headDimension)
      continue;
    range.sizes[d] = b.extent(tensor, d);
    range.shape.push_back(range.sizes[d]);
  }
  return range;
}

/// Extents that are constants on one side may be unknown on the other.
static Value castToShape(TensorBuilder &b, Value value, Extents extents) {
  SmallVector<int64_t> shape;
  SmallVector<Value> dynamicShape;
  dispatchIndexOpFoldResults(extents, dynamicShape, shape);
  return b.castTo(RankedTensorType::get(shape, getElementTypeOrSelf(value)), value);
}

Value sage::getHead(TensorBuilder &b, Value tensor, Head head, Layout layout) {
  HeadRange range = getHeadRange(b, tensor, head, layout);
  return b.slice(tensor, range.offsets, range.sizes, range.shape);
}

Head sage::getKeyHead(TensorBuilder &b, Head head, OpFoldResult queryHeads, OpFoldResult keyHeads) {
  Value group = arith::DivUIOp::create(b, b.index(queryHeads), b.index(keyHeads));
  return {head.batch, arith::DivUIOp::create(b, head.head, group)};
}

SmallVector<Value> sage::forEachHead(TensorBuilder &b, OpFoldResult batch, OpFoldResult heads,
                                     ArrayRef<HeadOutput> outputs,
                                     function_ref<SmallVector<Value>(TensorBuilder &, Head)> body) {
  SmallVector<Value> inits =
      llvm::map_to_vector(outputs, [](const HeadOutput &output) { return output.init; });
  auto loop = scf::ForallOp::create(
      b, ArrayRef<OpFoldResult>{batch, heads}, inits, std::nullopt,
      [&](OpBuilder &nested, Location loc, ValueRange arguments) {
        TensorBuilder inner(loc, nested);
        Head head{arguments[0], arguments[1]};
        ValueRange destinations = arguments.drop_front(2);
        SmallVector<Value> results = body(inner, head);
        SmallVector<HeadRange> ranges;
        for (auto [result, destination, output] : llvm::zip_equal(results, destinations, outputs)) {
          ranges.push_back(getHeadRange(inner, destination, head, output.layout));
          result = castToShape(inner, result, ranges.back().shape);
        }

        auto terminator = scf::InParallelOp::create(inner);
        inner.setInsertionPointToStart(terminator.getBody());
        for (auto [result, destination, range] : llvm::zip_equal(results, destinations, ranges))
          tensor::ParallelInsertSliceOp::create(inner, result, destination, range.offsets,
                                                range.sizes, range.strides);
      });
  return llvm::to_vector(llvm::map_range(loop.getResults(), [](OpResult r) -> Value { return r; }));
}
