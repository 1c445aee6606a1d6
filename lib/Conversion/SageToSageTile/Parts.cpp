// The keys of a call in parts (Spec N18): which tiles belong to a part, and what it leaves.

#include "AttentionKernel.h"

using namespace mlir;
using namespace sage;

/// Channels of O that are stored at a time.
static constexpr int64_t partChunk = 64;

AttentionRows::PartBuffers AttentionRows::addPartBuffers() {
  Type f32 = b.getF32Type();
  AffineExpr parts = program.get(Symbol::Parts);
  return {b.addBuffer(buffer::partOutputs, MemRefType::get({ShapedType::kDynamic, channels}, f32)),
          b.addRows(buffer::partMaxima, f32, parts), b.addRows(buffer::partSums, f32, parts)};
}

Value AttentionRows::getPartRow(Value part) {
  // Two factors: their product may be above 2^31 where there is one part.
  Value head = b.mul(part, b.addInteger(program.getQueryHeads()));
  return b.mul(head, b.addInteger(program.getPaddedQueries()));
}

/// Leaves the tiles of the block's part of those that are visited. Where the iterations begin and
/// end is all that changes: the loop is the same.
void AttentionKernel::restrictToPart() {
  AffineExpr parts = program.get(Symbol::Parts);
  Value size;
  if (problem.hasKeyLengths) {
    Value count = b.addInteger(parts), less = b.sub(count, b.index(1));
    size = b.divide(b.add(b.ceilDivide(keys.tokens, keyTile), less), count).first;
  } else {
    size = b.addInteger(program.get(Symbol::Nk).ceilDiv(keyTile).ceilDiv(parts));
  }
  Value begin = b.mul(part, size), end = minimum(b.add(begin, size), endTile);
  Value dropped = b.sub(endTile, end);
  maskedTiles = notNegative(b.sub(maskedTiles, dropped));
  if (!hasLeftBound()) {
    tiles = windowTiles = notNegative(b.sub(end, begin));
    endTile = end;
    return;
  }
  firstMaskedByLeft = b.sub(firstMaskedByLeft, dropped);
  Value leading = b.sub(tiles, windowTiles), firstTile = b.sub(endTile, windowTiles);
  Value first = arith::MaxSIOp::create(b, firstTile, begin);
  Value leadingEnd = minimum(leading, end);
  windowTiles = notNegative(b.sub(end, first));
  tiles = b.add(windowTiles, notNegative(b.sub(leadingEnd, minimum(leading, begin))));
  skippedTiles = b.sub(b.sub(end, windowTiles), leadingEnd);
  endTile = end;
}

/// O, m and l as they are, for the kernel that joins them.
void AttentionKernel::storePart(const State &state, const RowSums &rows) {
  Value entry = querySpace.getRow(static_cast<const TokenRange &>(queries));
  Value limit = b.add(entry, queries.tokens), partRow = getPartRow(part);
  for (int64_t first = 0; first < channels; first += partChunk) {
    Value chunk =
        tile::SliceOp::create(b, getAccumulator(partChunk, b.getF32Type()), state.output, first);
    b.store(chunk, partBuffers.outputs, {b.add(partRow, unitQueryRow), b.index(first)},
            b.add(partRow, limit));
  }
  b.store(rows.maximum, partBuffers.maxima, {unitQueryRow, part}, limit);
  b.store(rows.sum, partBuffers.sums, {unitQueryRow, part}, limit);
}
