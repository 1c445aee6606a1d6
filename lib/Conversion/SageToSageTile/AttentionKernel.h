// The attention kernel as a sequential program of one thread block: copies are synchronous,
// products add into O. One file for each concern; this class is what they share.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_ATTENTIONKERNEL_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_ATTENTIONKERNEL_H

#include "AttentionRows.h"
#include "QueryTurns.h"

namespace sage {

class AttentionKernel : AttentionRows {
public:
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
  /// Position of a key tile: its first token in the sequence, in its head and in the workspace.
  struct KeyTile {
    mlir::Value firstToken, firstOfHead, firstRow;
  };
  /// Columns [first, first + columns) of a tile: where they are copied from, and the shared tile
  /// that holds them (for V, with the rows of ones).
  struct Panel {
    int64_t first, columns;
    mlir::Value source, tile;
  };
  using Panels = llvm::SmallVector<Panel>;
  /// Scores of a tile. With a multiplier, x is their product (Spec N8); without, they are x.
  struct Scores {
    mlir::Value values, multiplier;
  };
  /// Row values of the online softmax (Spec N9): m', alpha, log2 of the range - m'.
  struct Maximum {
    mlir::Value maximum, rescale, offset;
  };

  // AttentionKernel.cpp: the block's work and the loop.
  void decodeBlock(bool reload = false);
  KeyTile locateKeyTile(mlir::Value iteration);
  State addKeyTile(mlir::Value iteration, const State &state);

  // AttentionOperands.cpp: parameters, shared tiles, copies.
  void addParameters();
  void addOperandBuffers();
  Panels addPanels(llvm::StringRef name, mlir::Type type, mlir::AffineExpr rows,
                   mlir::AffineExpr columns, int64_t boxRows, llvm::ArrayRef<int64_t> widths);
  /// Panels of the given widths in bytes, without sources.
  static Panels getPanels(mlir::Type type, llvm::ArrayRef<int64_t> widths);
  tile::SharedType getShared(int64_t rows, int64_t columns, mlir::Type type);
  void allocateTiles();
  void allocateValues();
  void copyKeys(const KeyTile &tile);
  void copyValues(const KeyTile &tile);

  // AttentionQuery.cpp: the Q operand and its scales.
  bool keepsQueryInRegisters() const;
  void prepareQuery();
  mlir::AffineMap getQueryGroup();
  void quantizeQuery(mlir::Value unitRow);
  void loadQueryScales();
  void setQueryScales(mlir::Value scales, mlir::AffineMap map);

  // AttentionMasks.cpp: which key tiles are visited, which are masked, what of them is visible.
  void countKeyTiles();
  void countVisibleTiles();
  mlir::Value isMasked(mlir::Value iteration);
  mlir::Value maskTile(mlir::Value scores, mlir::Value iteration, const KeyTile &tile);
  mlir::Value maskPositions(mlir::Value scores, mlir::Value keyStart);
  mlir::Value loadBias(const KeyTile &tile);
  mlir::Value maskByBias(mlir::Value scores, const KeyTile &tile);

  // AttentionScores.cpp: scales, product, terms of scores.
  mlir::Value readTileScale(const KeyTile &tile);
  mlir::Value combineScales(mlir::Value keyScale);
  mlir::Value multiplyKeys();
  mlir::Value addScoreTerms(mlir::Value products, mlir::Value multiplier);
  mlir::Value capScores(mlir::Value scores);
  mlir::Value addBias(mlir::Value scores, const KeyTile &tile);
  Scores computeScores(mlir::Value iteration, const KeyTile &tile, mlir::Value tileScale);

  // AttentionSoftmax.cpp: maximum, exponentials, sums, the product with V.
  mlir::Value findMaximum(const Scores &scores);
  Maximum updateMaximum(const Scores &scores, mlir::Value previous);
  mlir::Value computeProbabilities(const Scores &scores, const Maximum &maximum);
  mlir::Value packProbabilities(mlir::Value probabilities);
  mlir::Value addToSum(mlir::Value sum, mlir::Value rescale, mlir::Value probabilities);
  mlir::Value addProduct(mlir::Value output, mlir::Value rescale, mlir::Value packed);

  // AttentionKernel.cpp, too: the end.
  void finish(const State &state);
  void storeRows(const State &state, const RowSums &sums);

  // Parts.cpp: a part of the key tiles (Spec N18).
  void restrictToPart();
  void storePart(const State &state, const RowSums &rows);

  bool sumsQuantized() const { return outputColumns != channels; }
  bool isWgmma() const { return problem.schedule.getFamily() == Family::Wgmma; }
  /// Scales of one key tile: 1, 4 or one per token; 0 where nothing is quantized or one scale is
  /// for the whole head.
  int64_t getTileScales() const;
  bool hasTokenScales() const { return problem.recipe.getGranularity() == Granularity::PerToken; }
  bool hasFloatBias() const { return problem.bias && !problem.bias.isInteger(1); }
  /// Whether x is computed for every element (Spec N14).
  bool hasScoreTerms() const {
    return problem.recipe.hasScoreTerms() || problem.softcap || hasFloatBias();
  }
  bool hasLeftBound() const { return problem.windowLeft != nullptr; }

  const bool usesTensorMaps;
  /// Tokens of a key tile; columns of the accumulator of O.
  const int64_t keyTile, outputColumns;

  // Parameters.
  Panels query, key, value;
  mlir::Value queryScales, keyScales, scoreCorrection, bias;
  mlir::Value queryTiles, scaleLog2e;
  PartBuffers partBuffers;
  /// Where the kernel quantizes Q itself; the mean of K and the softmax scale with a correction of
  /// the log-sum-exp.
  std::optional<CallerTensor> queryInput;
  mlir::Value keyMean, softmaxScale;
  QueryTurns turns;

  // The block's work.
  /// Null where there is one.
  mlir::Value part;
  /// Tokens visible under a window end at `endTile`; `windowTiles` before it are visited, then the
  /// tiles of leading keys, `skippedTiles` further down.
  mlir::Value endTile, windowTiles, skippedTiles, tiles;
  /// Iterations below and from which on tiles are masked; position of a query's own key.
  mlir::Value maskedTiles, firstMaskedByLeft, diagonal;
  mlir::Value keyScalesShared, correctionShared, rowCorrection;
  /// scale · log2 e, times the query scale, for each row; with the key scale where that is the same
  /// for all tiles.
  mlir::Value queryMultiplier, headMultiplier;
  llvm::SmallVector<mlir::Value> queryOperands;
};

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_ATTENTIONKERNEL_H
