// Pieces of `sage-tile-distribute`, one kind of operation per source file.

#ifndef SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_DISTRIBUTE_H
#define SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_DISTRIBUTE_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/Transforms/DialectConversion.h"

namespace sage::tile {

/// The result takes, in order, elements `registers` of `vector`; they are elements of
/// `elementType`, which are packed where they have 8 bits. Null if whole words cannot be picked.
mlir::Value pickRegisters(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value vector,
                          llvm::ArrayRef<int64_t> registers, mlir::Type elementType);

void populateDistributeArithmeticPatterns(const mlir::TypeConverter &converter,
                                          mlir::RewritePatternSet &patterns);
void populateDistributeMapPatterns(const mlir::TypeConverter &converter,
                                   mlir::RewritePatternSet &patterns);
void populateDistributeHadamardPatterns(const mlir::TypeConverter &converter,
                                        mlir::RewritePatternSet &patterns);
void populateDistributeReductionPatterns(const mlir::TypeConverter &converter,
                                         mlir::RewritePatternSet &patterns);
void populateDistributeMemoryPatterns(const mlir::TypeConverter &converter,
                                      mlir::RewritePatternSet &patterns);
void populateDistributeProductPatterns(const mlir::TypeConverter &converter,
                                       mlir::RewritePatternSet &patterns);

} // namespace sage::tile

#endif // SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_DISTRIBUTE_H
