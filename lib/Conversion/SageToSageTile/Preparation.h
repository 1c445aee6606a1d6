// What the preparation kernels share: fragments of rows, centring, scales of groups.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_PREPARATION_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_PREPARATION_H

#include "TokenSpace.h"

namespace sage {

/// Warps of a thread block whose warps work apart.
inline constexpr int64_t warpsPerBlock = 4;
/// Channels that one warp takes at once where channels are independent.
inline constexpr int64_t panelColumns = 64;
/// Largest block of queries whose warps fit one thread block.
inline constexpr int64_t maxSharedTokens = 512;

/// Sums and extremes over tiles of tokens, then means, and the scales that cover a whole head or a
/// channel of V (Spec N1, N2, N4, N5).
void addChunkStatistics(ProgramBuilder &program);
void addJoinStatistics(ProgramBuilder &program);
/// Q and K as the attention kernel reads them, with their scales (Spec N4), and the correction of
/// the log-sum-exp (Spec N12).
void addScoreOperand(ProgramBuilder &program, Side side);
/// V in storage order (Spec N5, N6).
void addValueOperand(ProgramBuilder &program);

/// Which statistics of an operand are taken in a first pass over its tokens.
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
  std::string getName(llvm::StringRef slice) const { return (operand + "_" + slice).str(); }
};

/// The statistics that the recipe needs: none of an operand that is copied.
llvm::SmallVector<StatisticsPlan> getStatistics(const Problem &problem);

/// One warp's rows, with `vectorLength` neighbouring columns in a lane; columns are a power of two
/// or three times one.
tile::FragmentType getRowMajor(mlir::Builder &b, int64_t rows, int64_t columns,
                               mlir::Type elementType, int64_t vectorLength);
/// (row, column) -> (0, column), and -> (0, 0).
mlir::AffineMap getRowBroadcast(mlir::Builder &b);
mlir::AffineMap getScalarBroadcast(mlir::Builder &b);

/// `x` minus its channels' mean in row `row` of `means` from `column` on. Rows from `rowsLeft` on
/// are padding and stay zero.
mlir::Value subtractMean(KernelBuilder &b, mlir::Value x, mlir::Value means, mlir::Value row,
                         mlir::Value column, mlir::Value rowsLeft);
/// The largest magnitude of what is left of numbers with the given maximum and (negated) minimum.
mlir::Value getCentredMagnitude(KernelBuilder &b, mlir::Value maximum, mlir::Value negatedMinimum,
                                mlir::Value mean);
/// The scales (or their inverses) of groups with the given largest magnitudes (Spec N4, P1).
mlir::Value getScales(KernelBuilder &b, mlir::Value magnitudes, float range, bool inverse);
/// Table with one row of `columns` numbers.
mlir::MemRefType getTable(mlir::Builder &b, int64_t columns);
/// Numbers without a row structure.
mlir::MemRefType getVector(mlir::Builder &b);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_PREPARATION_H
