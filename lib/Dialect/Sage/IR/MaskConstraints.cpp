// Constraints on what hides keys, ends sequences and changes scores.

#include "AttentionConstraints.h"

using namespace mlir;
using namespace sage;

/// Windows and sink tokens stay below it, so that sums with a token's index fit 32 bits.
static constexpr int64_t maxWindow = int64_t(1) << 30;
/// Soft caps lie between its inverse and it, so that neither they nor their inverses are denormal.
static constexpr double maxSoftcap = 18446744073709551616.0; // 2^64

int64_t sage::countSequences(Value offsets) {
  int64_t size = cast<ShapedType>(offsets.getType()).getDimSize(0);
  return ShapedType::isDynamic(size) ? size : size - 1;
}

int64_t sage::countBlocks(int64_t tokens, int64_t block, Value offsets) {
  int64_t sequences = offsets ? countSequences(offsets) : 1;
  if (block == 0)
    return sequences;
  if (ShapedType::isDynamic(tokens) || ShapedType::isDynamic(sequences))
    return ShapedType::kDynamic;
  return offsets ? tokens / block + sequences : llvm::divideCeil(tokens, block);
}

static bool isVectorOf(Value operand, unsigned bits) {
  auto type = cast<ShapedType>(operand.getType());
  return type.getRank() == 1 && type.getElementType().isInteger(bits);
}

/// i32 [sequences + 1]: with an empty vector there is not even the end of no sequences.
static bool isOffsets(Value operand) {
  return isVectorOf(operand, 32) && cast<ShapedType>(operand.getType()).getDimSize(0) != 0;
}

LogicalResult sage::checkTokenLengths(std::optional<Location> location, Value lengths,
                                      Value offsets, int64_t batch) {
  if (lengths && offsets)
    return emitOptionalError(location, "lengths and offsets must not both be given [M8]");
  if (lengths && (!isVectorOf(lengths, 32) ||
                  differ(cast<ShapedType>(lengths.getType()).getDimSize(0), batch)))
    return emitOptionalError(location, "lengths must be i32 [batch], but got ", lengths.getType(),
                             " [M8]");
  if (offsets && !isOffsets(offsets))
    return emitOptionalError(location, "offsets must be i32 [sequences + 1], but got ",
                             offsets.getType(), " [M8]");
  if (offsets && differ(batch, 1))
    return emitOptionalError(location, "batch must be 1 with offsets, but got ", batch, " [M8]");
  return success();
}

static LogicalResult verifyBias(const AttentionView &view) {
  auto type = cast<ShapedType>(view.masking.bias.getType());
  AttentionShape shape = view.getShape();
  const int64_t full[] = {shape.batch, shape.queryHeads, shape.queryTokens, shape.keyTokens};
  Type element = type.getElementType();
  bool fits =
      type.getRank() == 4 && (isSixteenBit(element) || element.isF32() || element.isInteger(1));
  for (unsigned i = 0; fits && i < 4; ++i)
    fits = type.getDimSize(i) == 1 || !differ(type.getDimSize(i), full[i]);
  if (fits)
    return success();
  auto diagnostic = view.op->emitOpError()
                    << "bias must be f16, bf16, f32 or i1 [batch or 1, query heads or 1, query "
                       "tokens or 1, key tokens or 1], but got "
                    << type << " [C9]";
  if (element.isInteger() && !element.isInteger(1))
    diagnostic.attachNote() << "a boolean mask is i1, true where the key is visible";
  return diagnostic;
}

