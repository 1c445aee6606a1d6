// sage-compile: an attention op in MLIR to an artifact that the runtime launches.

#include "Assembler.h"
#include "Explain.h"
#include "Levels.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Support/Timing.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Dialect/SageTile/Transforms/Passes.h"
#include "sage/Pipelines/Pipelines.h"
#include "sage/Pipelines/Raise.h"
#include "sage/Schedule/ScheduleLookup.h"
#include "sage/Target/Artifact.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BuryPointer.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/xxhash.h"

#include <cstdlib>
#include <functional>

using namespace mlir;

namespace {

enum class Emit { Sage, Tile, Nvvm, Ptx, Cubin };
enum class Explain { No, Text, Json };

namespace cl = llvm::cl;
cl::OptionCategory category("sage-compile options");

cl::opt<std::string> input(cl::Positional, cl::desc("<input.mlir>"), cl::init("-"),
                           cl::cat(category));
cl::opt<std::string> output("o", cl::desc("Output file; - for standard output (the default)"),
                            cl::value_desc("file"), cl::init("-"), cl::cat(category));
cl::opt<std::string> chip("chip",
                          cl::desc("GPU to compile for, e.g. sm_90a; --list-chips lists them"),
                          cl::value_desc("chip"), cl::cat(category));
cl::opt<std::string> recipe("recipe", cl::desc("Recipe that replaces the ops' own, e.g. sage2-8b"),
                            cl::value_desc("name"), cl::cat(category));
cl::opt<bool> raiseAttention(
    "raise",
    cl::desc("Recognize attention in linalg, tosa and tm_tensor first (docs/Raising.md); operands "
             "that are not 16-bit are converted to f16"),
    cl::cat(category));
cl::opt<bool>
    substitute("substitute",
               cl::desc("Replace a recipe that the chip cannot run by the nearest one that it can, "
                        "instead of an error"),
               cl::cat(category));
cl::opt<std::string> scheduleFile("schedule-file",
                                  cl::desc("Schedule rows that replace the built-in ones"),
                                  cl::value_desc("file.mlir"), cl::cat(category));
cl::opt<std::string>
    programName("program",
                cl::desc("Host program to write, where the input has several attentions"),
                cl::value_desc("name"), cl::cat(category));
cl::opt<Emit>
    emit("emit", cl::desc("What to write:"), cl::init(Emit::Ptx),
         cl::values(
             clEnumValN(Emit::Sage, "sage",
                        "MLIR: legal for the chip, smoothing and quantization explicit"),
             clEnumValN(Emit::Tile, "tile",
                        "MLIR: host program and tile kernels, as they enter distribution"),
             clEnumValN(Emit::Nvvm, "nvvm", "MLIR: one chip's instructions"),
             clEnumValN(Emit::Ptx, "ptx", "the artifact: PTX with its manifest (default)"),
             clEnumValN(Emit::Cubin, "cubin",
                        "the artifact, and the cubin that ptxas makes of it beside it (needs -o)")),
         cl::cat(category));
cl::opt<Explain> explain(
    "explain",
    cl::desc("Write instead what the attention kernel's main loop does for each score, the clocks "
             "of every pipe, registers (where ptxas is), occupancy and the predicted rate"),
    cl::ValueOptional, cl::init(Explain::No),
    cl::values(clEnumValN(Explain::Text, "", ""), clEnumValN(Explain::Text, "text", "a table"),
               clEnumValN(Explain::Json, "json", "the same figures as JSON")),
    cl::cat(category));
cl::opt<int64_t> explainClock("explain-clock",
                              cl::desc("Clock of the prediction; default: the chip's rates' own"),
                              cl::value_desc("MHz"), cl::init(0), cl::cat(category));
cl::opt<std::string> ptxas("ptxas",
                           cl::desc("The CUDA Toolkit's ptxas, for --emit=cubin and --explain"),
                           cl::value_desc("program"), cl::cat(category));
cl::opt<std::string>
    saveTemps("save-temps",
              cl::desc("Write every level to this folder (default: the output's name with "
                       ".levels), and levels.html with all of them side by side"),
              cl::ValueOptional, cl::value_desc("folder"), cl::cat(category));
cl::opt<bool> printSchedule(
    "print-schedule",
    cl::desc("Print the schedule and the geometry that were chosen, to standard error"),
    cl::cat(category));
cl::opt<bool> splitKeys(
    "split-keys",
    cl::desc("Take long keys in parts where queries are few, and join the parts (default: true)"),
    cl::init(true), cl::cat(category));
cl::opt<bool> overlapLaunches(
    "overlap-launches",
    cl::desc("Let a kernel start while the one before it ends, on chips that can (default: true)"),
    cl::init(true), cl::cat(category));
cl::opt<bool> verbose("v",
                      cl::desc("Report registers and spills of every kernel (with --emit=cubin)"),
                      cl::cat(category));
cl::opt<std::string>
    fault("inject-fault",
          cl::desc("Plant a known error in the attention kernel, for tests of tests "
                   "(sage-tile-inject-fault lists the kinds)"),
          cl::value_desc("kind"), cl::Hidden, cl::cat(category));
cl::opt<bool> listChipsOnly("list-chips", cl::desc("List the chips and exit"), cl::cat(category));

int fail(const llvm::Twine &message) {
  llvm::errs() << "sage-compile: error: " << message << "\n";
  return 1;
}

LogicalResult writeFile(llvm::StringRef path, llvm::StringRef text) {
  std::string error;
  auto file = openOutputFile(path, &error);
  if (!file)
    return fail(error), failure();
  file->os() << text;
  file->keep();
  return success();
}

std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  stream << "\n";
  return text;
}

