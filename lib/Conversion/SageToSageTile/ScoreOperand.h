// Q or K as the attention kernel reads it, and how a warp finds the scales of its rows.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_SCOREOPERAND_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_SCOREOPERAND_H

#include "GroupMagnitudes.h"
#include "Preparation.h"

namespace sage {

/// Where the scale of a row comes from.
enum class ScaleSource {
  /// Nothing is quantized.
  None,
  /// The statistics: one scale for the head.
  Head,
  /// The rows of the warp itself.
  Warp,
  /// Several warps of the thread block, through shared memory.
  Block
};

class ScoreOperand final : public PreparationPart {
public:
  ScoreOperand(ProgramBuilder &program, KernelBuilder &b, Side side, Statistics *queryStatistics,
               Statistics *keyStatistics)
      : program(program), problem(program.getProblem()), side(side), isQuery(side == Side::Query),
        groups(isQuery ? problem.getQueryGroups() : problem.getKeyGroups()), source(getSource()),
        tileTokens(source == ScaleSource::Block ? groups.tokens : Problem::warpRows),
        warpsOfTile(source == ScaleSource::Block ? countWarps(tileTokens) : 1),
        rows(tileTokens / warpsOfTile), tilesOfItem(preparationWarps / warpsOfTile), b(b),
        space(program, b, side, isQuery ? problem.getQueryPadding() : problem.getKeyTile()),
        keys(program, b, Side::Key, problem.getKeyTile()),
        input(program, b, isQuery ? "query" : "key", problem.headDim,
              isQuery ? Symbol::QueryB : Symbol::KeyB,
              isQuery ? Symbol::QueryAlign : Symbol::KeyAlign),
        inputType(getRows(problem.getPaddedHeadDim(), problem.elementType, /*vectorLength=*/8)),
        type(inputType.withElementType(b.getF32Type())),
        statistics(isQuery ? queryStatistics : keyStatistics), keyStatistics(keyStatistics) {
    addBuffers();
  }

  mlir::AffineExpr getItemsOfHead() override {
    return space.getTilesOfHead(tileTokens).ceilDiv(tilesOfItem);
  }
  void emit(mlir::Value headRow, mlir::Value item) override;

private:
  /// Groups of a warp's rows repeat after so many of them, at most.
  static constexpr int64_t leastRows = 8;

  /// Warps that share a tile equally, in multiples of `leastRows`.
  static int64_t countWarps(int64_t tokens) {
    int64_t warps = preparationWarps;
    while (tokens % (warps * leastRows) != 0)
      warps /= 2;
    return warps;
  }
  ScaleSource getSource() const;
  /// Rows of K's groups are neighbours in the registers of one lane.
  tile::FragmentType getRows(int64_t columns, mlir::Type elementType, int64_t vectorLength) {
    return getRowMajor(b, rows, columns, elementType, vectorLength, /*lanesTakeHighRows=*/!isQuery);
  }
  void addBuffers();
  TokenTile getTile(mlir::Value headRow, mlir::Value number);
  void awaitTile(const TokenTile &tile);
  void await(mlir::Value headRow, mlir::Value item);
  mlir::Value getKeyRow(const TokenTile &tile);
  mlir::Value loadMean(const TokenTile &tile, mlir::Value row);
  mlir::Value centre(mlir::Value x, mlir::Value mean, mlir::Value rowsLeft);
  std::pair<mlir::AffineMap, int64_t> getWarpGroups();
  bool needsMagnitudes() const {
    return source == ScaleSource::Warp || source == ScaleSource::Block;
  }
  mlir::Value getMagnitudes(mlir::Value x, mlir::Value mean, mlir::Value rowsLeft,
                            tile::FragmentType groupType);
  mlir::Value getInverses(llvm::function_ref<mlir::Value(tile::FragmentType)> getMagnitudes,
                          const TokenTile &tile, mlir::Value row);
  mlir::Value joinWarps(mlir::Value magnitudes);
  bool storesFloats() const { return llvm::isa<mlir::FloatType>(problem.getScoreType()); }
  mlir::Value getRowInverses(mlir::Value inverses, mlir::Value rowsLeft);
  mlir::Value quantize(mlir::Value x, mlir::Value inverses, mlir::AffineMap map);
  /// A row of each lane at a time.
  RowFold getSlices(tile::FragmentType ofRows) { return RowFold(ofRows, getScalarBroadcast(b)); }
  void quantizeOnce(mlir::Value x, const TokenTile &tile, mlir::Value row, mlir::Value rowsLeft);
  void quantizeTwice(mlir::Value x, const TokenTile &tile, mlir::Value row, mlir::Value rowsLeft);
  void store(mlir::Value x, const TokenTile &tile, mlir::Value row, mlir::AffineMap rowMap = {});
  mlir::Value loadKeyMean(const TokenTile &tile);
  void correctLse(mlir::Value x, mlir::Value mean, const TokenTile &tile, mlir::Value row,
                  mlir::AffineMap rowMap);

  ProgramBuilder &program;
  const Problem &problem;
  const Side side;
  const bool isQuery;
  const ScaleGroups groups;
  const ScaleSource source;
  /// Tokens of a tile, whose warps find scales together; the rows of one of them.
  const int64_t tileTokens, warpsOfTile, rows, tilesOfItem;
  KernelBuilder &b;
  TokenSpace space, keys;
  CallerTensor input;
  tile::FragmentType inputType, type;
  /// Of the operand, and of K for the log-sum-exp; null where there are none.
  Statistics *statistics, *keyStatistics;
  mlir::Value target, scales, inverseOfHead, means, keyMean, lseCorrection, softmaxScale;
};

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_SCOREOPERAND_H
