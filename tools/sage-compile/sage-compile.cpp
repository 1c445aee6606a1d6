// sage-compile: an attention op in MLIR to an artifact that the runtime launches.

#include "Assembler.h"
#include "Explain.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Dialect/SageTile/Transforms/Passes.h"
#include "sage/Pipelines/Pipelines.h"
#include "sage/Schedule/ScheduleLookup.h"
#include "sage/Target/Artifact.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BuryPointer.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/xxhash.h"

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
cl::opt<std::string> saveTemps("save-temps", cl::desc("Write every level to this folder"),
                               cl::value_desc("folder"), cl::cat(category));
cl::opt<bool> printSchedule(
    "print-schedule",
    cl::desc("Print the schedule and the geometry that were chosen, to standard error"),
    cl::cat(category));
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

/// Runs one stage and, with --save-temps, writes what it made.
LogicalResult runStage(ModuleOp module, llvm::StringRef fileName,
                       llvm::function_ref<void(OpPassManager &)> build) {
  PassManager manager(module.getContext());
  if (failed(applyPassManagerCLOptions(manager)))
    return failure();
  build(manager);
  // Once a stage, not after every pass: layouts are checked element by element.
  manager.enableVerifier(false);
  if (failed(manager.run(module)) || failed(verify(module)))
    return failure();
  if (saveTemps.empty())
    return success();
  llvm::SmallString<128> path(saveTemps);
  llvm::sys::path::append(path, fileName);
  return writeFile(path, print(module));
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

int compile(ModuleOp module) {
  sage::PipelineOptions options;
  options.chip = chip;
  options.recipe = recipe;
  options.substitute = substitute;
  options.scheduleFile = scheduleFile;
  if (failed(runStage(module, "1-sage.mlir",
                      [&](OpPassManager &pm) { sage::buildSageToQuantizedPipeline(pm, options); })))
    return 1;
  if (emit == Emit::Sage)
    return failed(writeFile(output, print(module)));
  if (failed(runStage(module, "2-tile-sequential.mlir",
                      [](OpPassManager &pm) { sage::buildQuantizedToTilePipeline(pm); })))
    return 1;
  if (printSchedule)
    reportSchedules(module);
  if (failed(plantFault(module, /*scheduled=*/false)))
    return 1;
  if (failed(runStage(module, "3-tile.mlir",
                      [](OpPassManager &pm) { sage::buildTileSchedulePipeline(pm); })) ||
      failed(plantFault(module, /*scheduled=*/true)))
    return 1;
  if (emit == Emit::Tile)
    return failed(writeFile(output, print(module)));
  FailureOr<sage::Explanation> explanation = failure();
  if (explain != Explain::No) {
    FailureOr<sage::tile::ProgramOp> program = sage::findProgram(module, programName);
    if (failed(program) || failed(explanation = sage::countAttention(*program)))
      return 1;
  }
  if (failed(runStage(module, "4-nvvm.mlir",
                      [](OpPassManager &pm) { sage::buildTileToNVVMPipeline(pm); })))
    return 1;
  if (emit == Emit::Nvvm)
    return failed(writeFile(output, print(module)));

  FailureOr<sage::tile::ProgramOp> program = sage::findProgram(module, programName);
  if (failed(program))
    return 1;
  FailureOr<std::string> artifact = sage::emitArtifact(*program);
  if (failed(artifact))
    return 1;
  llvm::StringRef chipName = program->getProblem().getAs<sage::TargetAttr>("target").getChip();
  if (explain != Explain::No) {
    sage::addRegisters(*artifact, chipName, ptxas, *explanation);
    return failed(writeFile(
        output, sage::printExplanation(*explanation, explainClock, explain == Explain::Json)));
  }
  if (failed(writeFile(output, *artifact)))
    return 1;
  if (!saveTemps.empty()) {
    llvm::SmallString<128> path(saveTemps);
    llvm::sys::path::append(path, "5-artifact.ptx");
    if (failed(writeFile(path, *artifact)))
      return 1;
  }
  if (emit == Emit::Cubin && failed(writeCubin(*artifact, chipName)))
    return 1;
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  registerAsmPrinterCLOptions();
  registerMLIRContextCLOptions();
  registerPassManagerCLOptions();
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
  if (!saveTemps.empty())
    if (std::error_code code = llvm::sys::fs::create_directories(saveTemps))
      return fail("cannot create the folder '" + saveTemps + "': " + code.message());

  std::string error;
  auto file = openInputFile(input, &error);
  if (!file)
    return fail(error);
  DialectRegistry registry;
  sage::registerCompilerDialects(registry);
  // Neither is freed, nor is the module: the process ends.
  auto *context = new MLIRContext(registry);
  llvm::BuryPointer(context);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  SourceMgrDiagnosticHandler handler(sources, context);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, context);
  if (!module)
    return 1;
  return compile(module.release());
}
