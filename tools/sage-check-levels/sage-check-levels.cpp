// sage-check-levels: runs one attention at every level of the compiler and names the first level
// that diverges from the CPU reference.

#include "Accuracy.h"
#include "Execution.h"
#include "FloatFormats.h"
#include "MaskOptions.h"
#include "Reference.h"
#include "sage/ExecutionEngine/CpuJit.h"
#include "sage/InitAll.h"
#include "sage/Pipelines/Pipelines.h"

#include "mlir/IR/AsmState.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Target/LLVM/NVVM/Target.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace sage;
using namespace sage::check;
namespace cl = llvm::cl;

namespace {

cl::OptionCategory category("sage-check-levels options");

constexpr llvm::StringLiteral overview =
    "Runs one sage.attention at every level of the compiler, on random inputs, and compares O and\n"
    "the log-sum-exp with the CPU reference. Levels with sage ops are decomposed to linalg and\n"
    "compiled for the CPU, levels with tile kernels are interpreted. A level is what a pass of "
    "the\n"
    "pipeline leaves; passes that change nothing make none. Exit status 1 and the level's name if\n"
    "one diverges.\n\n"
    "  sage-check-levels attention.mlir --chip=sm_90a\n"
    "  sage-check-levels --example=sage2-8b --chip=sm_89 --shape=1,2,1,70,150\n\n"
    "The pipeline, which --pass-pipeline replaces (%CHIP% is --chip):\n  ";
constexpr llvm::StringLiteral defaultPipeline =
    "builtin.module(sage-legalize-recipe{chip=%CHIP%},sage-assign-schedule,sage-smooth,"
    "sage-quantize,cse,convert-sage-to-sage-tile,canonicalize,cse,"
    "gpu.module(sage_tile.kernel(sage-tile-apply-schedule,canonicalize,cse)))";

struct Options {
  cl::opt<std::string> input{cl::Positional, cl::desc("<input.mlir>"), cl::cat(category)};
  cl::opt<std::string> example{
      "example", cl::value_desc("recipe"),
      cl::desc("Instead of an input: causal attention of head dim 128 with this recipe"),
      cl::cat(category)};
  cl::opt<std::string> chip{"chip",
                            cl::desc("Chip to compile for; may be left out where the op carries a "
                                     "target"),
                            cl::cat(category)};
  cl::list<int64_t> shape{"shape", cl::CommaSeparated,
                          cl::desc("B,Hq,Hkv,Nq,Nk; default: 1,2,1,70,150 where types are dynamic"),
                          cl::cat(category)};
  cl::opt<std::string> pipeline{"pass-pipeline",
                                cl::desc("Passes to run instead of the compiler's; faults of your "
                                         "own may stand anywhere"),
                                cl::cat(category)};
  cl::opt<std::string> inputs{"inputs", cl::desc("Distribution of the inputs"), cl::cat(category),
                              cl::init("normal")};
  cl::opt<uint64_t> seed{"seed", cl::desc("Seed of the inputs"), cl::cat(category), cl::init(0)};
  interpret::MaskOptions masks{category};
  cl::opt<uint64_t> scheduleSeed{
      "schedule-seed",
      cl::desc("Of the interpreter: 0 is a fixed order of units; others are random"),
      cl::cat(category), cl::init(0)};
  cl::opt<double> tolerance{"tolerance",
                            cl::desc("Largest relative L1 of O; 0: 2e-3, and 1e-2 for bfloat16"),
                            cl::cat(category), cl::init(0)};
  cl::opt<double> lseTolerance{"lse-tolerance", cl::desc("Largest difference of the log-sum-exp"),
                               cl::cat(category), cl::init(2.5e-3)};
  cl::opt<int> device{"device",
                      cl::desc("Launch the artifact on this CUDA device, as the last level"),
                      cl::cat(category), cl::init(-1)};
  cl::opt<std::string> driver{"driver", cl::desc("CUDA driver library instead of libcuda.so.1"),
                              cl::cat(category)};
};

int fail(const llvm::Twine &message) {
  llvm::errs() << "sage-check-levels: error: " << message << "\n";
  return 1;
}

/// The module as a pass left it.
struct Level {
  std::string name;
  OwningOpRef<ModuleOp> module;
};

/// Copies the module after every pass that changed it, those of nested pipelines too.
class Recorder : public PassInstrumentation {
public:
  explicit Recorder(std::vector<Level> &levels) : levels(levels) {}

