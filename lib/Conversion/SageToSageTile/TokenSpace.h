// Where tokens lie: how many a batch entry has, where they begin in the caller's tensor and in the
// workspace, and which of them a thread block works on. Every kernel asks here.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_TOKENSPACE_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_TOKENSPACE_H

#include "ProgramBuilder.h"

namespace sage {

/// Whose tokens: those of Q and O, or those of K and V.
enum class Side { Query, Key };

/// The tokens of one head of one batch entry.
struct TokenRange {
  /// Indices into the caller's tensor.
  mlir::Value batch, head;
  mlir::Value entry;
  /// The head among those that lie one after the other in the workspace.
  mlir::Value headRow;
  /// Row of tables with one row for each head of each entry.
  mlir::Value entryHead;
  mlir::Value tokens;
  /// The first token in the caller's tensor, and among the padded tokens of its head.
  mlir::Value callerFirst, paddedFirst;
};

/// Neighbouring tokens of a range.
struct TokenTile : TokenRange {
  /// Number of the tile over all heads.
  mlir::Value index;
  /// Its first token, counted from the range's.
  mlir::Value first;
  /// Whether there is such a tile; null where there always is.
  mlir::Value exists;
};

/// The tokens of one side. Heads are padded to whole slots of `slotTokens`, in which tiles lie.
///
/// A batch entry's tokens are those of the tensor, or as many as `key_lengths` says. In a packed
/// batch the entries are sequences that follow each other in the caller's tensor; sequence s begins
/// at slot floor(offsets[s] / slotTokens) + s, which leaves room for every sequence before it and
/// is known without reading their lengths.
class TokenSpace {
public:
  /// Adds the parameters of the kernel that it needs when they are asked for.
  TokenSpace(ProgramBuilder &program, KernelBuilder &b, Side side, int64_t slotTokens);

  /// Tiles of `tileTokens`, a divisor of the slot, over all heads: those of slots that hold a
  /// token.
  mlir::AffineExpr getTiles(int64_t tileTokens) { return getHeads() * getTilesOfHead(tileTokens); }
  mlir::AffineExpr getTilesOfHead(int64_t tileTokens);
  /// The tile of a number below the number of tiles, or of any number where `isChecked`.
  TokenTile decode(mlir::Value index, int64_t tileTokens, bool isChecked = false);
  /// The tile `number` of the head `headRow`.
  TokenTile locate(mlir::Value headRow, mlir::Value number, int64_t tileTokens);
  TokenRange getRange(mlir::Value entry, mlir::Value head);
  /// The range of a row of tables with one row for each head of each entry.
  TokenRange getRangeOfEntryHead(mlir::Value entryHead);

  /// Row of `range`'s first token, of `tile`'s, in buffers of padded heads.
  mlir::Value getRow(const TokenRange &range);
  mlir::Value getRow(const TokenTile &tile) {
    return b.add(getRow(static_cast<const TokenRange &>(tile)), tile.first);
  }
  /// Number of `range`'s first tile over all heads, and how many tiles hold its tokens.
  mlir::Value getFirstTile(const TokenRange &range, int64_t tileTokens);
  mlir::Value countTiles(const TokenRange &range, int64_t tileTokens) {
    return b.ceilDivide(range.tokens, tileTokens);
  }
  /// The entry whose slot holds tile `number` of a packed head.
  mlir::Value findSequence(mlir::Value number, int64_t tileTokens);
  /// Heads of one entry.
  mlir::Value getHeadCount() { return b.addInteger(program.get(headSymbol)); }

private:
  mlir::AffineExpr getHeads() { return program.get(Symbol::B) * program.get(headSymbol); }
  bool isPacked() const { return program.getProblem().isPacked; }
  /// An element of `lengths` or of offsets, limited to [low, high].
  mlir::Value read(mlir::Value index, mlir::Value low, mlir::Value high);
  /// The slot where sequence `entry` begins, whose first token is `first`.
  mlir::Value getSlot(mlir::Value entry, mlir::Value first) {
    return b.add(b.divide(first, b.index(slotTokens)).first, entry);
  }

  ProgramBuilder &program;
  KernelBuilder &b;
  Symbol tokenSymbol, headSymbol;
  int64_t slotTokens;
  mlir::AffineExpr paddedTokens;
  /// Key lengths, or the offsets of sequences; null where all entries are whole.
  mlir::Value lengths;
};

/// A caller's tensor of tokens, read (or written) by tiles. Columns of a fragment past the tensor's
/// are zero.
class CallerTensor {
public:
  CallerTensor(ProgramBuilder &program, KernelBuilder &b, mlir::StringRef name, int64_t channels,
               Symbol batchStride, Symbol alignment);

  /// Rows from token `offset` of `tile` on; tokens from `end` (of the range: by default its number
  /// of tokens) are zero. With `column`, columns from there on. `map` says which row and column an
  /// element of the fragment is.
  mlir::Value load(tile::FragmentType type, const TokenTile &tile, mlir::Value offset,
                   mlir::Value column = {}, mlir::Value end = {}, mlir::AffineMap map = {});

  /// Asks for the rows of `tile`, `rows` at most, to be in L2 soon.
  void prefetch(const TokenTile &tile, int64_t rows);

private:
  KernelBuilder &b;
  int64_t channels;
  mlir::Value tensor, aligned;
};

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_TOKENSPACE_H
