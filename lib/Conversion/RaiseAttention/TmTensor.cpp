// tm_tensor.attention: softmax(Q · Kᵀ / sqrt(D) + mask) · V on [batch..., tokens, channels], 0 in
// rows whose weights are all 0.

#include "TmTensor.h"

#include <cmath>

using namespace mlir;
using namespace sage::raising;

bool sage::raising::isTmTensorAttention(Operation *op) {
  return op->getName().getStringRef() == "tm_tensor.attention";
}

std::optional<AttentionMatch>
sage::raising::matchTmTensorAttention(ElementReader &reader, Operation *op, Obstacle &obstacle) {
  auto stop = [&](const Twine &reason) {
    obstacle = {op, reason.str()};
    return std::nullopt;
  };
  // Queries, keys, values, perhaps a mask, and the output.
  unsigned count = op->getNumOperands();
  bool areTensors = llvm::all_of(op->getOperandTypes(), [&](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.getRank() >= 2 &&
           tensor.getRank() == cast<RankedTensorType>(op->getOperand(0).getType()).getRank();
  });
  if ((count != 4 && count != 5) || op->getNumResults() != 1 || !areTensors)
    return stop(
        "tm_tensor.attention must have queries, keys, values, perhaps a mask, and an output, "
        "tensors of one rank");
  auto typeOf = [&](unsigned k) { return cast<RankedTensorType>(op->getOperand(k).getType()); };
  int64_t channels = typeOf(0).getShape().back();
  if (ShapedType::isDynamic(channels))
    return stop("the scale of tm_tensor.attention must be known, but the head dim is dynamic");
  AttentionMatch match;
  match.root = op->getResult(0);
  match.product = op;
  match.isGuarded = true;
  match.scale = 1 / std::sqrt(static_cast<double>(channels));
  SmallVector<AffineExpr, 4> batch;
  for (int64_t extent : cast<RankedTensorType>(match.root.getType()).getShape()) {
    match.rootLoops.push_back(reader.loops.add(extent));
    batch.push_back(reader.loops.get(match.rootLoops.back()));
  }
  AffineExpr valueChannel = batch.pop_back_val(), query = batch.pop_back_val();
  match.keyLoop = reader.loops.add(typeOf(1).getShape().drop_back().back());
  match.channelLoop = reader.loops.add(channels);
  AffineExpr key = reader.loops.get(match.keyLoop), channel = reader.loops.get(match.channelLoop);
  auto elementOf = [&](unsigned k, AffineExpr row, AffineExpr column) {
    Element element{op->getOperand(k), batch};
    element.at.append({row, column});
    return element;
  };
  match.query = elementOf(0, query, channel);
  match.key = elementOf(1, key, channel);
  match.value = elementOf(2, key, valueChannel);
  if (count == 5) {
    ScoreTerm mask;
    mask.element = elementOf(3, query, key);
    mask.isVisibility = typeOf(3).getElementType().isInteger(1);
    mask.fill = -HUGE_VAL;
    mask.op = op;
    match.terms.push_back(mask);
  }
  return match;
}
