// Rows of queries of one unit: the fragments that hold something for each of them, and how their
// attention ends. What the attention kernel shares with the kernel that joins parts.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_ATTENTIONROWS_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_ATTENTIONROWS_H

#include "TokenSpace.h"

namespace sage {

class AttentionRows {
public:
  static constexpr double log2OfE = Problem::log2OfE;

protected:
  /// Starts the kernel `name` of `units` units with `unitRows` rows each.
  AttentionRows(ProgramBuilder &program, llvm::StringRef name, tile::Unit unit, int64_t units,
                int64_t unitRows);

  /// Where the keys of a call are taken in parts, what each of them leaves (Spec N18): O of [part,
  /// padded query], m and l of [padded query, part].
  struct PartBuffers {
    mlir::Value outputs, maxima, sums;
  };
  /// What an online softmax leaves: m and l of the rows, O in chunks of channels.
  struct RowSums {
    mlir::Value maximum, sum;
  };
  /// Row values at the end: m, l, what O is multiplied with, and what the mean of V is.
  struct Normalization {
    mlir::Value maximum, sum, factor, meanFactor;
  };

  // AttentionFragments.cpp: types of fragments, maps between them.
  int64_t warps() const { return unitRows / Problem::warpRows; }
  tile::FragmentType getFragment(int64_t rows, int64_t columns, mlir::Type type,
                                 tile::LayoutAttr layout);
  /// Scores, probabilities, outputs: `columns` columns of the accumulator.
  tile::FragmentType getAccumulator(int64_t columns, mlir::Type type);
  /// An A operand with `columns` columns.
  tile::FragmentType getOperand(int64_t columns, mlir::Type type);
  /// One value per row.
  tile::FragmentType getRow(mlir::Type type);
  /// One value per row and lane of a quad.
  tile::FragmentType getQuad();
  /// One value for each of the `columns` columns of an accumulator, for each lane of a quad (4), or
  /// for all (1).
  tile::FragmentType getColumns(int64_t columns);
  /// (row, column) -> (row) of a vector, (row, 0), (0, column), and the lane of the quad that holds
  /// it.
  mlir::AffineMap toRowIndex();
  mlir::AffineMap toRow();
  mlir::AffineMap toColumn();
  mlir::AffineMap toQuad();
  mlir::Value minimum(mlir::Value x, mlir::Value y);
  mlir::Value notNegative(mlir::Value x);

  // AttentionOutput.cpp: sinks, normalization, log-sum-exp.
  void addOutputParameters();
  Normalization normalizeRows(const RowSums &rows);
  /// Stores O, whose chunk from channel `first` on is `accumulated`. Channels from `columns` on (0:
  /// none) are padding.
  void storeOutput(mlir::Value accumulated, mlir::Value first, const Normalization &rows,
                   const Access &columns);
  void storeLse(const Normalization &rows);
  mlir::Value loadRowCorrection();
  mlir::Value getSubtrahend(mlir::Value maximum);
  float getLog2OfRange() const;

  // Parts.cpp
  PartBuffers addPartBuffers();
  /// Row of `part` in the outputs of parts.
  mlir::Value getPartRow(mlir::Value part);

  ProgramBuilder &program;
  const Problem &problem;
  /// Rows of a unit; columns of O.
  const int64_t unitRows, channels;
  KernelBuilder b;
  TokenSpace querySpace, keySpace;

  // Parameters.
  mlir::Value valueScales, valueMean, output, outputAligned, lse, lseCorrection, sinks;

  // The unit's work.
  TokenTile queries;
  TokenRange keys;
  /// The unit's first query, and its row in buffers of padded heads.
  mlir::Value firstUnitQuery, unitQueryRow;

private:
  Normalization getNormalization(mlir::Value maximum, mlir::Value sum);
  Normalization addSink(mlir::Value maximum, mlir::Value sum);
  mlir::Value normalize(mlir::Value accumulated, mlir::Value first, const Normalization &rows);
};

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_ATTENTIONROWS_H
