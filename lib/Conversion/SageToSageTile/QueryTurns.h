// The score correction grows with the product of both lengths. The program computes it for a part
// of the query blocks at a time, turn by turn, so that it takes no more memory than K and V.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_QUERYTURNS_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_QUERYTURNS_H

#include "TokenSpace.h"

namespace sage {

/// Which query blocks, and which tiles of them, a turn computes. Without a score correction there
/// is one turn with everything.
class QueryTurns {
public:
  /// `queries` are those of the kernel that asks.
  QueryTurns(ProgramBuilder &program, KernelBuilder &b, TokenSpace &queries)
      : program(program), problem(program.getProblem()), b(b), queries(queries) {}

  bool isRepeated() const { return problem.recipe.smoothsQuery(); }
  mlir::AffineExpr getCount() { return getBlocks().floorDiv(getMaxBlocks()) + 1; }
  /// Query blocks of one turn: rows of the score correction.
  mlir::AffineExpr getTurnBlocks() { return getBlocks().ceilDiv(getCount()); }
  /// Thread blocks of one turn's attention kernel.
  mlir::AffineExpr getGrid();

  /// The turn's first query block over all heads.
  mlir::Value getFirstBlock();
  /// The query tile, over all heads, of a thread block of the attention kernel. The last turn has
  /// thread blocks to spare: they compute the last tile once more.
  mlir::Value getTile(mlir::Value threadBlock);

private:
  mlir::AffineExpr getBlocks() { return queries.getTiles(problem.geometry.getQueryBlock()); }
  mlir::AffineExpr getMaxBlocks();
  int64_t getTilesOfBlock() const {
    return problem.geometry.getQueryBlock() / problem.getQueryTile();
  }

  ProgramBuilder &program;
  const Problem &problem;
  KernelBuilder &b;
  TokenSpace &queries;
};

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_QUERYTURNS_H
