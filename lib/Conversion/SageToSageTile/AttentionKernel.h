// The attention kernel as a sequential program of one thread block: copies are synchronous,
// products add into O. One file for each concern; this class is what they share.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_ATTENTIONKERNEL_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_ATTENTIONKERNEL_H

#include "ProgramBuilder.h"

namespace sage {

class AttentionKernel {
public:
  /// Lanes of a quad: scale groups of a key tile.
  static constexpr int64_t keyGroups = 4;
  /// Rows of ones below V's channels, so that the tensor core adds the row sums: the width of one
  /// n8 block.
  static constexpr int64_t sumRows = 8;

  explicit AttentionKernel(ProgramBuilder &program);

  void build();

private:
  /// What the loop over key tiles carries. There is no sum where the products make it.
  struct State {
    mlir::Value output, maximum, sum;
    llvm::SmallVector<mlir::Value> getValues() const;
    static State get(mlir::ValueRange values);
  };
  /// Position of a key tile: its first token in the sequence and in the workspace.
  struct KeyTile {
    mlir::Value firstToken, firstRow;
  };
  /// S and what it is multiplied with, one factor per row and scale group (Spec N8).
  struct Scores {
    mlir::Value values, multiplier;
  };
  /// Row values of the online softmax (Spec N9): m', alpha, log2 of the range - m'.
  struct Maximum {
    mlir::Value maximum, rescale, offset;
  };

  // AttentionKernel.cpp: the block's work and the loop.
  void decodeBlock(bool reload = false);
  void countKeyTiles();
  State addKeyTile(mlir::Value iteration, const State &state);

  // AttentionOperands.cpp: parameters, shared tiles, copies, the Q operand.
  void addParameters();
  void addOperandBuffers();
  void prepareQuery();
  void allocateTiles();
  void copyKeys(const KeyTile &tile);
  void copyValues(const KeyTile &tile);

  // AttentionScores.cpp: multiplier, product, masks.
  mlir::Value loadQueryMultiplier();
  Scores computeScores(mlir::Value iteration, const KeyTile &tile);
  mlir::Value computeMultiplier();
  mlir::Value maskPositions(mlir::Value scores, mlir::Value keyStart);

  // AttentionSoftmax.cpp: maximum, exponentials, sums, the product with V.
  Maximum updateMaximum(const Scores &scores, mlir::Value previous);
  mlir::Value computeProbabilities(const Scores &scores, const Maximum &maximum);
  mlir::Value packProbabilities(mlir::Value probabilities);
  mlir::Value addToSum(mlir::Value sum, mlir::Value rescale, mlir::Value probabilities);
  mlir::Value addProduct(mlir::Value output, mlir::Value rescale, mlir::Value packed);

  // AttentionOutput.cpp: normalization, log-sum-exp.
  void finish(const State &state);
  void storeLse(mlir::Value maximum, mlir::Value sum);

  bool sumsQuantized() const { return outputColumns != channels; }
  tile::FragmentType getFragment(int64_t rows, int64_t columns, mlir::Type type,
                                 tile::LayoutAttr layout);
  /// Scores, probabilities, outputs: `columns` columns of the accumulator.
  tile::FragmentType getAccumulator(int64_t columns, mlir::Type type);
  /// One value per row.
  tile::FragmentType getRow(mlir::Type type);
  /// One value per row and key scale group.
  tile::FragmentType getGrouped();
  int64_t warps() const { return unitRows / Problem::warpRows; }
  tile::SharedType getShared(int64_t rows, int64_t columns, mlir::Type type);
  /// (row, column) -> (row, 0), (0, column), and the scale group of the row.
  mlir::AffineMap toRow();
  mlir::AffineMap toColumn();
  mlir::AffineMap toGroup();
  mlir::Value minimum(mlir::Value x, mlir::Value y);
  mlir::Value notNegative(mlir::Value x);

  ProgramBuilder &program;
  const Problem &problem;
  const bool usesTensorMaps;
  const int64_t unitRows, keyTile, channels, outputColumns;
  KernelBuilder b;

  // Parameters.
  mlir::Value queryBuffer, keyBuffer, valueBuffer, queryScales, keyScales, valueScales, output, lse,
      lseCorrection;
  mlir::Value queries, keys, queryHeads, keyHeads, batches, queryTiles, paddedQueries, paddedKeys,
      scaleLog2e;

  // The block's work.
  mlir::Value batch, head, queryHeadRow, keyHeadRow, firstQuery, tiles, maskedTiles, causalOffset;
  mlir::Value firstUnitQuery, queryShared, queryOperand, queryMultiplier, keyShared,
      keyScalesShared, valueShared;
};

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_ATTENTIONKERNEL_H
