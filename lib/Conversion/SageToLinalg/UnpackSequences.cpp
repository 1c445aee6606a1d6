// sage-unpack-sequences: one dense attention for every batch entry with a key length, or for every
// sequence (Spec N16, N17).

#include "sage/Conversion/SageToLinalg/Passes.h"

#include "TensorBuilder.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "sage/Dialect/Sage/IR/SageOps.h"

namespace sage {
#define GEN_PASS_DEF_SAGEUNPACKSEQUENCES
#include "sage/Conversion/SageToLinalg/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;

namespace {

/// Indices first to first + count - 1 of a dimension.
struct TokenRange {
  OpFoldResult first, count;
};

/// The part of the tensors that one entry has.
struct Entry {
  /// Of every tensor; a whole batch where sequences are packed.
  TokenRange batch;
  TokenRange queries, keys;
};

class Unpacker {
public:
  Unpacker(AttentionOp op, GeometryAttr geometry)
      : op(op), geometry(geometry), builder(op.getLoc(), op) {}
  void run();

private:
  Entry getEntry(TensorBuilder &b, Value index);
  TokenRange readSequence(TensorBuilder &b, Value offsets, Value index, Value tokens);
  Value readBounded(TensorBuilder &b, Value lengths, Value index, Value low, Value high);
  /// Ranges of a 16-bit tensor, or of the log-sum-exp [B, H, N], by dimension.
  SmallVector<TokenRange> getRanges(TensorBuilder &b, Value tensor, const Entry &entry,
                                    TokenRange tokens);
  Value slice(TensorBuilder &b, Value tensor, ArrayRef<TokenRange> ranges);
  Value sliceBias(TensorBuilder &b, const Entry &entry);
  SmallVector<Value> attend(TensorBuilder &b, const Entry &entry, ValueRange outputs);

  AttentionOp op;
  /// Of an entry; null where there is none yet.
  GeometryAttr geometry;
  TensorBuilder builder;
  /// With extents of tokens that are not known: a slice of none of 0 tokens would not verify.
  Value query, key, value;
  SmallVector<Value> outputs;
};

} // namespace

static Value forgetTokens(TensorBuilder &b, Value tensor, unsigned dimension) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[dimension] = ShapedType::kDynamic;
  return b.castTo(RankedTensorType::get(shape, type.getElementType()), tensor);
}

/// lengths[index] as an index, at least `low` and at most `high`.
Value Unpacker::readBounded(TensorBuilder &b, Value lengths, Value index, Value low, Value high) {
  Value length = arith::IndexCastOp::create(b, b.getIndexType(), b.read(lengths, index));
  return arith::MinSIOp::create(b, arith::MaxSIOp::create(b, length, low), high);
}

TokenRange Unpacker::readSequence(TensorBuilder &b, Value offsets, Value index, Value tokens) {
  Value zero = b.index(b.getIndexAttr(0)), one = b.index(b.getIndexAttr(1));
  Value first = readBounded(b, offsets, index, zero, tokens);
  Value next = arith::AddIOp::create(b, index, one);
  Value end = readBounded(b, offsets, next, first, tokens);
  return {first, arith::SubIOp::create(b, end, first).getResult()};
}

Entry Unpacker::getEntry(TensorBuilder &b, Value index) {
  unsigned tokens = getTokenDimension(op.getLayout());
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  OpFoldResult queryTokens = b.extent(query, tokens);
  Value keyTokens = b.index(b.extent(key, tokens));
  if (op.isPacked())
    return {{zero, one},
            readSequence(b, op.getQueryOffsets(), index, b.index(queryTokens)),
            readSequence(b, op.getKeyOffsets(), index, keyTokens)};
  Value length = readBounded(b, op.getKeyLengths(), index, b.index(zero), keyTokens);
  return {{index, one}, {zero, queryTokens}, {zero, length}};
}

SmallVector<TokenRange> Unpacker::getRanges(TensorBuilder &b, Value tensor, const Entry &entry,
                                            TokenRange tokens) {
  SmallVector<TokenRange> ranges;
  for (OpFoldResult extent : b.extents(tensor))
    ranges.push_back({b.getIndexAttr(0), extent});
  ranges[0] = entry.batch;
  ranges[ranges.size() == 3 ? 2 : getTokenDimension(op.getLayout())] = tokens;
  return ranges;
}

Value Unpacker::slice(TensorBuilder &b, Value tensor, ArrayRef<TokenRange> ranges) {
  SmallVector<OpFoldResult> offsets, sizes;
  for (const TokenRange &range : ranges) {
    offsets.push_back(range.first);
    sizes.push_back(range.count);
  }
  return b.slice(tensor, offsets, sizes, sizes);
}

/// Extents of 1 repeat: they are not cut.
Value Unpacker::sliceBias(TensorBuilder &b, const Entry &entry) {
  Value bias = op.getBias();
  const std::optional<TokenRange> cuts[] = {op.isPacked() ? std::nullopt
                                                          : std::optional(entry.batch),
                                            std::nullopt, entry.queries, entry.keys};
  SmallVector<TokenRange> ranges;
  for (auto [dimension, cut] : llvm::enumerate(cuts)) {
    OpFoldResult extent = b.extent(bias, dimension);
    std::optional<int64_t> known = getConstantIntValue(extent);
    if (!cut || known == 1) {
      ranges.push_back({b.getIndexAttr(0), extent});
      continue;
    }
    if (known) {
      ranges.push_back(*cut);
      continue;
    }
    Value isOne = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, b.index(extent),
                                        b.index(b.getIndexAttr(1)));
    auto select = [&](OpFoldResult otherwise, int64_t ofOne) -> OpFoldResult {
      return arith::SelectOp::create(b, isOne, b.index(b.getIndexAttr(ofOne)), b.index(otherwise))
          .getResult();
    };
    ranges.push_back({select(cut->first, 0), select(cut->count, 1)});
  }
  return slice(b, bias, ranges);
}

