// sage-interpret: runs a sage_tile.program on the CPU, on random inputs or on files, and checks it.

#include "MaskOptions.h"
#include "Reference.h"
#include "Tensors.h"

#include "sage/Dialect/SageTile/Interpreter/Interpreter.h"
#include "sage/InitAll.h"

#include "mlir/IR/AsmState.h"
#include "mlir/InitAllDialects.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"

#include <cstring>

using namespace mlir;
using namespace sage;
using sage::tile::DeviceBuffer;
using sage::tile::InterpreterOptions;
using sage::tile::ProblemInstance;
namespace cl = llvm::cl;

namespace {

cl::OptionCategory category("sage-interpret options");

struct Options {
  cl::opt<std::string> input{cl::Positional, cl::desc("<input .mlir>"), cl::cat(category),
                             cl::init("-")};
  cl::opt<std::string> program{"program", cl::desc("Name of the program; default: the first"),
                               cl::cat(category)};
  cl::list<int64_t> shape{"shape", cl::CommaSeparated, cl::desc("B,Hq,Hkv,Nq,Nk of random inputs"),
                          cl::cat(category)};
  cl::opt<std::string> inputs{"inputs", cl::desc("Distribution of random inputs"),
                              cl::cat(category), cl::init("normal")};
  cl::opt<uint64_t> seed{"seed", cl::desc("Seed of random inputs"), cl::cat(category), cl::init(0)};
  cl::opt<std::string> query{"query", cl::desc("B×Hq×Nq×D .npy file"), cl::cat(category)};
  cl::opt<std::string> key{"key", cl::desc("B×Hkv×Nk×D .npy file"), cl::cat(category)};
  cl::opt<std::string> value{"value", cl::desc("B×Hkv×Nk×D .npy file"), cl::cat(category)};
  interpret::MaskOptions masks{category};
  cl::opt<std::string> biasAxes{
      "bias-axes", cl::desc("Extents of the random bias that are not 1: letters of bhqk, or none"),
      cl::cat(category), cl::init("qk")};
  cl::opt<std::string> output{"output", cl::desc("Write the output to this .npy file"),
                              cl::cat(category)};
  cl::opt<std::string> lse{"lse", cl::desc("Write the log-sum-exp to this .npy file"),
                           cl::cat(category)};
  cl::list<std::string> dump{"dump-buffer",
                             cl::desc("NAME=FILE: write the bytes of a workspace slice"),
                             cl::cat(category)};
  cl::list<std::string> print{"print-buffer",
                              cl::desc("NAME:TYPE (f32, i32 or i8): print a workspace slice"),
                              cl::cat(category)};
  cl::opt<uint64_t> scheduleSeed{
      "schedule-seed", cl::desc("0: a fixed order of units; otherwise interleaves at random"),
      cl::cat(category), cl::init(0)};
  cl::opt<unsigned> threads{"block-threads", cl::desc("Threads that execute blocks; 0: all"),
                            cl::cat(category), cl::init(0)};
  cl::opt<bool> check{"check", cl::desc("Compare with the CPU reference"), cl::cat(category),
                      cl::init(false)};
  cl::opt<double> tolerance{"tolerance", cl::desc("Largest relative L1 of the output"),
                            cl::cat(category), cl::init(2e-3)};
  cl::opt<double> lseTolerance{"lse-tolerance", cl::desc("Largest difference of the log-sum-exp"),
                               cl::cat(category), cl::init(2.5e-3)};
};

int fail(const std::string &message) {
  llvm::errs() << "sage-interpret: " << message << "\n";
  return 1;
}

tile::ProgramOp findProgram(ModuleOp module, StringRef name) {
  for (auto program : module.getOps<tile::ProgramOp>())
    if (name.empty() || program.getSymName() == name)
      return program;
  return {};
}

template <typename T> void printElements(const std::vector<char> &bytes) {
  for (size_t i = 0; i + sizeof(T) <= bytes.size(); i += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + i, sizeof(T));
    llvm::outs() << (i ? ", " : "");
    if constexpr (std::is_floating_point_v<T>)
      llvm::outs() << llvm::format("%g", value);
    else
      llvm::outs() << static_cast<int64_t>(value);
  }
}