  void runAfterPass(Pass *pass, Operation *op) override {
    // Adaptors to nested operations have no argument; their passes were seen.
    if (pass->getArgument().empty())
      return;
    auto module = dyn_cast<ModuleOp>(op);
    if (!module)
      module = op->getParentOfType<ModuleOp>();
    OperationFingerPrint now(module);
    if (last && *last == now)
      return;
    last.emplace(now);
    std::string name = "after " + pass->getArgument().str();
    if (auto kernel = dyn_cast<tile::KernelOp>(op))
      name += " of @" + kernel.getSymName().str();
    levels.push_back({name, module.clone()});
  }

private:
  std::vector<Level> &levels;
  std::optional<OperationFingerPrint> last;
};

class Checker {
public:
  explicit Checker(const Options &options) : options(options) {}

  int run(ModuleOp module);

private:
  std::string setUp(AttentionOp op);
  bool runPipeline(ModuleOp module);
  /// The reference's results, of the op that `level` holds.
  std::string runReference(ModuleOp level);
  /// Compares what `tensors` hold, or reports what went `wrong`, as a line of the table.
  void report(StringRef name, StringRef means, std::string wrong);
  void printRow(StringRef name, StringRef means, StringRef figures, StringRef verdict) {
    llvm::outs() << llvm::formatv("{0,-58} {1,-12} {2,-42} {3}\n", name, means, figures, verdict);
    llvm::outs().flush();
  }
  double getTolerance() const {
    if (options.tolerance > 0)
      return options.tolerance;
    return tensors.problem.element_type == SAGE_BF16 ? 1e-2 : 2e-3;
  }