/// A part of the way: what `build` adds is run, and its result recorded as a level.
struct Stage {
  llvm::StringRef fileName, title;
  std::function<void(OpPassManager &)> build;
  /// Not after every stage, let alone every pass: layouts are checked element by element.
  bool verifies;
};

LogicalResult runStage(ModuleOp module, sage::LevelRecorder &recorder, const Stage &stage) {
  PassManager manager(module.getContext());
  if (failed(applyPassManagerCLOptions(manager)))
    return failure();
  applyDefaultTimingPassManagerCLOptions(manager);
  stage.build(manager);
  manager.enableVerifier(false);
  if (failed(manager.run(module)) || (stage.verifies && failed(verify(module))))
    return failure();
  return recorder.record(module, stage.fileName, stage.title);
}

/// Plants the error that --inject-fault names. Errors of synchronization exist only in scheduled
/// kernels, and errors of arithmetic are recognized in sequential ones.
LogicalResult plantFault(ModuleOp module, bool scheduled) {
  bool ofSynchronization =
      llvm::is_contained({"stale-stage", "missing-full-wait", "missing-empty-wait"}, fault);
  if (fault.empty() || ofSynchronization != scheduled)
    return success();
  PassManager manager(module.getContext());
  manager.nest<gpu::GPUModuleOp>().nest<sage::tile::KernelOp>().addPass(
      sage::tile::createInjectFault({fault, "attention"}));
  return manager.run(module);
}

void reportSchedules(ModuleOp module) {
  module.walk([](sage::tile::ProgramOp program) {
    DictionaryAttr problem = program.getProblem();
    llvm::errs() << "@" << program.getSymName() << ":\n";
    for (llvm::StringRef name : {"target", "recipe", "geometry", "schedule"})
      llvm::errs() << "  " << name << ": " << problem.get(name) << "\n";
  });
}