std::string printBuffer(StringRef text, const llvm::StringMap<std::vector<char>> &workspace) {
  auto [name, type] = text.split(':');
  auto slice = workspace.find(name);
  if (slice == workspace.end())
    return "there is no workspace slice '" + name.str() + "'";
  llvm::outs() << name << " = [";
  if (type == "f32")
    printElements<float>(slice->second);
  else if (type == "i32")
    printElements<int32_t>(slice->second);
  else if (type == "i8")
    printElements<int8_t>(slice->second);
  else
    return "the type of a printed buffer must be f32, i32 or i8, but got '" + type.str() + "'";
  llvm::outs() << "]\n";
  return {};
}

std::string dumpBuffer(StringRef text, const llvm::StringMap<std::vector<char>> &workspace) {
  auto [name, path] = text.split('=');
  auto slice = workspace.find(name);
  if (slice == workspace.end())
    return "there is no workspace slice '" + name.str() + "'";
  std::string message;
  std::unique_ptr<llvm::ToolOutputFile> file = openOutputFile(path, &message);
  if (!file)
    return message;
  file->os().write(slice->second.data(), slice->second.size());
  file->keep();
  return {};
}

/// The operands besides Q, K and V. Returns an empty text or an error.
std::string makeOperands(const Options &options, interpret::Tensors &tensors) {
  evaluation::MaskChoice choice;
  std::string wrong = evaluation::parseBiasAxes(options.biasAxes, choice.biasAxes);
  if (!wrong.empty())
    return "--bias-axes must be " + wrong + ", but got '" + options.biasAxes + "'";
  return options.masks.makeOperands(tensors.problem, tensors.shape, choice, options.seed,
                                    tensors.operands);
}

int run(ModuleOp module, const Options &options) {
  tile::ProgramOp program = findProgram(module, options.program);
  if (!program)
    return fail("the module has no such sage_tile.program");
  interpret::Tensors tensors;
  ProblemInstance problem;
  llvm::StringMap<DeviceBuffer> buffers;
  std::optional<sage_problem> description = interpret::getProblem(program.getProblem());
  if (description) {
    tensors.problem = *description;
    std::string wrong;
    evaluation::InputDistribution distribution;
    if (!options.query.empty())
      wrong = tensors.read(options.query, options.key, options.value);
    else if (options.shape.size() != 5)
      wrong = "give --shape B,Hq,Hkv,Nq,Nk, or --query, --key and --value";
    else if (!evaluation::parseInputDistribution(options.inputs, distribution))
      wrong = "inputs must be one of " + evaluation::inputDistributionNames();
    if (!wrong.empty())
      return fail(wrong);
    if (options.query.empty()) {
      llvm::copy(options.shape, tensors.shape.begin());
      tensors.makeRandom(distribution, options.seed);
    }
    wrong = makeOperands(options, tensors);
    if (!wrong.empty())
      return fail(wrong);
    tensors.poisonOutputs();
    problem = tensors.getInstance(program.getProblem());
    buffers = tensors.getBuffers();
  } else {
    llvm::copy(ArrayRef<int64_t>(options.shape).take_front(problem.symbols.size()),
               problem.symbols.begin());
  }

  InterpreterOptions interpreterOptions;
  interpreterOptions.scheduleSeed = options.scheduleSeed;
  interpreterOptions.threads = options.threads;
  llvm::StringMap<std::vector<char>> workspace;
  if (failed(interpretProgram(program, problem, buffers, interpreterOptions, &workspace)))
    return 1;

  std::string wrong = tensors.write(options.output, options.lse);
  for (const std::string &text : options.print)
    if (wrong.empty())
      wrong = printBuffer(text, workspace);
  for (const std::string &text : options.dump)
    if (wrong.empty())
      wrong = dumpBuffer(text, workspace);
  if (wrong.empty() && options.check)
    wrong = !description
                ? "the program records no problem to compare with"
                : interpret::checkAgainstReference(program.getProblem(), tensors,
                                                   {options.tolerance, options.lseTolerance});
  return wrong.empty() ? 0 : fail(wrong);
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  Options options;
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, "Runs sage_tile programs on the CPU\n");

  DialectRegistry registry;
  mlir::registerAllDialects(registry);
  sage::registerAllDialects(registry);
  MLIRContext context(registry);
  context.printOpOnDiagnostic(false);
  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> buffer = openInputFile(options.input, &message);
  if (!buffer)
    return fail(message);
  auto sources = std::make_shared<llvm::SourceMgr>();
  sources->AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  SourceMgrDiagnosticHandler handler(*sources, &context);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, &context);
  return module ? run(*module, options) : 1;
}
