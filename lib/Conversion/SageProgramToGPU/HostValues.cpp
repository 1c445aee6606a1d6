// Values inside a function of a host program: extents, strides, addresses and expressions of them.

#include "HostValues.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "sage/Dialect/Sage/Transforms/KeyParts.h"

using namespace mlir;
using namespace sage;

HostValues::HostValues(Location loc, const HostSignature &signature, Block &body)
    : ImplicitLocOpBuilder(loc, OpBuilder::atBlockBegin(&body)), signature(signature) {
  for (unsigned i = 0; i < signature.tensors.size(); ++i)
    views.push_back(readView(body.getArgument(i)));
  symbols.assign(tile::ProgramOp::getSymbolNames().size(), constant(0));
  auto set = [&](HostSymbol first, unsigned offset, Value value) {
    symbols[unsigned(first) + offset] = value;
  };
  const View &query = views[0], &key = views[1];
  set(HostSymbol::B, 0, query.extents[getAxis(0)]);
  set(HostSymbol::Hq, 0, query.extents[getAxis(1)]);
  set(HostSymbol::Hkv, 0, key.extents[getAxis(1)]);
  set(HostSymbol::Nq, 0, query.extents[getAxis(2)]);
  set(HostSymbol::Nk, 0, key.extents[getAxis(2)]);
  const std::pair<StringRef, HostSymbol> strided[] = {{"query", HostSymbol::QueryB},
                                                      {"key", HostSymbol::KeyB},
                                                      {"value", HostSymbol::ValueB},
                                                      {"output", HostSymbol::OutputB}};
  for (auto [name, first] : strided)
    for (unsigned axis = 0; axis < 3; ++axis)
      set(first, axis, views[*signature.find(name)].strides[getAxis(axis)]);
  if (auto offsets = signature.find("query_offsets"))
    set(HostSymbol::S, 0, arith::SubIOp::create(*this, views[*offsets].extents[0], constant(1)));
  if (auto bias = signature.find("bias"))
    for (unsigned axis = 0; axis < 4; ++axis) {
      const View &view = views[*bias];
      Value repeats =
          arith::CmpIOp::create(*this, arith::CmpIPredicate::eq, view.extents[axis], constant(1));
      set(HostSymbol::BiasB, axis,
          arith::SelectOp::create(*this, repeats, constant(0), view.strides[axis]));
    }
  setAlignments();
  symbols[unsigned(HostSymbol::Parts)] =
      signature.geometryOfParts ? emitKeyParts(*this, signature.geometryOfParts,
                                               ArrayRef(symbols).take_front(signature.shape.size()))
                                : constant(1);
}

unsigned HostValues::getAxis(unsigned batchHeadToken) const {
  if (signature.layout == Layout::HeadMajor || batchHeadToken == 0)
    return batchHeadToken;
  return 3 - batchHeadToken;
}

Value HostValues::constant(int64_t value) { return arith::ConstantIndexOp::create(*this, value); }

Value HostValues::toI64(Value index) {
  return arith::IndexCastOp::create(*this, getI64Type(), index);
}

Value HostValues::roundUp(Value value, int64_t step) {
  Value sum = arith::AddIOp::create(*this, value, constant(step - 1));
  return arith::AndIOp::create(*this, sum, constant(-step));
}

Value HostValues::evaluate(AffineMap map, unsigned index) {
  return affine::expandAffineExpr(*this, getLoc(), map.getResult(index), {}, symbols);
}

/// Bytes of an element in memory; booleans are bytes.
static int64_t getElementBytes(MemRefType type) {
  return llvm::divideCeil(type.getElementTypeBitWidth(), 8);
}

HostValues::View HostValues::readView(Value memref) {
  auto metadata = memref::ExtractStridedMetadataOp::create(*this, memref);
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(*this, memref);
  int64_t bytes = getElementBytes(cast<MemRefType>(memref.getType()));
  Value offset = arith::MulIOp::create(*this, metadata.getOffset(), constant(bytes));
  return {arith::AddIOp::create(*this, base, offset), SmallVector<Value>(metadata.getSizes()),
          SmallVector<Value>(metadata.getStrides())};
}

/// The largest power of two up to 16 that divides, in bytes, the address and all strides of extents
/// above 1: the lowest bit that is set in any of them.
void HostValues::setAlignments() {
  const std::pair<StringRef, HostSymbol> aligned[] = {{"query", HostSymbol::QueryAlign},
                                                      {"key", HostSymbol::KeyAlign},
                                                      {"value", HostSymbol::ValueAlign},
                                                      {"output", HostSymbol::OutputAlign}};
  for (auto [name, symbol] : aligned) {
    unsigned tensor = *signature.find(name);
    const View &view = views[tensor];
    Value bits = arith::OrIOp::create(*this, view.address, constant(16));
    for (unsigned axis = 0; axis < 3; ++axis) {
      Value bytes = arith::MulIOp::create(
          *this, view.strides[axis], constant(getElementBytes(signature.tensors[tensor].type)));
      Value steps =
          arith::CmpIOp::create(*this, arith::CmpIPredicate::sgt, view.extents[axis], constant(1));
      bits = arith::OrIOp::create(*this, bits,
                                  arith::SelectOp::create(*this, steps, bytes, constant(0)));
    }
    Value negative = arith::SubIOp::create(*this, constant(0), bits);
    symbols[unsigned(symbol)] = arith::AndIOp::create(*this, bits, negative);
  }
}