LogicalResult writeCubin(llvm::StringRef artifact, llvm::StringRef chipName) {
  llvm::Expected<sage::Assembly> assembly = sage::assemble(artifact, chipName, ptxas);
  if (!assembly)
    return fail(llvm::toString(assembly.takeError())), failure();
  for (const std::string &warning : assembly->warnings)
    llvm::errs() << "sage-compile: warning: " << warning << "\n";
  for (const sage::AssembledKernel &kernel : assembly->kernels) {
    if (!verbose && kernel.spillStoreBytes == 0)
      continue;
    llvm::errs() << llvm::formatv(
        "sage-compile: {0}: {1} registers, {2} bytes of spill stores, {3} bytes of spill loads\n",
        kernel.name, kernel.registers, kernel.spillStoreBytes, kernel.spillLoadBytes);
  }
  llvm::SmallString<128> path(output);
  llvm::sys::path::replace_extension(path, "cubin");
  // The runtime takes the cubin only if it belongs to this artifact (docs/Artifact.md).
  llvm::StringRef checksumLine = artifact.split('\n').second.split('\n').first;
  llvm::json::Object sidecar{
      {"artifact_xxh3", checksumLine.rsplit(' ').second},
      {"chip", chipName},
      {"cubin_xxh3", llvm::formatv("{0:x-16}", llvm::xxh3_64bits(assembly->cubin)).str()}};
  if (failed(writeFile(path, assembly->cubin)))
    return failure();
  path += ".json";
  return writeFile(path, llvm::formatv("{0:2}\n", llvm::json::Value(std::move(sidecar))).str());
}

/// From the input to sequential tile kernels, or to what --emit=sage writes.
LogicalResult lowerToTile(ModuleOp module, sage::LevelRecorder &recorder) {
  sage::PipelineOptions options;
  options.chip = chip;
  options.recipe = recipe;
  options.substitute = substitute;
  options.scheduleFile = scheduleFile;
  options.splitKeys = splitKeys;
  const Stage stages[] = {
      {"1-legal.mlir", "legal for the chip, schedule and geometry assigned",
       [&](OpPassManager &manager) { sage::buildLegalizePipeline(manager, options); }, false},
      {"2-sage.mlir", "smoothing and quantization explicit", sage::buildQuantizePipeline, true},
      {"3-tile-sequential.mlir", "host program, sequential tile kernels",
       [](OpPassManager &manager) { sage::buildQuantizedToTilePipeline(manager, overlapLaunches); },
       true}};
  if (failed(recorder.record(module, "0-input.mlir", "the input")))
    return failure();
  sage::RaiseOptions raising;
  if (!recipe.empty())
    raising.recipe = recipe;
  if (raiseAttention &&
      failed(runStage(module, recorder,
                      {"0-raised.mlir", "attention recognized",
                       [&](OpPassManager &pm) { sage::buildRaisePipeline(pm, raising); }, true})))
    return failure();
  for (const Stage &stage : llvm::ArrayRef(stages).take_front(emit == Emit::Sage ? 2 : 3))
    if (failed(runStage(module, recorder, stage)))
      return failure();
  return success();
}

LogicalResult scheduleTiles(ModuleOp module, sage::LevelRecorder &recorder) {
  if (printSchedule)
    reportSchedules(module);
  return success(succeeded(plantFault(module, /*scheduled=*/false)) &&
                 succeeded(runStage(module, recorder,
                                    {"4-tile.mlir", "scheduled tile kernels",
                                     sage::buildTileSchedulePipeline, true})) &&
                 succeeded(plantFault(module, /*scheduled=*/true)));
}

LogicalResult lowerToNvvm(ModuleOp module, sage::LevelRecorder &recorder) {
  return success(succeeded(runStage(module, recorder,
                                    {"5-lanes.mlir", "vectors of one lane",
                                     sage::buildTileToLanesPipeline, false})) &&
                 succeeded(runStage(module, recorder,
                                    {"6-nvvm.mlir", "one chip's instructions",
                                     sage::buildLanesToNVVMPipeline, true})));
}

LogicalResult writeArtifact(ModuleOp module, sage::LevelRecorder &recorder,
                            FailureOr<sage::Explanation> &explanation) {
  FailureOr<sage::tile::ProgramOp> program = sage::findProgram(module, programName);
  if (failed(program))
    return failure();
  FailureOr<std::string> artifact = sage::emitArtifact(*program);
  if (failed(artifact) || failed(recorder.recordArtifact(*program, *artifact)))
    return failure();
  llvm::StringRef chipName = program->getProblem().getAs<sage::TargetAttr>("target").getChip();
  if (explain != Explain::No) {
    sage::addRegisters(*artifact, chipName, ptxas, *explanation);
    return writeFile(output,
                     sage::printExplanation(*explanation, explainClock, explain == Explain::Json));
  }
  if (failed(writeFile(output, *artifact)))
    return failure();
  return emit == Emit::Cubin ? writeCubin(*artifact, chipName) : success();
}

