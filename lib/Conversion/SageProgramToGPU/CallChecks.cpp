// Assertions about the caller's tensors: what sage_module_launch refuses.

#include "HostFunctions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

using namespace mlir;
using namespace sage;

void sage::emitCheck(HostValues &values, tile::ProgramOp program, Value condition,
                     const Twine &what) {
  cf::AssertOp::create(values, condition,
                       values.getStringAttr("@" + program.getSymName() + ": " + what));
}

namespace {

/// Whether an expression of the program names `symbol`.
bool reads(tile::ProgramOp program, unsigned symbol) {
  auto names = [&](AffineMap map) {
    return map && symbol < map.getNumSymbols() && map.isFunctionOfSymbol(symbol);
  };
  bool found = false;
  program.walk([&](tile::LaunchOp launch) {
    found |= names(launch.getGrid());
    for (Attribute argument : launch.getArgs()) {
      if (auto integer = dyn_cast<tile::IntegerArgAttr>(argument))
        found |= names(integer.getValue());
      if (auto map = dyn_cast<tile::TensorMapArgAttr>(argument))
        found |= names(map.getExtents()) || names(map.getStrides());
    }
  });
  program.walk([&](tile::WorkspaceOp slice) { found |= names(slice.getBytes()); });
  return found;
}

class CallChecks {
public:
  CallChecks(HostValues &values, tile::ProgramOp program) : values(values), program(program) {}

  void emit() {
    emitExtents();
    emitShape();
    emitHeads();
    const std::pair<StringRef, HostSymbol> tensors[] = {{"query", HostSymbol::QueryB},
                                                        {"key", HostSymbol::KeyB},
                                                        {"value", HostSymbol::ValueB},
                                                        {"output", HostSymbol::OutputB}};
    for (auto [number, tensor] : llvm::enumerate(tensors)) {
      emitAlignment(tensor.first, unsigned(HostSymbol::QueryAlign) + number);
      emitDense(tensor.first, unsigned(tensor.second));
    }
  }

private:
  Value compare(arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(values, predicate, a, b);
  }
  Value equal(Value a, Value b) { return compare(arith::CmpIPredicate::eq, a, b); }
  Value either(Value a, Value b) { return arith::OrIOp::create(values, a, b); }
  void require(Value condition, const Twine &what) { emitCheck(values, program, condition, what); }
  const HostValues::View &getView(StringRef name) {
    return values.getView(*values.getSignature().find(name));
  }
  Value getSymbol(unsigned symbol) { return values.getSymbol(HostSymbol(symbol)); }

  /// Batch, heads and tokens of `tensor`, which are the call's `symbols`.
  void emitExtents(StringRef tensor, std::array<HostSymbol, 3> symbols);
  void emitExtents();
  void emitVector(StringRef tensor, Value extent, StringRef what);
  void emitShape();
  void emitHeads();
  void emitAlignment(StringRef tensor, unsigned symbol);
  void emitDense(StringRef tensor, unsigned firstStride);
  Value isEmpty(StringRef tensor);

