// Matrix products, at once and in flight.

#include "Verification.h"

#include "mlir/Support/LLVM.h"

using namespace mlir;

namespace sage::tile {

/// Element types that tensor cores multiply, and what they add into.
static bool isProduct(Type a, Type b, Type accumulator) {
  if (a != b)
    return false;
  if (a.isInteger(8))
    return accumulator.isInteger(32);
  if (isa<Float8E4M3FNType, Float8E5M2Type>(a) || a.isF16())
    return accumulator.isF32() || accumulator.isF16();
  return a.isBF16() && accumulator.isF32();
}

/// The lanes' share of one 16-row instruction tile; more rows and columns are more registers.
static bool startsLike(LayoutAttr layout, LayoutAttr atom) {
  return layout.getLane() == atom.getLane() &&
         layout.getReg().take_front(atom.getReg().size()) == atom.getReg();
}

template <typename Op> static LogicalResult verifyMma(Op op) {
  SharedType b = op.getB().getType();
  if (b.getRank() != 2)
    return op.emitOpError("b must be a tile of rank 2, but got ") << b;
  Type aType = op.getA().getType();
  auto accumulator = dyn_cast<FragmentType>(AsyncType::getArrived(op.getAccumulator().getType()));
  // Lane vectors do not show the product's shape; it was checked when they were fragments.
  if (!accumulator || isa<VectorType>(aType))
    return success();

  MLIRContext *context = op.getContext();
  ArrayRef<int64_t> shape;
  Type elementType;
  if (auto tile = dyn_cast<SharedType>(aType)) {
    shape = tile.getShape();
    elementType = tile.getElementType();
  } else {
    auto fragment = cast<FragmentType>(aType);
    shape = fragment.getShape();
    elementType = fragment.getElementType();
    LayoutAttr atom = elementType.getIntOrFloatBitWidth() == 8
                          ? LayoutAttr::operandA8(context, 1, shape.back())
                          : LayoutAttr::accumulator(context, 1, shape.back());
    if (!startsLike(fragment.getLayout(), atom) ||
        fragment.getLayout().getWarp() != accumulator.getLayout().getWarp())
      return op.emitOpError("a must have the layout of an A operand, but got ")
             << fragment.getLayout();
  }
  if (shape.size() != 2 || shape[0] != accumulator.getRows() || shape[1] != b.getShape()[1] ||
      b.getShape()[0] != accumulator.getColumns())
    return op.emitOpError("shapes must be [m, k], [n, k] and [m, n], but got ")
           << aType << ", " << b << " and " << accumulator;
  if (!isProduct(elementType, b.getElementType(), accumulator.getElementType()))
    return op.emitOpError(
               "elements must be i8 into i32, f8E4M3FN, f8E5M2 or f16 into f32 or f16, or "
               "bf16 into f32, but got ")
           << elementType << " times " << b.getElementType() << " into "
           << accumulator.getElementType();
  if (op.getInt4() && !elementType.isInteger(8))
    return op.emitOpError("4-bit operands must be packed in i8, but got ") << elementType;
  if (!startsLike(accumulator.getLayout(), LayoutAttr::accumulator(context, 1, 8)))
    return op.emitOpError("accumulator must have the layout of a 16x8 accumulator, but got ")
           << accumulator.getLayout();
  int64_t depthBytes = shape[1] * elementType.getIntOrFloatBitWidth() / 8;
  if (depthBytes % 32 != 0)
    return op.emitOpError("depth must be a multiple of 32 bytes, but got ") << depthBytes;
  return success();
}

LogicalResult MmaOp::verify() { return verifyMma(*this); }

LogicalResult MmaAsyncOp::verify() {
  if (auto kernel = (*this)->getParentOfType<KernelOp>();
      kernel && kernel.getUnit() != Unit::Warpgroup)
    return emitOpError("product in flight must be in a kernel whose unit is a warpgroup");
  return verifyMma(*this);
}

LogicalResult WaitOp::verify() {
  if (static_cast<int32_t>(getPending()) < 0)
    return emitOpError("pending products must not be negative, but got ")
           << static_cast<int32_t>(getPending());
  return success();
}

//===----------------------------------------------------------------------===//
// Products in flight
//===----------------------------------------------------------------------===//

static bool readsRegisters(MmaAsyncOp op) { return !isa<SharedType>(op.getA().getType()); }

/// Whether `convert` writes the registers of an A operand: packed bytes in its layout, or halves,
/// whose accumulator and operand layouts are the same.
static bool packsOperand(ConvertOp convert) {
  FragmentType result = convert.getResult().getType();
  if (result.getElementType().getIntOrFloatBitWidth() == 16)
    return convert.getSource().getType().getElementType().isF32() &&
           startsLike(result.getLayout(), LayoutAttr::accumulator(convert.getContext(), 1, 8));
  return result.getElementType().getIntOrFloatBitWidth() == 8 &&
         startsLike(result.getLayout(), LayoutAttr::operandA8(convert.getContext(), 1, 32));
}

static LogicalResult verifyBlock(Block &block, SmallVector<MmaAsyncOp> inFlight) {
  for (Operation &op : block) {
    if (auto product = dyn_cast<MmaAsyncOp>(op)) {
      inFlight.push_back(product);
      continue;
    }
    if (auto wait = dyn_cast<WaitOp>(op)) {
      // Products complete in order: at most the last `pending` remain.
      size_t pending = wait.getPending();
      auto *source = llvm::find_if(
          inFlight, [&](MmaAsyncOp product) { return product.getResult() == wait.getSource(); });
      if (source != inFlight.end() && size_t(inFlight.end() - source) <= pending)
        return wait.emitOpError("pending products must be fewer than those issued since the "
                                "source, ")
               << inFlight.end() - source << ", but got " << pending;
      if (inFlight.size() > pending)
        inFlight.erase(inFlight.begin(), inFlight.end() - pending);
      continue;
    }
    if (auto convert = dyn_cast<ConvertOp>(op); convert && packsOperand(convert)) {
      auto *product = llvm::find_if(inFlight, readsRegisters);
      if (product != inFlight.end()) {
        InFlightDiagnostic diagnostic = convert.emitOpError(
            "A operand must not be packed while a product that reads registers is in flight");
        diagnostic.attachNote(product->getLoc())
            << "wait for this product first: the assembler would serialize the products";
        return diagnostic;
      }
    }
    bool waits = false;
    for (Region &region : op.getRegions())
      for (Block &nested : region) {
        if (failed(verifyBlock(nested, inFlight)))
          return failure();
        nested.walk([&](WaitOp) { waits = true; });
      }
    // Which products a nested wait completed depends on control flow: assume all.
    if (waits)
      inFlight.clear();
  }
  return success();
}

LogicalResult verifyProductsInFlight(Block &block) { return verifyBlock(block, {}); }

} // namespace sage::tile
