#include "Execution.h"

#include "mlir/Pass/PassManager.h"
#include "sage/Conversion/SageToLinalg/Passes.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Dialect/SageTile/Interpreter/Interpreter.h"
#include "sage/ExecutionEngine/CpuJit.h"

#include <cstring>

using namespace mlir;

namespace sage::check {

Means findMeans(ModuleOp module) {
  bool hasKernels = false, isDistributed = false, isQuantized = false, hasLengths = false;
  module.walk([&](Operation *op) {
    hasKernels |= isa<tile::KernelOp>(op);
    isDistributed |= isa<tile::LaneLoadOp, tile::LaneStoreOp>(op);
    if (auto attention = dyn_cast<AttentionOp>(op))
      isQuantized |= attention.getGeometry().has_value();
    isQuantized |= isa<SmoothedAttentionOp, QuantizedAttentionOp>(op);
    if (auto smoothed = dyn_cast<SmoothedAttentionOp>(op))
      hasLengths |= smoothed.hasLengths();
    if (auto quantized = dyn_cast<QuantizedAttentionOp>(op))
      hasLengths |= quantized.hasLengths();
  });
  if (hasLengths)
    return Means::Lengths;
  if (isQuantized)
    return Means::Decomposition;
  return hasKernels && !isDistributed ? Means::Interpreter : Means::None;
}

template <typename T>
static HostBuffer toBuffer(const std::vector<T> &elements, std::vector<int64_t> extents,
                           size_t elementBytes = sizeof(T)) {
  HostBuffer buffer(std::move(extents), elementBytes);
  std::memcpy(buffer.bytes.data(), elements.data(), buffer.bytes.size());
  return buffer;
}

template <typename T> static void fromBuffer(const HostBuffer &buffer, std::vector<T> &elements) {
  std::memcpy(elements.data(), buffer.bytes.data(), buffer.bytes.size());
}

/// The operands of `sage.attention` between V and O, in its order.
static std::vector<HostBuffer> getMaskBuffers(const interpret::Tensors &tensors) {
  const sage_problem &problem = tensors.problem;
  const evaluation::MaskInputs &operands = tensors.operands;
  std::vector<HostBuffer> buffers;
  auto addVector = [&](const auto &elements) {
    buffers.push_back(toBuffer(elements, {static_cast<int64_t>(elements.size())}));
  };
  if (problem.has_bias)
    buffers.push_back(toBuffer(operands.bias,
                               {operands.biasExtents.begin(), operands.biasExtents.end()},
                               evaluation::getElementBytes(operands.biasType)));
  if (problem.key_lengths)
    addVector(operands.keyLengths);
  if (problem.sinks)
    addVector(operands.sinks);
  if (problem.packed) {
    addVector(operands.queryOffsets);
    addVector(operands.keyOffsets);
  }
  return buffers;
}

/// Lengths are unpacked by calls that do not know the extents of the whole (Spec N18); here they
/// are known.
static void fixKeyParts(ModuleOp module, ArrayRef<int64_t> shape) {
  module.walk([&](AttentionOp op) {
    GeometryAttr geometry = op.getGeometryAttr();
    if (!geometry || !geometry.getKeyParts() || !op.getKeyLengths())
      return;
    if (std::optional<int64_t> parts = geometry.countKeyParts(shape))
      op.setGeometryAttr(geometry.withKeyParts(
          AffineMapAttr::get(AffineMap::getConstantMap(*parts, op.getContext()))));
  });
}

static std::string decompose(ModuleOp module, interpret::Tensors &tensors) {
  fixKeyParts(module, tensors.shape);
  PassManager manager(module.getContext());
  SageToCpuOptions options;
  buildSageToCpuPipeline(manager, options);
  if (failed(manager.run(module)))
    return "it is not lowered to the CPU";
  llvm::Expected<std::unique_ptr<CpuJit>> jit = CpuJit::create(module);
  if (!jit)
    return llvm::toString(jit.takeError());
  const auto &[batch, queryHeads, keyHeads, queries, keys] = tensors.shape;
  bool isTokenMajor = tensors.problem.layout == SAGE_TOKEN_MAJOR;
  auto extents = [&](int64_t heads, int64_t tokens, int64_t dims) -> std::vector<int64_t> {
    return {tensors.shape[0], isTokenMajor ? tokens : heads, isTokenMajor ? heads : tokens, dims};
  };
  int64_t headDim = tensors.problem.head_dim, valueHeadDim = tensors.problem.value_head_dim;
  HostBuffer query = toBuffer(tensors.query, extents(queryHeads, queries, headDim));
  HostBuffer key = toBuffer(tensors.key, extents(keyHeads, keys, headDim));
  HostBuffer value = toBuffer(tensors.value, extents(keyHeads, keys, valueHeadDim));
  HostBuffer output = toBuffer(tensors.output, extents(queryHeads, queries, valueHeadDim));
  HostBuffer lse = toBuffer(tensors.lse, {batch, queryHeads, queries});
  std::vector<HostBuffer> masks = getMaskBuffers(tensors);
  SmallVector<HostBuffer *> buffers = {&query, &key, &value};
  for (HostBuffer &mask : masks)
    buffers.push_back(&mask);
  buffers.push_back(&output);
  if (tensors.problem.lse)
    buffers.push_back(&lse);
  if (llvm::Error error = (*jit)->run(functionName, buffers))
    return llvm::toString(std::move(error));
  fromBuffer(output, tensors.output);
  fromBuffer(lse, tensors.lse);
  return {};
}

static std::string interpretLevel(ModuleOp module, interpret::Tensors &tensors,
                                  uint64_t scheduleSeed) {
  auto programs = module.getOps<tile::ProgramOp>();
  if (programs.empty())
    return "there are kernels, but no host program that launches them";
  tile::InterpreterOptions options;
  options.scheduleSeed = scheduleSeed;
  tile::ProgramOp program = *programs.begin();
  if (failed(tile::interpretProgram(program, tensors.getInstance(program.getProblem()),
                                    tensors.getBuffers(), options)))
    return "the interpreter stopped";
  return {};
}

std::string execute(ModuleOp module, Means means, interpret::Tensors &tensors,
                    uint64_t scheduleSeed) {
  tensors.poisonOutputs();
  return means == Means::Decomposition ? decompose(module, tensors)
                                       : interpretLevel(module, tensors, scheduleSeed);
}

} // namespace sage::check
