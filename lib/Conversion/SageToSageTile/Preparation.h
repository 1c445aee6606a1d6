// What the parts of the preparation share: fragments of rows, centring, scales of groups, and how a
// part is asked for its work.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_PREPARATION_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_PREPARATION_H

#include "TokenSpace.h"

#include <memory>

namespace sage {

/// Warps of a thread block of the preparation: as many as Spec N1 has partial sums.
inline constexpr int64_t preparationWarps = 8;
/// Largest block of queries that shares a scale.
inline constexpr int64_t maxSharedTokens = 512;
/// Query blocks that the score correction reads at once. Behind the last one, the table of their
/// means has as many rows of no meaning, so that no read needs a limit.
inline constexpr int64_t correctionRows = 8;

/// Work on one operand, in items of one head: a thread block takes an item.
class PreparationPart {
public:
  virtual ~PreparationPart() = default;

  virtual mlir::AffineExpr getItemsOfHead() = 0;
  /// Item `item` of the head `headRow`, by all warps together.
  virtual void emit(mlir::Value headRow, mlir::Value item) = 0;
};
using PreparationParts = llvm::SmallVector<std::unique_ptr<PreparationPart>>;

/// Which statistics of an operand are taken before it is quantized (Spec N1, N2, N4, N5).
struct StatisticsPlan {
  Side side;
  /// The caller's tensor, and the prefix of its slices.
  llvm::StringRef operand;
  Symbol batchStride, alignment;
  int64_t channels, paddedChannels;
  /// Tokens of one tile: a chunk, or a smoothing block.
  int64_t tileTokens;
  /// Whether it is centred, on the mean of all tokens or of each tile.
  bool smooths, centresTiles;
  /// Whether the largest magnitude of a channel, or of all channels, is wanted.
  bool needsMagnitude, joinsChannels;

  /// Whether tiles have sums that are joined.
  bool hasSums() const { return smooths && !centresTiles; }
  /// Whether magnitudes follow from extremes, because the mean is not known yet.
  bool hasExtremes() const { return needsMagnitude && hasSums(); }
  /// Whether what tiles found is joined.
  bool isJoined() const { return hasSums() || needsMagnitude; }
  std::string getName(llvm::StringRef slice) const { return (operand + "_" + slice).str(); }
};

/// The statistics that the recipe needs: none of an operand that is copied.
llvm::SmallVector<StatisticsPlan> getStatistics(const Problem &problem);

/// Statistics that others wait for. Each range of tokens has a counter of the tiles that are done.
class Statistics : public PreparationPart {
public:
  /// Waits for those of a row of tables with one row for each head of each entry.
  virtual void await(mlir::Value entryHead) = 0;
};

/// `counters` has a number for each range from `firstCounter` on.
std::unique_ptr<Statistics> createStatistics(ProgramBuilder &program, KernelBuilder &b,
                                             const StatisticsPlan &plan, mlir::Value counters,
                                             mlir::AffineExpr firstCounter);
/// Q or K as the attention kernel reads it, with its scales (Spec N4), and the correction of the
/// log-sum-exp (Spec N12). Statistics are null where there are none.
std::unique_ptr<PreparationPart> createScoreOperand(ProgramBuilder &program, KernelBuilder &b,
                                                    Side side, Statistics *queryStatistics,
                                                    Statistics *keyStatistics);
/// V in storage order (Spec N5, N6).
std::unique_ptr<PreparationPart> createValueOperand(ProgramBuilder &program, KernelBuilder &b,
                                                    Statistics *statistics);

/// One warp's rows, with `vectorLength` neighbouring columns in a lane; extents may have odd
/// factors. Lanes that share columns have neighbouring rows or, with `lanesTakeHighRows`, rows that
/// are four apart, so that neighbours are in one lane.
tile::FragmentType getRowMajor(mlir::Builder &b, int64_t rows, int64_t columns,
                               mlir::Type elementType, int64_t vectorLength,
                               bool lanesTakeHighRows = false);
/// (row, column) -> (0, column), and -> (0, 0).
mlir::AffineMap getRowBroadcast(mlir::Builder &b);
mlir::AffineMap getScalarBroadcast(mlir::Builder &b);

/// `x` minus its channels' mean. Rows from `rowsLeft` on are padding and stay zero; null where
/// there are none.
mlir::Value subtractMean(KernelBuilder &b, mlir::Value x, mlir::Value mean, mlir::Value rowsLeft);

/// The largest magnitude of what is left of numbers with the given maximum and (negated) minimum.
mlir::Value getCentredMagnitude(KernelBuilder &b, mlir::Value maximum, mlir::Value negatedMinimum,
                                mlir::Value mean);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_PREPARATION_H
