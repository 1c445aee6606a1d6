// Runs functions of the llvm dialect in this process.

#include "sage/ExecutionEngine/CpuJit.h"

#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/Support/TargetSelect.h"

#include <numeric>

using namespace mlir;
using namespace sage;

HostBuffer::HostBuffer(std::vector<int64_t> extents, size_t elementBytes)
    : extents(std::move(extents)) {
  bytes.assign(elements() * elementBytes, 0);
}

int64_t HostBuffer::elements() const {
  return std::accumulate(extents.begin(), extents.end(), int64_t(1), std::multiplies<>());
}

void sage::registerCpuJitTranslations(DialectRegistry &registry) {
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

CpuJit::CpuJit() = default;
CpuJit::~CpuJit() = default;

llvm::Expected<std::unique_ptr<CpuJit>> CpuJit::create(ModuleOp module) {
  static const bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    return true;
  }();
  (void)initialized;
  ExecutionEngineOptions options;
  // Its memrefCopy copies slices.
  StringRef libraries[] = {SAGE_MLIR_RUNNER_UTILS};
  options.sharedLibPaths = libraries;
  auto optimize = makeOptimizingTransformer(/*optLevel=*/2, /*sizeLevel=*/0, nullptr);
  options.transformer = optimize;
  auto engine = ExecutionEngine::create(module, options);
  if (!engine)
    return engine.takeError();
  std::unique_ptr<CpuJit> jit(new CpuJit);
  jit->engine = std::move(*engine);
  return jit;
}

/// A memref descriptor: two pointers, the offset, sizes, strides.
static std::vector<int64_t> describe(HostBuffer &buffer) {
  int64_t data = reinterpret_cast<int64_t>(buffer.bytes.data());
  std::vector<int64_t> words = {data, data, 0};
  words.insert(words.end(), buffer.extents.begin(), buffer.extents.end());
  int64_t stride = 1;
  std::vector<int64_t> strides(buffer.extents.size());
  for (size_t d = strides.size(); d-- > 0; stride *= buffer.extents[d])
    strides[d] = stride;
  words.insert(words.end(), strides.begin(), strides.end());
  return words;
}

llvm::Error CpuJit::run(StringRef function, ArrayRef<HostBuffer *> buffers) {
  std::vector<std::vector<int64_t>> descriptors;
  for (HostBuffer *buffer : buffers)
    descriptors.push_back(describe(*buffer));
  SmallVector<void *> pointers, arguments;
  for (std::vector<int64_t> &descriptor : descriptors)
    pointers.push_back(descriptor.data());
  for (void *&pointer : pointers)
    arguments.push_back(&pointer);
  return engine->invokePacked(("_mlir_ciface_" + function).str(), arguments);
}