SmallVector<Value> Unpacker::attend(TensorBuilder &b, const Entry &entry, ValueRange carried) {
  SmallVector<Value> parts;
  SmallVector<SmallVector<TokenRange>> places;
  for (Value output : carried) {
    places.push_back(getRanges(b, output, entry, entry.queries));
    parts.push_back(slice(b, output, places.back()));
  }
  Value bias = op.getBias() ? sliceBias(b, entry) : Value();
  auto dense = AttentionOp::create(
      b, b.getLoc(), ValueRange(parts).getTypes(),
      slice(b, query, getRanges(b, query, entry, entry.queries)),
      slice(b, key, getRanges(b, key, entry, entry.keys)),
      slice(b, value, getRanges(b, value, entry, entry.keys)), bias, /*key_lengths=*/Value(),
      op.getSinks(), /*query_offsets=*/Value(), /*key_offsets=*/Value(), parts, op.getRecipeAttr(),
      op.getLayoutAttr(), op.getMaskAttr(), op.getWindowLeftAttr(), op.getWindowRightAttr(),
      op.getSinkTokensAttr(), op.getSoftcapAttr(), op.getScaleAttr(), geometry,
      op.getScheduleAttr(), op.getTargetAttr());
  dense->setDiscardableAttrs(op->getDiscardableAttrDictionary());

  SmallVector<Value> results;
  for (auto [result, output, ranges] : llvm::zip_equal(dense.getResults(), carried, places)) {
    SmallVector<OpFoldResult> offsets, sizes, strides(ranges.size(), b.getIndexAttr(1));
    for (const TokenRange &range : ranges) {
      offsets.push_back(range.first);
      sizes.push_back(range.count);
    }
    results.push_back(tensor::InsertSliceOp::create(b, result, output, offsets, sizes, strides));
  }
  return results;
}

void Unpacker::run() {
  unsigned tokens = getTokenDimension(op.getLayout());
  query = forgetTokens(builder, op.getQuery(), tokens);
  key = forgetTokens(builder, op.getKey(), tokens);
  value = forgetTokens(builder, op.getValue(), tokens);
  outputs.push_back(forgetTokens(builder, op.getOutput(), tokens));
  if (op.getLse())
    outputs.push_back(forgetTokens(builder, op.getLse(), 2));

  Value zero = builder.index(builder.getIndexAttr(0)), one = builder.index(builder.getIndexAttr(1));
  Value count = builder.index(builder.extent(op.getQuery(), 0));
  if (op.isPacked())
    count =
        arith::SubIOp::create(builder, builder.index(builder.extent(op.getQueryOffsets(), 0)), one);
  auto loop =
      scf::ForOp::create(builder, zero, count, one, outputs,
                         [&](OpBuilder &nested, Location loc, Value index, ValueRange carried) {
                           TensorBuilder b(loc, nested);
                           scf::YieldOp::create(b, attend(b, getEntry(b, index), carried));
                         });
  SmallVector<Value> results;
  for (auto [result, type] : llvm::zip_equal(loop.getResults(), op->getResultTypes()))
    results.push_back(builder.castTo(type, result));
  op->replaceAllUsesWith(results);
  op->erase();
}

/// The geometry of the entries' calls: sequences are not taken in parts, and the entries of a batch
/// in as many as the whole call (Spec N18), which must be known.
static FailureOr<GeometryAttr> getEntryGeometry(AttentionOp op) {
  GeometryAttr geometry = op.getGeometryAttr();
  if (!geometry || !geometry.getKeyParts())
    return geometry;
  if (op.isPacked())
    return geometry.withKeyParts({});
  AttentionShape shape = op.getShape();
  int64_t extents[] = {shape.batch, shape.queryHeads, shape.keyHeads, shape.queryTokens,
                       shape.keyTokens};
  AffineMap map = geometry.getKeyParts().getValue();
  bool isConstant = map.getNumResults() == 1 && map.isConstant();
  if (isConstant)
    return geometry;
  std::optional<int64_t> parts;
  if (llvm::none_of(extents, ShapedType::isDynamic))
    parts = geometry.countKeyParts(extents);
  if (!parts) {
    auto diagnostic = op.emitOpError() << "geometry's key_parts must be known with key lengths to "
                                          "be unpacked, but got "
                                       << geometry.getKeyParts();
    diagnostic.attachNote() << "cast the operands to static extents, give a constant key_parts, or "
                               "run sage-assign-schedule with split-keys=false";
    return failure();
  }
  return geometry.withKeyParts(
      AffineMapAttr::get(AffineMap::getConstantMap(*parts, op.getContext())));
}

namespace {
struct UnpackSequences : sage::impl::SageUnpackSequencesBase<UnpackSequences> {
  void runOnOperation() override {
    SmallVector<AttentionOp> ops;
    getOperation()->walk([&](AttentionOp op) {
      if (op.hasLengths())
        ops.push_back(op);
    });
    for (AttentionOp op : ops) {
      if (!op.hasPureTensorSemantics()) {
        auto diagnostic = op.emitOpError() << "operands must be tensors for this pass, but got "
                                           << op.getQuery().getType();
        diagnostic.attachNote() << "run the pass before bufferization";
        return signalPassFailure();
      }
      FailureOr<GeometryAttr> geometry = getEntryGeometry(op);
      if (failed(geometry))
        return signalPassFailure();
      Unpacker(op, *geometry).run();
    }
  }
};
} // namespace
