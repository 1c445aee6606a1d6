// The query blocks of a turn.

#include "QueryTurns.h"

using namespace mlir;
using namespace sage;

/// As many rows of float32 as there are bytes in 16-bit K and V, and one, so that it is not zero.
AffineExpr QueryTurns::getMaxBlocks() {
  return program.getKeyHeads() * ((problem.headDim + problem.valueHeadDim) / 2) + 1;
}

AffineExpr QueryTurns::getGrid() {
  if (!isRepeated())
    return queries.getTiles(problem.getQueryTile());
  return getTurnBlocks() * getTilesOfBlock();
}

Value QueryTurns::getFirstBlock() {
  Value first = b.addInteger(program.get(Symbol::Step) * getTurnBlocks());
  Value last = b.sub(b.addInteger(getBlocks()), b.index(1));
  return arith::MinSIOp::create(b, first, last);
}

Value QueryTurns::getTile(Value threadBlock) {
  if (!isRepeated())
    return threadBlock;
  Value tile = b.add(b.mul(getFirstBlock(), getTilesOfBlock()), threadBlock);
  Value last = b.sub(b.addInteger(queries.getTiles(problem.getQueryTile())), b.index(1));
  return arith::MinSIOp::create(b, tile, last);
}