/// C15 of packed sequences.
static LogicalResult verifySequences(const AttentionView &view) {
  Operation *op = view.op;
  const Masking &masking = view.masking;
  Value query = masking.queryOffsets, key = masking.keyOffsets;
  if (!query && !key)
    return success();
  if (!query || !key)
    return op->emitOpError() << "query offsets and key offsets must be given together [C15]";
  if (!isOffsets(query) || !isOffsets(key) || differ(countSequences(query), countSequences(key)))
    return op->emitOpError() << "query offsets and key offsets must be i32 [sequences + 1], but "
                                "got "
                             << query.getType() << " and " << key.getType() << " [C15]";
  int64_t batch = view.getShape().batch;
  if (differ(batch, 1)) {
    auto diagnostic = op->emitOpError()
                      << "batch must be 1 with offsets, but got " << batch << " [C15]";
    diagnostic.attachNote() << "concatenate the sequences along the tokens";
    return diagnostic;
  }
  if (masking.keyLengths) {
    auto diagnostic = op->emitOpError() << "key lengths must be left out with offsets [C15]";
    diagnostic.attachNote() << "let the key offsets end each sequence";
    return diagnostic;
  }
  return success();
}

/// C16 of the window's bounds.
static LogicalResult verifyWindow(const AttentionView &view) {
  Operation *op = view.op;
  const Masking &masking = view.masking;
  const std::pair<StringRef, IntegerAttr> bounds[] = {{"window_left", masking.windowLeft},
                                                      {"window_right", masking.windowRight},
                                                      {"sink_tokens", masking.sinkTokens}};
  for (auto [name, bound] : bounds)
    if (bound && (bound.getInt() < 0 || bound.getInt() > maxWindow))
      return op->emitOpError() << name << " must be 0 to " << maxWindow << ", but got "
                               << bound.getInt() << " [C16]";
  bool isWindow = masking.mask == Mask::WindowTopLeft || masking.mask == Mask::WindowBottomRight;
  StringRef name = stringifyMask(masking.mask);
  if (isWindow && !masking.windowLeft && !masking.windowRight)
    return op->emitOpError() << "mask " << name
                             << " must come with window_left or window_right [C16]";
  if (masking.windowRight && !isWindow) {
    auto diagnostic = op->emitOpError()
                      << "window_right must be left out with mask " << name << " [C16]";
    diagnostic.attachNote() << "use window_top_left or window_bottom_right; a causal mask is a "
                               "window whose right bound is 0";
    return diagnostic;
  }
  if (masking.windowLeft && masking.mask == Mask::None) {
    auto diagnostic = op->emitOpError() << "window_left must be left out with mask none [C16]";
    diagnostic.attachNote() << "use a causal mask, window_top_left or window_bottom_right";
    return diagnostic;
  }
  if (masking.sinkTokens && !masking.windowLeft)
    return op->emitOpError() << "sink_tokens must come with window_left [C16]";
  return success();
}

LogicalResult sage::verifyMasking(const AttentionView &view) {
  Operation *op = view.op;
  const Masking &masking = view.masking;
  AttentionShape shape = view.getShape();
  if (masking.bias && failed(verifyBias(view)))
    return failure();
  if (masking.keyLengths &&
      (!isVectorOf(masking.keyLengths, 32) ||
       !hasShape(cast<ShapedType>(masking.keyLengths.getType()), {shape.batch})))
    return op->emitOpError() << "key lengths must be i32 [batch], but got "
                             << masking.keyLengths.getType() << " [C13]";
  if (masking.sinks) {
    auto type = cast<ShapedType>(masking.sinks.getType());
    if (!type.getElementType().isF32() || !hasShape(type, {shape.queryHeads}))
      return op->emitOpError() << "sinks must be f32 [query heads], but got " << type << " [C14]";
  }
  if (failed(verifySequences(view)) || failed(verifyWindow(view)))
    return failure();
  if (!masking.softcap)
    return success();
  double softcap = masking.softcap.getValueAsDouble();
  // Written so that NaN fails.
  if (!(softcap >= 1 / maxSoftcap && softcap <= maxSoftcap))
    return op->emitOpError() << "softcap must be 2^-64 to 2^64, but got " << masking.softcap
                             << " [C17]";
  return success();
}
