// Executes sage_tile programs on host memory, one fragment at a time, and checks how units
// synchronize.
//
// Blocks are independent. Inside a block the units (and the producer of a specialized kernel) take
// turns; copies land some time after they were issued. Any of the following ends the run with an
// error at the operation: deadlock, a read of shared memory that nothing wrote, unsynchronized
// accesses of two units (or a unit and a copy) to the same elements, a write to a tile that a
// product in flight reads, an arrival too many, an access outside a buffer or tile. Unsynchronized
// accesses are found from the order that barriers establish, whatever the interleaving was.
//
// Not modelled: lanes and warps inside a unit, the fences between ordinary and asynchronous
// accesses, races in device memory, bits that tensor cores drop (float products are summed in
// double precision and rounded once).

#ifndef SAGE_DIALECT_SAGETILE_INTERPRETER_INTERPRETER_H
#define SAGE_DIALECT_SAGETILE_INTERPRETER_INTERPRETER_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "llvm/ADT/StringMap.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace sage::tile {

struct InterpreterOptions {
  /// 0: units run until they must wait, copies land in order. Otherwise units are interleaved, and
  /// copies land, at random, reproducibly for a seed.
  uint64_t scheduleSeed = 0;
  /// Threads that execute blocks; 0: one per processor. Results do not depend on it.
  unsigned threads = 0;
  /// Blocks of a persistent kernel of a program, so that each takes several ids.
  int64_t persistentBlocks = 3;
};

/// Device memory, as the caller holds it.
struct DeviceBuffer {
  char *data = nullptr;
  int64_t bytes = 0;
};

/// A tensor that bulk tensor copies read; as the driver's tensor map: innermost dimension first.
struct TensorMapDescription {
  DeviceBuffer buffer;
  std::vector<int64_t> extents; ///< elements
  std::vector<int64_t> strides; ///< bytes, of the dimensions after the first
};

/// One launch argument. A memref parameter takes a pointer and one integer for each dynamic stride
/// of its layout.
struct LaunchArgument {
  enum class Kind { Pointer, Integer, Float, TensorMap } kind = Kind::Integer;
  DeviceBuffer pointer;
  int64_t integer = 0;
  float number = 0;
  TensorMapDescription tensorMap;

  static LaunchArgument get(DeviceBuffer buffer);
  static LaunchArgument get(int64_t value);
  static LaunchArgument get(float value);
  static LaunchArgument get(TensorMapDescription map);
};

/// Runs blocks 0 .. `blocks` - 1 of `kernel`. Errors are diagnostics at the operations.
mlir::LogicalResult interpretKernel(KernelOp kernel, llvm::ArrayRef<LaunchArgument> arguments,
                                    int64_t blocks, const InterpreterOptions &options = {});

/// Values of the symbols of a program's expressions (see `sage_tile.program`), and the softmax
/// scale.
struct ProblemInstance {
  static constexpr unsigned numSymbols = 28;
  /// In the order of `ProgramOp::getSymbolNames()`; the step is set by each turn of a repetition.
  std::array<int64_t, numSymbols> symbols{};
  double scale = 1;

  /// Contiguous tensors, aligned to 16 bytes: B×H×N×D, or B×N×H×D where `tokenMajor`. No bias, no
  /// sequences, one part.
  static ProblemInstance getContiguous(llvm::ArrayRef<int64_t> shape, int64_t headDim,
                                       int64_t valueHeadDim, bool tokenMajor, double scale);
};

/// Runs the launches of `program` in order. `buffers` holds the caller's tensors by name; workspace
/// slices are allocated, filled with 0xFF (NaN in every float type) and, if `workspace` is given,
/// handed out in it.
mlir::LogicalResult interpretProgram(ProgramOp program, const ProblemInstance &problem,
                                     const llvm::StringMap<DeviceBuffer> &buffers,
                                     const InterpreterOptions &options = {},
                                     llvm::StringMap<std::vector<char>> *workspace = nullptr);

} // namespace sage::tile

#endif // SAGE_DIALECT_SAGETILE_INTERPRETER_INTERPRETER_H