  const Options &options;
  interpret::Tensors tensors;
  std::vector<uint16_t> expected;
  std::vector<float> expectedLse;
  std::vector<Level> levels;
  std::string firstDivergence;
};

std::string Checker::setUp(AttentionOp op) {
  if (!options.shape.empty() && options.shape.size() != 5)
    return "--shape must be B,Hq,Hkv,Nq,Nk";
  tensors.shape = {1, 2, 1, 70, 150};
  llvm::copy(options.shape, tensors.shape.begin());
  if (failed(fixShape(op, !options.shape.empty(), tensors.shape)))
    return "the shape does not fit the attention";
  if (tensors.shape[1] != 0 && (tensors.shape[2] < 1 || tensors.shape[1] % tensors.shape[2] != 0))
    return "query heads must be a multiple of key heads, but got " +
           std::to_string(tensors.shape[1]) + " and " + std::to_string(tensors.shape[2]);
  evaluation::InputDistribution distribution;
  if (!evaluation::parseInputDistribution(options.inputs, distribution))
    return "--inputs must be one of " + evaluation::inputDistributionNames();
  std::optional<sage_problem> problem = interpret::getProblem(describe(op));
  if (!problem)
    return "the attention is not one that the reference computes";
  tensors.problem = *problem;
  tensors.makeRandom(distribution, options.seed);
  if (std::string wrong = options.masks.makeOperands(
          tensors.problem, tensors.shape, chooseMasks(op), options.seed, tensors.operands);
      !wrong.empty())
    return wrong;
  if (failed(checkMasks(op, tensors.operands)))
    return "the operands do not fit the attention";
  tensors.poisonOutputs();
  return {};
}

bool Checker::runPipeline(ModuleOp module) {
  std::string text = options.pipeline;
  if (text.empty())
    text = defaultPipeline.str();
  size_t place = text.find("%CHIP%");
  if (place != std::string::npos)
    text.replace(place, 6, options.chip);
  FailureOr<OpPassManager> parsed = parsePassPipeline(text);
  if (failed(parsed))
    return false;
  PassManager manager(module.getContext());
  static_cast<OpPassManager &>(manager) = std::move(*parsed);
  manager.addInstrumentation(std::make_unique<Recorder>(levels));
  return succeeded(manager.run(module));
}

std::string Checker::runReference(ModuleOp level) {
  AttentionOp op;
  level.walk([&](AttentionOp found) { op = found; });
  if (!op)
    return "the first level with a geometry must have the sage.attention: start with "
           "sage-assign-schedule";
  return interpret::runReference(describe(op), tensors, expected, expectedLse);
}

std::vector<double> toDouble(const std::vector<uint16_t> &elements, sage_element_type type) {
  std::vector<double> values;
  for (uint16_t bits : elements)
    values.push_back(type == SAGE_F16 ? runtime::f16ToFloat(bits) : runtime::bf16ToFloat(bits));
  return values;
}

void Checker::report(StringRef name, StringRef means, std::string wrong) {
  std::string figures = wrong;
  bool agrees = wrong.empty();
  if (agrees) {
    sage_element_type type = tensors.problem.element_type;
    evaluation::Accuracy output =
        evaluation::compare(toDouble(tensors.output, type), toDouble(expected, type));
    evaluation::Accuracy lse = evaluation::compare({tensors.lse.begin(), tensors.lse.end()},
                                                   {expectedLse.begin(), expectedLse.end()});
    bool hasLse = tensors.problem.lse != 0;
    agrees = output.mismatches == 0 && output.relativeL1 <= getTolerance() &&
             (!hasLse || (lse.mismatches == 0 && lse.maximum <= options.lseTolerance));
    llvm::raw_string_ostream stream(figures);
    stream << llvm::format("%-11.2e %-9.2e ", output.relativeL1, output.maximum);
    stream << (hasLse ? llvm::formatv("{0,-9}", llvm::formatv("{0:e2}", lse.maximum)).str()
                      : std::string("-        "));
    if (int64_t mismatches = output.mismatches + (hasLse ? lse.mismatches : 0))
      stream << " not finite: " << mismatches;
  }
  if (!agrees && firstDivergence.empty())
    firstDivergence = name.str();
  printRow(name, means, figures, agrees ? "ok" : "DIVERGES");
}

int Checker::run(ModuleOp module) {
  FailureOr<AttentionOp> op = findAttention(module);
  if (failed(op))
    return 1;
  OwningOpRef<ModuleOp> isolated = isolate(*op);
  if (std::string wrong = setUp(*op); !wrong.empty())
    return fail(wrong);
  bool compiled = runPipeline(*isolated);

  const auto &s = tensors.shape;
  llvm::outs() << llvm::formatv("B {0} Hq {1} Hkv {2} Nq {3} Nk {4} D {5} Dv {6}, bounds: relative "
                                "L1 {7:e1}, LSE {8:e1}\n",
                                s[0], s[1], s[2], s[3], s[4], tensors.problem.head_dim,
                                tensors.problem.value_head_dim, getTolerance(),
                                options.lseTolerance.getValue());
  printRow("level", "runs by", "relative L1 largest   LSE", "");
  bool hasReference = false;
  for (Level &level : levels) {
    Means means = findMeans(*level.module);
    if (means == Means::None)
      continue;
    if (means == Means::Lengths) {
      printRow(level.name, "-", "lengths are unpacked at sage.attention", "skipped");
      continue;
    }
    if (!hasReference) {
      if (std::string wrong = runReference(*level.module); !wrong.empty())
        return fail(wrong);
      hasReference = true;
    }
    OwningOpRef<ModuleOp> copy = level.module->clone();
    std::string wrong = execute(*copy, means, tensors, options.scheduleSeed);
    report(level.name, means == Means::Decomposition ? "linalg" : "interpreter", wrong);
  }
  if (!compiled)
    return fail("the pipeline failed after the levels above");
  if (!hasReference)
    return fail("no level can be executed: the attention needs a geometry (sage-assign-schedule)");
  if (options.device >= 0) {
    if (findMeans(*isolated) != Means::Interpreter)
      return fail("the pipeline must end in tile kernels on fragments to launch the artifact");
    report("artifact", "GPU", executeArtifact(*isolated, tensors, options.device, options.driver));
  }
  if (firstDivergence.empty()) {
    llvm::outs() << "all levels agree\n";
    return 0;
  }
  return fail("the first level that diverges is '" + firstDivergence + "'");
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  Options options;
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, (overview + defaultPipeline + "\n").str());

  mlir::registerAllPasses();
  sage::registerAllPasses();
  DialectRegistry registry;
  mlir::registerAllDialects(registry);
  registerAllExtensions(registry);
  registerAllToLLVMIRTranslations(registry);
  NVVM::registerNVVMTargetInterfaceExternalModels(registry);
  sage::registerAllDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  // Levels are written and lowered with dialects that the input need not have.
  context.loadAllAvailableDialects();

  if (options.input.empty() == options.example.empty())
    return fail("give an input file, or --example=RECIPE");
  auto sources = std::make_shared<llvm::SourceMgr>();
  if (options.input.empty()) {
    sources->AddNewSourceBuffer(
        llvm::MemoryBuffer::getMemBufferCopy(makeExample(options.example), "example"),
        llvm::SMLoc());
  } else {
    std::string message;
    std::unique_ptr<llvm::MemoryBuffer> buffer = openInputFile(options.input, &message);
    if (!buffer)
      return fail(message);
    sources->AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  }
  SourceMgrDiagnosticHandler handler(*sources, &context);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, &context);
  return module ? Checker(options).run(*module) : 1;
}