LogicalResult compile(ModuleOp module, sage::LevelRecorder &recorder) {
  if (failed(recorder.open()) || failed(lowerToTile(module, recorder)))
    return failure();
  if (emit == Emit::Sage)
    return writeFile(output, print(module));
  if (failed(scheduleTiles(module, recorder)))
    return failure();
  if (emit == Emit::Tile)
    return writeFile(output, print(module));
  FailureOr<sage::Explanation> explanation = failure();
  if (explain != Explain::No) {
    FailureOr<sage::tile::ProgramOp> program = sage::findProgram(module, programName);
    if (failed(program) || failed(explanation = sage::countAttention(*program)))
      return failure();
  }
  if (failed(lowerToNvvm(module, recorder)))
    return failure();
  if (emit == Emit::Nvvm)
    return writeFile(output, print(module));
  return writeArtifact(module, recorder, explanation);
}

/// Where --save-temps writes: the folder that it names, or one beside the output.
std::string chooseLevelsFolder() {
  if (!saveTemps.empty() || saveTemps.getNumOccurrences() == 0)
    return saveTemps;
  llvm::SmallString<128> path(output != "-" ? output : input);
  if (path == "-")
    return "attention.levels";
  if (output == "-")
    path = llvm::sys::path::filename(input);
  llvm::sys::path::replace_extension(path, "levels");
  return path.str().str();
}

} // namespace

/// What LLVM cannot compile is the input's fault: an error, not a crash that asks for a report.
static void reportFatalError(void *, const char *reason, bool) {
  llvm::errs() << "sage-compile: error: LLVM could not compile the kernels: " << reason << "\n";
  // Removes unfinished files. Destructors would run in the middle of LLVM's work.
  llvm::sys::RunInterruptHandlers();
  std::_Exit(1);
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  llvm::install_fatal_error_handler(reportFatalError);
  registerAsmPrinterCLOptions();
  registerMLIRContextCLOptions();
  registerPassManagerCLOptions();
  registerDefaultTimingManagerCLOptions();
  cl::SetVersionPrinter([](llvm::raw_ostream &os) {
    os << "sage-compile " SAGE_VERSION " (MLIR " LLVM_VERSION_STRING ")\n";
  });
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(
      argc, argv,
      "Compiles a sage.attention to PTX that describes itself\n\n"
      "  sage-compile attention.mlir --chip=sm_90a -o attention.ptx\n"
      "  sage-run attention.ptx --device=cuda:0\n\n"
      "Options of MLIR's pass manager, such as --mlir-print-ir-after-all and "
      "--mlir-timing, are\nlisted by --help-hidden.\n");
  if (listChipsOnly) {
    for (const std::string &name : sage::listChips())
      llvm::outs() << name << "\n";
    return 0;
  }
  if (emit == Emit::Cubin && output == "-")
    return fail("--emit=cubin writes two files: name the artifact with -o");
  std::string error;
  auto file = openInputFile(input, &error);
  if (!file)
    return fail(error);
  DialectRegistry registry;
  sage::registerCompilerDialects(registry);
  if (raiseAttention)
    sage::registerRaiseDialects(registry);
  // Neither is freed, nor is the module: the process ends.
  auto *context = new MLIRContext(registry);
  llvm::BuryPointer(context);
  // tm_tensor.attention is of a dialect that is not linked.
  context->allowUnregisteredDialects(raiseAttention);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  SourceMgrDiagnosticHandler handler(sources, context);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, context);
  if (!module)
    return 1;
  sage::LevelRecorder recorder(chooseLevelsFolder());
  LogicalResult compiled = compile(module.release(), recorder);
  // Levels up to an error help to find it.
  LogicalResult recorded = recorder.writePage(input);
  return failed(compiled) || failed(recorded);
}
