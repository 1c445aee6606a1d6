// Sums, extremes and magnitudes of channels: of tiles of tokens, then of whole ranges.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_TILESTATISTICS_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_TILESTATISTICS_H

#include "Preparation.h"
#include "QuantizeRows.h"

namespace sage {

/// What is accumulated over tokens, by channel; null where it is not wanted. Minima are negated, so
/// that both extremes are maxima.
struct Accumulators {
  mlir::Value sum, maximum, minimum;

  llvm::SmallVector<mlir::Value> getValues() const;
  /// The same ones with other values, in the order of `getValues()`.
  Accumulators replace(mlir::ValueRange values) const;
};

/// A thread block takes the statistics of one tile: warp w adds the tokens of one partial sum
/// of Spec N1. The block that finishes a range joins what its tiles found, in their order.
class TileStatistics final : public Statistics {
public:
  TileStatistics(ProgramBuilder &program, KernelBuilder &b, const StatisticsPlan &plan,
                 mlir::Value counters, mlir::AffineExpr firstCounter);

  mlir::AffineExpr getItemsOfHead() override;
  void emit(mlir::Value headRow, mlir::Value item) override;
  void await(mlir::Value entryHead) override;

private:
  // Statistics.cpp
  void addTables();
  mlir::Value countTiles(const TokenRange &range);
  mlir::Value getCounter(mlir::Value entryHead);
  Accumulators getInitial(tile::FragmentType type);
  bool takesExtremes() const { return plan.needsMagnitude && plan.smooths; }
  Accumulators accumulateWarp(const TokenTile &tile, mlir::Value chunk);
  Accumulators accumulateChunk(const TokenTile &tile, mlir::Value chunk);
  Accumulators accumulate(const TokenTile &tile);
  Accumulators addRows(const Accumulators &totals, mlir::Value x, mlir::Value rowsLeft);
  mlir::Value extend(mlir::Value maximum, mlir::Value x, mlir::Value rowsLeft, bool negate);
  void storeCentred(const TokenTile &tile, const Accumulators &totals, mlir::Value row);
  /// The channels that a warp takes where it takes all tokens, `columnType`; and whether no other
  /// warp takes the same.
  mlir::Value getColumn();
  mlir::Value isFirstOfColumn();

  // JoinStatistics.cpp
  void join(const TokenTile &tile, mlir::Value firstRow);
  Accumulators joinTables(mlir::Value firstRow, mlir::Value tiles, mlir::Value column);
  mlir::Value joinRows(mlir::Value accumulator, mlir::Value rows, mlir::Value rowsLeft, bool isSum);
  mlir::Value joinWarps(mlir::Value magnitude);
  void storeScales(mlir::Value magnitude, mlir::Value entryHead, mlir::Value column);

  ProgramBuilder &program;
  KernelBuilder &b;
  const StatisticsPlan plan;
  /// Tokens of a slot of the workspace.
  const int64_t slotTokens;
  TokenSpace space;
  CallerTensor input;
  mlir::Value counters;
  mlir::AffineExpr firstCounter;
  /// Tokens that a warp reads at once, all their channels; its row of what it accumulates; columns
  /// of a warp that joins rows.
  tile::FragmentType inputType, type, columnType;
  /// Tables by tile, then by range; shared memory for the partial sums and extremes of the warps.
  mlir::Value sums, maxima, minima, means, scales, inverses;
  Accumulators shared;
};

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_TILESTATISTICS_H
