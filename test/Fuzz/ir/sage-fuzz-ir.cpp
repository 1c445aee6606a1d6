// sage-fuzz-ir: mutated modules through the parser, the verifier and the pipelines. What may happen
// is an error with a location, never a crash, a hang, or a failure that says nothing.

#include "Campaign.h"
#include "Corpus.h"
#include "OpMutator.h"
#include "PassMutator.h"
#include "TextMutator.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/Verifier.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "sage/InitAll.h"
#include "sage/Pipelines/Pipelines.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/TargetSelect.h"

#include <iostream>
#include <memory>

using namespace mlir;

namespace sage::fuzz {
namespace {

std::string mode = "verify", corpusFolder = SAGE_LIT_FOLDER;

/// How an input says what to do with its module: two comment lines at its head.
constexpr llvm::StringLiteral pipelineMark = "// fuzz-pipeline: ", opsMark = "// fuzz-ops: ";

class IrTarget : public Target {
public:
  IrTarget() {
    sage::registerCompilerDialects(registry);
    registerAllExtensions(registry);
    sage::registerAllDialects(registry);
    corpus = makeCorpus(registry, corpusFolder, /*generated=*/24);
    std::cerr << "sage-fuzz-ir: " << corpus.modules.size() << " modules, " << corpus.valid.size()
              << " of them valid, " << corpus.kernels.size() << " with kernels\n";
    counters = {"parsed", "verified after a change of ops", "reread", "compiled", "refused"};
  }

  std::string generate(uint64_t seed, uint64_t index) override {
    Random random(seed, index);
    return mode == "verify" ? verifyCase(random) : pipelineCase(random);
  }
  std::string run(const std::string &input) override;

private:
  std::string verifyCase(Random &random);
  std::string pipelineCase(Random &random);
  const std::string &validModule(Random &random) const;
  std::string runPipeline(ModuleOp module, llvm::StringRef pipeline);
  std::string reread(ModuleOp module);

  DialectRegistry registry;
  Corpus corpus;
  std::unique_ptr<MLIRContext> context;
  uint64_t casesOfContext = 0;
};

/// Sorted by size; small ones come up more often: more cases a second.
const std::string &IrTarget::validModule(Random &random) const {
  size_t bound = 1 + random.below(corpus.valid.size());
  return corpus.modules[corpus.valid[random.below(bound)]];
}

std::string IrTarget::verifyCase(Random &random) {
  std::string module =
      random.oneIn(8) ? randomAttention(random, random.oneIn(2)) : validModule(random);
  if (random.oneIn(2))
    return (opsMark + std::to_string(random.next()) + "\n" + module).str();
  return mutateText(random, corpus, module);
}

std::string IrTarget::pipelineCase(Random &random) {
  std::string head = pipelineMark.str();
  switch (random.below(8)) {
  case 0:
  case 1:
  case 2:
    head += randomAttentionPipeline(random, /*generated=*/true) + "\n";
    return head + randomAttention(random, random.oneIn(6));
  case 3:
  case 4: {
    const std::string &module = corpus.modules[random.pick(corpus.attentions)];
    head += randomAttentionPipeline(random, /*generated=*/false) + "\n";
    return head + (random.oneIn(3) ? module : mutateText(random, corpus, module));
  }
  case 5: {
    const std::string &module = corpus.modules[random.pick(corpus.kernels)];
    head += randomKernelPipeline(random) + "\n";
    return (head + opsMark + std::to_string(random.next()) + "\n" + module).str();
  }
  default: {
    const std::string &module = corpus.modules[random.pick(corpus.kernels)];
    head += randomKernelPipeline(random) + "\n";
    return head + (random.oneIn(3) ? module : mutateText(random, corpus, module));
  }
  }
}

/// The text behind `mark` if the first line of `text` is one, which it takes off.
llvm::StringRef takeHead(llvm::StringRef &text, llvm::StringRef mark) {
  if (!text.starts_with(mark))
    return {};
  auto [line, rest] = text.split('\n');
  text = rest;
  return line.drop_front(mark.size());
}

std::string IrTarget::run(const std::string &input) {
  // Attributes and types are never freed.
  if (!context || ++casesOfContext % 2000 == 0)
    context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  unsigned errors = 0;
  std::string unlocated;
  ScopedDiagnosticHandler handler(context.get(), [&](Diagnostic &diagnostic) {
    errors += diagnostic.getSeverity() == DiagnosticSeverity::Error;
    if (isa<UnknownLoc>(diagnostic.getLocation()))
      unlocated = diagnostic.str();
    return success();
  });
  llvm::StringRef text = input;
  llvm::StringRef pipeline = takeHead(text, pipelineMark), ops = takeHead(text, opsMark);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, context.get());
  if (!module)
    return errors ? "" : "the parser fails without an error";
  count(0);
  uint64_t opsSeed;
  if (!ops.empty() && !ops.getAsInteger(10, opsSeed)) {
    Random random(opsSeed, 0);
    mutateOps(random, *module);
    errors = 0;
    if (failed(verify(*module)))
      return errors ? "" : "the verifier fails without an error";
    count(1);
    if (std::string wrong = reread(*module); !wrong.empty())
      return wrong;
  }
  errors = 0;
  if (pipeline.empty())
    return "";
  std::string wrong = runPipeline(*module, pipeline);
  if (wrong.empty() && !unlocated.empty())
    return "a diagnostic has no location: " + unlocated;
  return wrong;
}

/// What verifies can be printed and parsed again.
std::string IrTarget::reread(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  OwningOpRef<ModuleOp> again = parseSourceString<ModuleOp>(text, context.get());
  count(2);
  return again ? "" : "a module that verifies does not parse back:\n" + text;
}

std::string IrTarget::runPipeline(ModuleOp module, llvm::StringRef pipeline) {
  std::string message;
  llvm::raw_string_ostream stream(message);
  unsigned errors = 0;
  ScopedDiagnosticHandler handler(context.get(), [&](Diagnostic &diagnostic) {
    errors += diagnostic.getSeverity() == DiagnosticSeverity::Error;
    return failure(); // the outer handler looks at it too
  });
  FailureOr<OpPassManager> passes = parsePassPipeline(pipeline, stream);
  if (failed(passes))
    return ""; // options that do not parse
  PassManager manager(context.get(), passes->getOpAnchorName());
  if (failed(parsePassPipeline(pipeline.drop_front(pipeline.find('(') + 1).drop_back(), manager,
                               stream)))
    return "";
  if (succeeded(manager.run(module))) {
    count(3);
    return "";
  }
  count(4);
  return errors ? "" : "a pass fails without an error";
}

Target *makeTarget() {
  if (mode == "verify" || mode == "pipeline")
    return new IrTarget;
  std::cerr << "sage-fuzz-ir: --mode must be verify or pipeline, but got '" << mode << "'\n";
  return nullptr;
}

} // namespace
} // namespace sage::fuzz

#if defined(__SANITIZE_ADDRESS__)
/// LLVM's allocators mark their memory, but only where they are inlined into instrumented code.
extern "C" const char *__asan_default_options() { return "allow_user_poisoning=0"; }
#endif

int main(int argc, char **argv) {
  using namespace sage::fuzz;
  llvm::sys::PrintStackTraceOnErrorSignal(argv[0]);
  registerTransformsPasses();
  sage::registerAllPasses();
  return runCampaign(argc, argv, "sage-fuzz-ir", ".mlir",
                     {{"--mode", "verify|pipeline: what is done with a module (verify)", &mode},
                      {"--corpus", "FOLDER: modules to start from (the lit suite)", &corpusFolder}},
                     makeTarget);
}
