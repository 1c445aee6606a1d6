// Executes what `sage-tile-distribute` makes of loads and stores, lane after lane.

#ifndef SAGE_UNITTESTS_DIALECT_SAGETILE_LANESIMULATOR_H
#define SAGE_UNITTESTS_DIALECT_SAGETILE_LANESIMULATOR_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cstdint>
#include <string>
#include <vector>

namespace sage::tile {

/// A kernel's argument: a memref's bytes and strides (elements), or an integer.
struct LaneArgument {
  uint8_t *data = nullptr;
  int64_t bytes = 0;
  std::vector<int64_t> strides;
  uint64_t integer = 0;
};

class LaneSimulator {
public:
  LaneSimulator(KernelOp kernel, std::vector<LaneArgument> arguments);

  /// Runs all lanes of one unit; false after the first error, which `getError` tells: an
  /// operation that is not known, an access that is not aligned to its size, or outside.
  bool run();
  const std::string &getError() const { return error; }

private:
  /// Bits of the elements of a vector, or of one scalar.
  using Bits = std::vector<uint64_t>;

  bool runBlock(mlir::Block &block);
  bool runOp(mlir::Operation &op);
  bool runArithmetic(mlir::Operation &op);
  bool runVector(mlir::Operation &op);
  bool runIf(mlir::Operation &op);
  uint8_t *getAddress(mlir::Operation &op, mlir::Value memory, mlir::ValueRange indices,
                      int64_t bytes);
  bool fail(mlir::Operation &op, const std::string &message);

  const Bits &get(mlir::Value value) { return values[value]; }

  KernelOp kernel;
  std::vector<LaneArgument> arguments;
  llvm::DenseMap<mlir::Value, Bits> values;
  uint64_t lane = 0, warp = 0;
  std::string error;
};

} // namespace sage::tile

#endif // SAGE_UNITTESTS_DIALECT_SAGETILE_LANESIMULATOR_H
