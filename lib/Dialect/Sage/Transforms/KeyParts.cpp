// In how many parts the key tiles of a call are taken, as code.

#include "sage/Dialect/Sage/Transforms/KeyParts.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace sage;

Value sage::emitKeyParts(ImplicitLocOpBuilder &b, GeometryAttr geometry, ValueRange extents) {
  Value zero = arith::ConstantIndexOp::create(b, 0), one = arith::ConstantIndexOp::create(b, 1);
  if (!geometry.getKeyParts())
    return one;
  // Nothing is divided by an empty extent, whatever is selected in the end.
  SmallVector<Value> positive;
  Value isEmpty = arith::ConstantOp::create(b, b.getBoolAttr(false));
  for (Value extent : extents) {
    Value isZero = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, extent, zero);
    isEmpty = arith::OrIOp::create(b, isEmpty, isZero);
    positive.push_back(arith::MaxSIOp::create(b, extent, one));
  }
  Value keyTile = arith::ConstantIndexOp::create(b, geometry.getKeyTile());
  Value parts = arith::CeilDivSIOp::create(b, positive.back(), keyTile);
  AffineMap map = geometry.getKeyParts().getValue();
  for (AffineExpr expr : map.getResults())
    parts = arith::MinSIOp::create(
        b, parts, affine::expandAffineExpr(b, b.getLoc(), expr, ValueRange(), positive));
  parts = arith::MaxSIOp::create(b, parts, one);
  return arith::SelectOp::create(b, isEmpty, one, parts);
}
