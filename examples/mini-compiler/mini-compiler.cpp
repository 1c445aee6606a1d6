// A compiler in a hundred lines: reads a function on tensors, finds the attention in it, compiles
// that for a GPU, and runs it; here on the CPU, beside the function as it was.
//
//   mini-compiler attention.mlir [chip]

#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "sage/Conversion/RaiseAttention/Passes.h"
#include "sage/Conversion/SageToLinalg/Passes.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/ExecutionEngine/CpuJit.h"
#include "sage/InitAll.h"
#include "sage/Pipelines/CompileToArtifact.h"
#include "sage/runtime/sage.hpp"

#include <cmath>
#include <iostream>
#include <random>

using namespace mlir;

/// Runs the function as it was written: bufferized, its result an argument, compiled for this
/// machine.
static llvm::Error runOriginal(ModuleOp module, llvm::ArrayRef<sage::HostBuffer *> buffers) {
  auto function = *module.getOps<func::FuncOp>().begin();
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    UnitAttr::get(module.getContext()));
  PassManager manager(module.getContext());
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  manager.addPass(bufferization::createOneShotBufferizePass(bufferize));
  bufferization::BufferResultsToOutParamsPassOptions results;
  results.modifyPublicFunctions = true;
  manager.addPass(bufferization::createBufferResultsToOutParamsPass(results));
  sage::buildSageToCpuPipeline(manager, {});
  std::string name = function.getSymName().str();
  if (failed(manager.run(module)))
    return llvm::createStringError("the function cannot be lowered to this machine");
  llvm::Expected<std::unique_ptr<sage::CpuJit>> jit = sage::CpuJit::create(module);
  return jit ? (*jit)->run(name, buffers) : jit.takeError();
}

/// Replaces what is attention by sage.attention, and compiles it.
static FailureOr<std::string> compile(ModuleOp module, llvm::StringRef chip) {
  PassManager manager(module.getContext());
  manager.addPass(sage::createSageRaiseAttention());
  manager.addPass(createCanonicalizerPass());
  if (failed(manager.run(module)))
    return failure();
  WalkResult found = module.walk([](sage::AttentionOp op) {
    std::cout << "found attention with mask " << stringifyMask(op.getMask()).str() << "\n";
    return WalkResult::interrupt();
  });
  if (!found.wasInterrupted())
    return module.emitError("module must have an attention, but none was recognized");
  sage::PipelineOptions options;
  options.chip = chip.str();
  return sage::compileToArtifact(module, options);
}

/// What the kernels compute, on the CPU.
static void runArtifact(const sage::Artifact &artifact,
                        llvm::ArrayRef<sage::HostBuffer *> buffers) {
  auto tensor = [](sage::HostBuffer *buffer) {
    const std::vector<int64_t> &extents = buffer->extents;
    return sage_tensor_dense(buffer->bytes.data(), SAGE_HEAD_MAJOR, SAGE_F16, extents[0],
                             extents[1], extents[2], extents[3]);
  };
  sage_call call = {};
  call.query = tensor(buffers[0]);
  call.key = tensor(buffers[1]);
  call.value = tensor(buffers[2]);
  call.output = tensor(buffers[3]);
  artifact.check(call);
  sage_program program = artifact.program();
  sage::throwIfFailed(sage_reference_run(&program, &call, nullptr, nullptr));
}

static double toDouble(uint16_t half) {
  double magnitude = (half >> 10 & 31) ? std::ldexp(1024 + (half & 1023), (half >> 10 & 31) - 25)
                                       : std::ldexp(half & 1023, -24);
  return half & 0x8000 ? -magnitude : magnitude;
}

static double findSimilarity(const sage::HostBuffer &a, const sage::HostBuffer &b) {
  double product = 0, normA = 0, normB = 0;
  for (int64_t i = 0; i < a.elements(); ++i) {
    double x = toDouble(a.as<uint16_t>()[i]), y = toDouble(b.as<uint16_t>()[i]);
    product += x * y;
    normA += x * x;
    normB += y * y;
  }
  return product / std::sqrt(normA * normB);
}

/// Three tensors of float16 numbers, [batch, heads, tokens, head dim].
static bool takesAttentionOperands(func::FuncOp function) {
  return function.getNumArguments() == 3 &&
         llvm::all_of(function.getArgumentTypes(), [](Type type) {
           auto tensor = dyn_cast<RankedTensorType>(type);
           return tensor && tensor.getRank() == 4 && tensor.hasStaticShape() &&
                  tensor.getElementType().isF16();
         });
}

static int fail(const std::string &message) {
  std::cerr << "error: " << message << "\n";
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 2)
    return fail("usage: mini-compiler module.mlir [chip]");
  DialectRegistry registry;
  sage::registerAll(registry);
  sage::registerCpuJitTranslations(registry);
  MLIRContext context(registry);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(argv[1], &context);
  if (!module)
    return 1;
  auto functions = module->getOps<func::FuncOp>();
  if (functions.empty() || !takesAttentionOperands(*functions.begin()))
    return fail(std::string(argv[1]) +
                " must hold a function of query, key and value: f16 tensors of rank 4");

  std::mt19937 random(1);
  std::vector<sage::HostBuffer> buffers;
  for (Type type : (*functions.begin()).getArgumentTypes()) {
    buffers.emplace_back(cast<ShapedType>(type).getShape().vec(), sizeof(uint16_t));
    for (int64_t i = 0; i < buffers.back().elements(); ++i)
      buffers.back().as<uint16_t>()[i] =
          uint16_t((random() & 0x8000) | (0x3400 + random() % 0x800));
  }
  sage::HostBuffer expected(buffers[0].extents, sizeof(uint16_t)), output = expected;
  OwningOpRef<ModuleOp> original = module->clone();
  if (llvm::Error error =
          runOriginal(*original, {&buffers[0], &buffers[1], &buffers[2], &expected}))
    return fail(llvm::toString(std::move(error)));

  FailureOr<std::string> text = compile(*module, argc > 2 ? argv[2] : "sm_90a");
  if (failed(text))
    return 1;
  try {
    sage::Artifact artifact = sage::Artifact::parse(*text);
    std::cout << "compiled for " << artifact.chip() << ": " << artifact.kernels().size()
              << " kernels\n";
    runArtifact(artifact, {&buffers[0], &buffers[1], &buffers[2], &output});
  } catch (const sage::Error &error) {
    return fail(error.what());
  }
  double similarity = findSimilarity(expected, output);
  std::cout << "cosine similarity with the function as it was: " << similarity << "\n"
            << (similarity > 0.999 ? "correct\n" : "wrong: it must be above 0.999\n");
  return similarity > 0.999 ? 0 : 1;
}
