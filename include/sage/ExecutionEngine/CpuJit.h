// Runs functions of the llvm dialect (pipeline `sage-to-cpu`) in this process.

#ifndef SAGE_EXECUTIONENGINE_CPUJIT_H
#define SAGE_EXECUTIONENGINE_CPUJIT_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace mlir {
class DialectRegistry;
class ExecutionEngine;
} // namespace mlir

namespace sage {

/// A dense row-major tensor in memory.
struct HostBuffer {
  std::vector<int64_t> extents;
  std::vector<uint8_t> bytes;

  HostBuffer() = default;
  HostBuffer(std::vector<int64_t> extents, size_t elementBytes);
  template <typename T> T *as() { return reinterpret_cast<T *>(bytes.data()); }
  template <typename T> const T *as() const { return reinterpret_cast<const T *>(bytes.data()); }
  int64_t elements() const;
};

/// Translations that `CpuJit` needs; before a context is made of `registry`.
void registerCpuJitTranslations(mlir::DialectRegistry &registry);

class CpuJit {
public:
  ~CpuJit();

  /// Compiles `module`, which holds functions of the llvm dialect with C interfaces.
  static llvm::Expected<std::unique_ptr<CpuJit>> create(mlir::ModuleOp module);

  /// Calls `function`, whose arguments are memrefs of plain row-major layout.
  llvm::Error run(llvm::StringRef function, llvm::ArrayRef<HostBuffer *> buffers);

private:
  CpuJit();
  std::unique_ptr<mlir::ExecutionEngine> engine;
};

} // namespace sage

#endif // SAGE_EXECUTIONENGINE_CPUJIT_H
