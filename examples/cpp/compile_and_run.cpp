// Sage inside a C++ program with MLIR: an attention made with a builder goes through Sage's
// pipelines as functions, and the runtime runs the artifact on the CPU.
//
//   compile_and_run [chip]

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/InitAll.h"
#include "sage/Pipelines/Pipelines.h"
#include "sage/Target/Artifact.h"
#include "sage/runtime/sage.hpp"

#include <cmath>
#include <iostream>
#include <random>

static constexpr int64_t batch = 1, heads = 2, tokens = 150, headDim = 64;

/// A function whose attention is causal, in the layout of most Transformers: [batch, tokens, heads,
/// head dim].
static mlir::OwningOpRef<mlir::ModuleOp> buildModule(mlir::MLIRContext &context) {
  mlir::ImplicitLocOpBuilder builder(mlir::UnknownLoc::get(&context), &context);
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(builder.getLoc());
  builder.setInsertionPointToEnd(module->getBody());
  constexpr int64_t any = mlir::ShapedType::kDynamic;
  mlir::Type tensor = mlir::RankedTensorType::get({any, any, heads, headDim}, builder.getF16Type());
  auto type = builder.getFunctionType({tensor, tensor, tensor, tensor}, {tensor});
  auto function = mlir::func::FuncOp::create(builder, "attention", type);
  mlir::Block *body = function.addEntryBlock();
  builder.setInsertionPointToEnd(body);

  auto attention = sage::AttentionOp::create(
      builder, mlir::TypeRange{tensor}, body->getArgument(0), body->getArgument(1),
      body->getArgument(2),
      /*bias=*/mlir::Value(), /*key_lengths=*/mlir::Value(), /*sinks=*/mlir::Value(),
      /*query_offsets=*/mlir::Value(),
      /*key_offsets=*/mlir::Value(), mlir::ValueRange(body->getArgument(3)),
      sage::RecipeAttr::getNamed(&context, "sage2-8b"),
      sage::LayoutAttr::get(&context, sage::Layout::TokenMajor),
      sage::MaskAttr::get(&context, sage::Mask::CausalTopLeft), /*window_left=*/nullptr,
      /*window_right=*/nullptr,
      /*sink_tokens=*/nullptr, /*softcap=*/nullptr, /*scale=*/nullptr, /*geometry=*/nullptr,
      /*schedule=*/nullptr,
      /*target=*/nullptr);
  mlir::func::ReturnOp::create(builder, attention->getResults());
  return module;
}

/// The artifact; passes of the embedder's own may stand between Sage's.
static mlir::FailureOr<std::string> compile(mlir::ModuleOp module, const std::string &chip) {
  sage::PipelineOptions options;
  options.chip = chip;
  mlir::PassManager manager(module.getContext());
  sage::buildSageToQuantizedPipeline(manager, options);
  sage::buildQuantizedToTilePipeline(manager);
  sage::buildTileSchedulePipeline(manager);
  sage::buildTileToNVVMPipeline(manager);
  if (mlir::failed(manager.run(module)))
    return mlir::failure();
  mlir::FailureOr<sage::tile::ProgramOp> program = sage::findProgram(module);
  if (mlir::failed(program))
    return mlir::failure();
  return sage::emitArtifact(*program);
}

/// Float16 numbers from 0.25 to 1 of both signs.
static std::vector<uint16_t> draw(std::mt19937 &random) {
  std::vector<uint16_t> values(batch * tokens * heads * headDim);
  for (uint16_t &value : values)
    value = uint16_t((random() & 0x8000) | (0x3400 + random() % 0x800));
  return values;
}

static double toDouble(uint16_t half) {
  double magnitude = std::ldexp(1024 + (half & 1023), (half >> 10 & 31) - 25);
  if ((half >> 10 & 31) == 0)
    magnitude = std::ldexp(half & 1023, -24);
  return half & 0x8000 ? -magnitude : magnitude;
}

/// Runs the artifact's meaning on the CPU; returns its cosine similarity with attention in float64.
static double run(const sage::Artifact &artifact) {
  std::mt19937 random(1);
  std::vector<uint16_t> query = draw(random), key = draw(random), value = draw(random),
                        output(query.size());
  auto dense = [](std::vector<uint16_t> &values) {
    return sage_tensor_dense(values.data(), SAGE_TOKEN_MAJOR, SAGE_F16, batch, heads, tokens,
                             headDim);
  };
  sage_call call = {};
  call.query = dense(query);
  call.key = dense(key);
  call.value = dense(value);
  call.output = dense(output);
  artifact.check(call);
  sage_program program = artifact.program();
  sage::throwIfFailed(sage_reference_run(&program, &call, nullptr, nullptr));
  std::vector<double> exact(output.size());
  sage::throwIfFailed(sage_exact_run(&program.problem, &call, exact.data(), nullptr, nullptr));

  double product = 0, norm = 0, exactNorm = 0;
  // The exact result is head-major.
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t token = 0; token < tokens; ++token)
      for (int64_t i = 0; i < headDim; ++i) {
        double mine = toDouble(output[(token * heads + head) * headDim + i]);
        double theirs = exact[(head * tokens + token) * headDim + i];
        product += mine * theirs;
        norm += mine * mine;
        exactNorm += theirs * theirs;
      }
  return product / std::sqrt(norm * exactNorm);
}

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  sage::registerAll(registry);
  mlir::MLIRContext context(registry);
  context.loadDialect<mlir::func::FuncDialect, sage::SageDialect>();
  mlir::OwningOpRef<mlir::ModuleOp> module = buildModule(context);
  mlir::FailureOr<std::string> text = compile(*module, argc > 1 ? argv[1] : "sm_89");
  if (mlir::failed(text))
    return 1;
  try {
    sage::Artifact artifact = sage::Artifact::parse(*text);
    std::cout << "compiled for " << artifact.chip() << ": " << artifact.kernels().size()
              << " kernels\n";
    double similarity = run(artifact);
    std::cout << "cosine similarity with float64 attention: " << similarity << "\n"
              << (similarity > 0.999 ? "correct\n" : "wrong: it must be above 0.999\n");
    return similarity > 0.999 ? 0 : 1;
  } catch (const sage::Error &error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
