// Writes the host program: workspace slices and kernels in launch order.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_PROGRAMBUILDER_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_PROGRAMBUILDER_H

#include "KernelBuilder.h"
#include "Problem.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace sage {

/// Names of the workspace slices (docs/Artifact.md lists their contents).
namespace buffer {
inline constexpr llvm::StringLiteral keyMean = "key_mean";
inline constexpr llvm::StringLiteral queryMean = "query_mean";
inline constexpr llvm::StringLiteral valueMean = "value_mean";
inline constexpr llvm::StringLiteral queryInverse = "query_inverse";
inline constexpr llvm::StringLiteral keyInverse = "key_inverse";
inline constexpr llvm::StringLiteral valueInverse = "value_inverse";
inline constexpr llvm::StringLiteral valueScales = "value_scales";
inline constexpr llvm::StringLiteral query = "query_quantized";
inline constexpr llvm::StringLiteral queryScales = "query_scales";
inline constexpr llvm::StringLiteral key = "key_quantized";
inline constexpr llvm::StringLiteral keyScales = "key_scales";
inline constexpr llvm::StringLiteral value = "value_quantized";
inline constexpr llvm::StringLiteral scoreCorrection = "score_correction";
inline constexpr llvm::StringLiteral lseCorrection = "lse_correction";
inline constexpr llvm::StringLiteral tickets = "tickets";
inline constexpr llvm::StringLiteral partOutputs = "part_outputs";
inline constexpr llvm::StringLiteral partMaxima = "part_maxima";
inline constexpr llvm::StringLiteral partSums = "part_sums";
} // namespace buffer

class ProgramBuilder {
public:
  /// Creates the program `name` and the module of its kernels at the end of `module`.
  /// Launches overlap where `overlapLaunches` asks for it and the chip can.
  ProgramBuilder(mlir::Location loc, mlir::ModuleOp module, mlir::StringRef name,
                 const Problem &problem, bool overlapLaunches);

  const Problem &getProblem() const { return problem; }
  mlir::Builder &getBuilder() { return builder; }
  mlir::AffineExpr get(Symbol symbol) { return getSymbol(builder.getContext(), symbol); }

  /// Tokens per query head in the workspace: whole query tiles and smoothing blocks.
  mlir::AffineExpr getPaddedQueries();
  /// Tokens per key head in the workspace: whole key tiles, at least one, so that no tensor map is
  /// empty. Packed sequences have slots of their own (TokenSpace.h).
  mlir::AffineExpr getPaddedKeys();
  /// B · Hq and B · Hkv.
  mlir::AffineExpr getQueryHeads() { return get(Symbol::B) * get(Symbol::Hq); }
  mlir::AffineExpr getKeyHeads() { return get(Symbol::B) * get(Symbol::Hkv); }
  /// Heads of all batch entries, or of all sequences: rows of tables with one row for each.
  mlir::AffineExpr getQueryRanges() { return getEntries() * get(Symbol::Hq); }
  mlir::AffineExpr getKeyRanges() { return getEntries() * get(Symbol::Hkv); }
  /// Scales of one query head and of one key head.
  mlir::AffineExpr getQueryScales() {
    return countGroups(problem.getQueryGroups(), getPaddedQueries());
  }
  mlir::AffineExpr getKeyScales() { return countGroups(problem.getKeyGroups(), getPaddedKeys()); }

  bool overlapsLaunches() const { return overlapping; }

  /// Sets the counter of the attention kernel's tickets to 0, where it takes any, in block 0 of
  /// `kernel`, which is launched before. The attention kernel leaves 0 behind.
  void resetTickets(KernelBuilder &kernel);
  void addWorkspace(mlir::StringRef name, mlir::AffineExpr bytes);
  KernelBuilder startKernel(mlir::StringRef name, tile::Unit unit, int64_t units);
  /// Ends the kernel and launches it on `grid` blocks; overlapping with the launch before it where
  /// the kernel waits for that itself.
  void launch(KernelBuilder &kernel, mlir::AffineExpr grid);
  /// Launches what follows `count` times, until `endRepeat`; see `sage_tile.repeat`.
  void startRepeat(mlir::AffineExpr count);
  void endRepeat();
  /// `value` where the keys of a call are taken in several parts, 0 where in one.
  mlir::AffineExpr ofSplitCalls(mlir::AffineExpr value) {
    mlir::AffineExpr parts = get(Symbol::Parts);
    return (parts - 1).ceilDiv(parts) * value;
  }

private:
  mlir::AffineExpr getEntries() { return get(problem.isPacked ? Symbol::S : Symbol::B); }
  mlir::AffineExpr countGroups(ScaleGroups groups, mlir::AffineExpr paddedTokens);

  const Problem &problem;
  mlir::Location loc;
  bool overlapping;
  mlir::OpBuilder builder;
  tile::ProgramOp program;
  /// The region that launches are added to: the program's, or that of a repetition.
  mlir::Block *launches;
  mlir::gpu::GPUModuleOp kernels;
};

/// Statistics, quantization and corrections (Spec N1 to N6): everything that the attention kernel
/// reads.
void addPreparationKernels(ProgramBuilder &program);
/// The score correction of the turn's query blocks under smooth Q (Spec N2); starts the turns.
void addScoreCorrection(ProgramBuilder &program);
/// The attention itself (Spec N7 to N15); ends the turns.
void addAttentionKernel(ProgramBuilder &program);
/// Joins the parts of the keys, where calls may have several (Spec N18).
void addJoinKernel(ProgramBuilder &program);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_PROGRAMBUILDER_H
