// Where tokens lie.

#include "TokenSpace.h"

using namespace mlir;
using namespace sage;

TokenSpace::TokenSpace(ProgramBuilder &program, KernelBuilder &b, Side side, int64_t slotTokens)
    : program(program), b(b), tokenSymbol(side == Side::Query ? Symbol::Nq : Symbol::Nk),
      headSymbol(side == Side::Query ? Symbol::Hq : Symbol::Hkv), slotTokens(slotTokens),
      paddedTokens(side == Side::Query ? program.getPaddedQueries() : program.getPaddedKeys()) {
  auto type = MemRefType::get({ShapedType::kDynamic}, b.getI32Type());
  if (isPacked())
    lengths = b.addBuffer(side == Side::Query ? "query_offsets" : "key_offsets", type);
  else if (side == Side::Key && program.getProblem().hasKeyLengths)
    lengths = b.addBuffer("key_lengths", type);
}

AffineExpr TokenSpace::getTilesOfHead(int64_t tileTokens) {
  AffineExpr tokens = program.get(tokenSymbol);
  AffineExpr slots = isPacked() ? tokens.floorDiv(slotTokens) + program.get(Symbol::S)
                                : tokens.ceilDiv(slotTokens);
  return slots * (slotTokens / tileTokens);
}

TokenTile TokenSpace::decode(Value index, int64_t tileTokens, bool isChecked) {
  auto [headRow, number] = b.divide(index, b.addInteger(getTilesOfHead(tileTokens)));
  TokenTile tile = locate(headRow, number, tileTokens);
  tile.index = index;
  if (!isChecked)
    return tile;
  Value inGrid = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, index,
                                       b.addInteger(getTiles(tileTokens)));
  tile.exists = tile.exists ? arith::AndIOp::create(b, inGrid, tile.exists).getResult() : inGrid;
  return tile;
}

TokenTile TokenSpace::locate(Value headRow, Value number, int64_t tileTokens) {
  TokenTile tile;
  if (isPacked()) {
    static_cast<TokenRange &>(tile) = getRange(findSequence(number, tileTokens), headRow);
    tile.first = b.sub(b.mul(number, tileTokens), tile.paddedFirst);
  } else {
    auto [batch, head] = b.divide(headRow, getHeadCount());
    static_cast<TokenRange &>(tile) = getRange(batch, head);
    tile.headRow = tile.entryHead = headRow;
    tile.first = b.mul(number, tileTokens);
  }
  tile.index = b.add(b.mul(headRow, b.addInteger(getTilesOfHead(tileTokens))), number);
  // Slots without a token are nobody's. Unsigned: nor are those before the first sequence.
  if (lengths) {
    Value end = b.mul(b.ceilDivide(tile.tokens, slotTokens), slotTokens);
    tile.exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, tile.first, end);
  }
  return tile;
}

Value TokenSpace::read(Value index, Value low, Value high) {
  Value element = tile::ReadOp::create(b, lengths, index);
  element = arith::IndexCastOp::create(b, b.getIndexType(), element);
  return arith::MinSIOp::create(b, arith::MaxSIOp::create(b, element, low), high);
}

Value TokenSpace::findSequence(Value number, int64_t tileTokens) {
  Value slot = b.divide(number, b.index(slotTokens / tileTokens)).first;
  Value sequences = b.addInteger(program.get(Symbol::S));
  Value total = b.addInteger(program.get(tokenSymbol));
  // Halving fewer than 2^31 sequences ends after 31 steps, and after as many as there are.
  Value steps = arith::MinSIOp::create(b, sequences, b.index(31));
  auto loop =
      scf::ForOp::create(b, b.index(0), steps, b.index(1), ValueRange{b.index(0), sequences});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    // The sequence is at or above `low` and below `high`.
    Value low = loop.getRegionIterArgs()[0], high = loop.getRegionIterArgs()[1];
    Value middle = b.divide(b.add(low, high), b.index(2)).first;
    Value begin = getSlot(middle, read(middle, b.index(0), total));
    Value isBehind = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, slot, begin);
    scf::YieldOp::create(b, ValueRange{arith::SelectOp::create(b, isBehind, low, middle),
                                       arith::SelectOp::create(b, isBehind, middle, high)});
  }
  return loop.getResult(0);
}

TokenRange TokenSpace::getRange(Value entry, Value head) {
  TokenRange range;
  Value zero = b.index(0), total = b.addInteger(program.get(tokenSymbol));
  range.entry = entry;
  range.head = head;
  range.entryHead = b.add(b.mul(entry, getHeadCount()), head);
  if (isPacked()) {
    range.batch = zero;
    range.headRow = head;
    range.callerFirst = read(entry, zero, total);
    Value end = read(b.add(entry, b.index(1)), range.callerFirst, total);
    range.tokens = b.sub(end, range.callerFirst);
    range.paddedFirst = b.mul(getSlot(entry, range.callerFirst), slotTokens);
    return range;
  }
  range.batch = entry;
  range.headRow = range.entryHead;
  range.tokens = lengths ? read(entry, zero, total) : total;
  range.callerFirst = range.paddedFirst = zero;
  return range;
}

TokenRange TokenSpace::getRangeOfEntryHead(Value entryHead) {
  auto [entry, head] = b.divide(entryHead, getHeadCount());
  TokenRange range = getRange(entry, head);
  range.entryHead = entryHead;
  return range;
}

Value TokenSpace::getRow(const TokenRange &range) {
  return b.add(b.mul(range.headRow, b.addInteger(paddedTokens)), range.paddedFirst);
}

Value TokenSpace::getFirstTile(const TokenRange &range, int64_t tileTokens) {
  Value tilesOfHead = b.addInteger(getTilesOfHead(tileTokens));
  return b.add(b.mul(range.headRow, tilesOfHead),
               b.divide(range.paddedFirst, b.index(tileTokens)).first);
}

CallerTensor::CallerTensor(ProgramBuilder &program, KernelBuilder &b, StringRef name,
                           int64_t channels, Symbol batchStride, Symbol alignment)
    : b(b), channels(channels),
      tensor(b.addTensor(name, program.getProblem().elementType, channels, batchStride)),
      aligned(b.addAlignment(alignment)) {}

Value CallerTensor::load(tile::FragmentType type, const TokenTile &tile, Value offset, Value column,
                         Value end, AffineMap map) {
  Access access;
  access.map = map;
  access.limit = b.add(tile.callerFirst, end ? end : tile.tokens);
  access.aligned = aligned;
  if (column && channels % type.getColumns() != 0)
    access.columnLimit = b.index(channels);
  if (!column && channels < type.getColumns())
    access.columns = channels;
  Value token = b.add(b.add(tile.callerFirst, tile.first), offset);
  return b.load(type, tensor, {tile.batch, tile.head, token, column ? column : b.index(0)}, access);
}

void CallerTensor::prefetch(const TokenTile &tile, int64_t rows) {
  Value left = arith::MaxSIOp::create(b, b.sub(tile.tokens, tile.first), b.index(0));
  Value token = b.add(tile.callerFirst, tile.first);
  tile::PrefetchOp::create(b, tensor, ValueRange{tile.batch, tile.head, token, b.index(0)},
                           arith::MinSIOp::create(b, left, b.index(rows)), aligned, channels);
}