  HostValues &values;
  tile::ProgramOp program;
};

void CallChecks::emitExtents(StringRef tensor, std::array<HostSymbol, 3> symbols) {
  constexpr StringLiteral names[] = {"batch", "heads", "tokens"};
  for (unsigned axis = 0; axis < 3; ++axis)
    require(equal(getView(tensor).extents[values.getAxis(axis)], values.getSymbol(symbols[axis])),
            tensor + ": " + names[axis] + " must agree with " +
                (symbols[axis] == HostSymbol::Hkv || symbols[axis] == HostSymbol::Nk ? "key's"
                                                                                     : "query's"));
}

void CallChecks::emitVector(StringRef tensor, Value extent, StringRef what) {
  if (values.getSignature().find(tensor))
    require(equal(getView(tensor).extents[0], extent), tensor + ": extent must be " + what);
}

void CallChecks::emitExtents() {
  emitExtents("key", {HostSymbol::B, HostSymbol::Hkv, HostSymbol::Nk});
  emitExtents("value", {HostSymbol::B, HostSymbol::Hkv, HostSymbol::Nk});
  emitExtents("output", {HostSymbol::B, HostSymbol::Hq, HostSymbol::Nq});
  const HostSymbol ofQuery[] = {HostSymbol::B, HostSymbol::Hq, HostSymbol::Nq, HostSymbol::Nk};
  if (values.getSignature().find("lse"))
    for (unsigned axis = 0; axis < 3; ++axis)
      require(equal(getView("lse").extents[axis], values.getSymbol(ofQuery[axis])),
              "lse: extents must be query's batch, heads and tokens");
  if (values.getSignature().find("bias"))
    for (unsigned axis = 0; axis < 4; ++axis) {
      Value extent = getView("bias").extents[axis];
      require(
          either(equal(extent, values.getSymbol(ofQuery[axis])), equal(extent, values.constant(1))),
          "bias: extents must be 1 or batch, query heads, query tokens and key tokens");
    }
  emitVector("key_lengths", values.getSymbol(HostSymbol::B), "the batch");
  emitVector("sinks", values.getSymbol(HostSymbol::Hq), "the query heads");
  if (values.getSignature().find("query_offsets"))
    emitVector("key_offsets", getView("query_offsets").extents[0], "that of query_offsets");
}

void CallChecks::emitShape() {
  constexpr StringLiteral names[] = {"batch", "query heads", "key heads", "query tokens",
                                     "key tokens"};
  for (auto [index, extent] : llvm::enumerate(values.getSignature().shape))
    if (extent >= 0)
      require(equal(getSymbol(index), values.constant(extent)),
              names[index] + " must be " + Twine(extent) + ", for which the program was compiled");
}

void CallChecks::emitHeads() {
  Value queryHeads = values.getSymbol(HostSymbol::Hq), keyHeads = values.getSymbol(HostSymbol::Hkv);
  // With no key heads the remainder is that of a division by one.
  Value divisor = arith::MaxSIOp::create(values, keyHeads, values.constant(1));
  Value remainder = arith::RemSIOp::create(values, queryHeads, divisor);
  Value zero = values.constant(0);
  require(equal(remainder, zero), "query heads must be a multiple of key heads");
  require(either(compare(arith::CmpIPredicate::ne, keyHeads, zero), equal(queryHeads, zero)),
          "key heads must not be 0 where there are query heads");
}

Value CallChecks::isEmpty(StringRef tensor) {
  Value product = values.constant(1);
  for (Value extent : getView(tensor).extents)
    product = arith::MulIOp::create(values, product, extent);
  return equal(product, values.constant(0));
}

/// A program that asks for the alignment deals with any.
void CallChecks::emitAlignment(StringRef tensor, unsigned symbol) {
  if (!reads(program, symbol))
    require(either(isEmpty(tensor), equal(getSymbol(symbol), values.constant(16))),
            tensor + ": address and strides must be multiples of 16 bytes: copy the tensor into an "
                     "aligned one");
}

void CallChecks::emitDense(StringRef tensor, unsigned firstStride) {
  const HostValues::View &view = getView(tensor);
  Value dense = values.constant(1);
  for (unsigned axis = 4; axis-- > 0;) {
    bool isHeadDim = axis == 3;
    // Which of batch, head and token the axis is: the exchange of head and token is its own
    // inverse.
    unsigned meaning = isHeadDim ? 3 : values.getAxis(axis);
    if (!isHeadDim && !reads(program, firstStride + meaning)) {
      Value isOne = compare(arith::CmpIPredicate::sle, view.extents[axis], values.constant(1));
      require(either(either(isOne, isEmpty(tensor)), equal(view.strides[axis], dense)),
              tensor + ": must be dense in the layout of the attention");
    }
    dense = arith::MulIOp::create(values, dense, view.extents[axis]);
  }
}

} // namespace

void sage::emitCallChecks(HostValues &values, tile::ProgramOp program) {
  CallChecks(values, program).emit();
}
