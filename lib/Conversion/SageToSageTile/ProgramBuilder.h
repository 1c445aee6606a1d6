// Writes the host program: workspace slices and kernels in launch order.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_PROGRAMBUILDER_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_PROGRAMBUILDER_H

#include "KernelBuilder.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "sage/Dialect/Sage/IR/SageOps.h"

namespace sage {

/// What the kernels are generated from: the attributes of the op, none of its extents but the head
/// dim.
struct Problem {
  RecipeAttr recipe;
  GeometryAttr geometry;
  ScheduleAttr schedule;
  TargetAttr target;
  Mask mask;
  int64_t headDim;
  mlir::Type elementType;
  bool hasLse;
  /// B, Hq, Hkv, Nq, Nk; kDynamic where any extent is accepted.
  llvm::SmallVector<int64_t> shape;
  /// Null for 1/sqrt(head dim).
  mlir::FloatAttr scale;
  Layout layout;

  /// The chunk of tokens that a partial sum covers (Spec N1).
  static constexpr int64_t chunkTokens = 256;
  /// Tokens that share a query scale block: the rows of one warp.
  static constexpr int64_t warpRows = 16;

  int64_t getKeyTile() const { return geometry.getKeyTile(); }
  int64_t getQueryTile() const { return schedule.getBlockRows(); }
  bool correctsLse() const { return hasLse && recipe.smoothsKey(); }
};

/// Names of the workspace slices (docs/Artifact.md lists their contents).
namespace buffer {
inline constexpr llvm::StringLiteral keySums = "key_sums";
inline constexpr llvm::StringLiteral valueMaxima = "value_maxima";
inline constexpr llvm::StringLiteral keyMean = "key_mean";
inline constexpr llvm::StringLiteral valueInverse = "value_inverse";
inline constexpr llvm::StringLiteral valueScales = "value_scales";
inline constexpr llvm::StringLiteral query = "query_quantized";
inline constexpr llvm::StringLiteral queryScales = "query_scales";
inline constexpr llvm::StringLiteral key = "key_quantized";
inline constexpr llvm::StringLiteral keyScales = "key_scales";
inline constexpr llvm::StringLiteral value = "value_quantized";
inline constexpr llvm::StringLiteral lseCorrection = "lse_correction";
} // namespace buffer

class ProgramBuilder {
public:
  /// Creates the program `name` and the module of its kernels at the end of `module`.
  ProgramBuilder(mlir::Location loc, mlir::ModuleOp module, mlir::StringRef name,
                 const Problem &problem);

  const Problem &getProblem() const { return problem; }
  mlir::Builder &getBuilder() { return builder; }
  mlir::AffineExpr get(Symbol symbol) { return getSymbol(builder.getContext(), symbol); }

  /// Tokens per query head in the workspace: whole query tiles.
  mlir::AffineExpr getPaddedQueries();
  /// Tokens per key head in the workspace: whole key tiles, at least one, so that no tensor map is
  /// empty.
  mlir::AffineExpr getPaddedKeys();
  /// B · Hq and B · Hkv.
  mlir::AffineExpr getQueryHeads() { return get(Symbol::B) * get(Symbol::Hq); }
  mlir::AffineExpr getKeyHeads() { return get(Symbol::B) * get(Symbol::Hkv); }
  /// Chunks of Spec N1 in one key head.
  mlir::AffineExpr getChunks() { return get(Symbol::Nk).ceilDiv(Problem::chunkTokens); }

  void addWorkspace(mlir::StringRef name, mlir::AffineExpr bytes);
  KernelBuilder startKernel(mlir::StringRef name, tile::Unit unit, int64_t units);
  /// Ends the kernel and launches it on `grid` blocks.
  void launch(KernelBuilder &kernel, mlir::AffineExpr grid);

private:
  const Problem &problem;
  mlir::Location loc;
  mlir::OpBuilder builder;
  tile::ProgramOp program;
  mlir::gpu::GPUModuleOp kernels;
};

/// Partial sums of K and maxima of V over chunks of tokens, then the mean of K and the scales of V
/// (Spec N1, N2, N5).
void addStatisticsKernels(ProgramBuilder &program);
/// Quantized Q, K and V with their scales, and the correction of the log-sum-exp (Spec N4 to N6,
/// N12).
void addQuantizationKernels(ProgramBuilder &program);
/// The attention itself (Spec N7 to N13).
void addAttentionKernel(ProgramBuilder &program);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_PROGRAMBUILDER_H
