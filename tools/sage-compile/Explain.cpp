// Counts the attention kernel and asks ptxas about it.

#include "Explain.h"

#include "Assembler.h"
#include "sage/Schedule/ScheduleLookup.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace sage;

static double getOperationsPerElement(DictionaryAttr problem) {
  auto headDim = problem.getAs<IntegerAttr>("head_dim");
  auto valueHeadDim = problem.getAs<IntegerAttr>("value_head_dim");
  return 2.0 * double(headDim.getInt() + (valueHeadDim ? valueHeadDim : headDim).getInt());
}

FailureOr<Explanation> sage::countAttention(tile::ProgramOp program) {
  SmallVector<tile::LaunchOp> launches = program.getLaunches();
  if (launches.empty())
    return program.emitOpError("must launch a kernel to be explained");
  // Behind the attention are only kernels that finish what it leaves.
  auto attention = llvm::find_if(launches, [](tile::LaunchOp launch) {
    return launch.getKernel().getLeafReference() == "attention";
  });
  SymbolRefAttr name =
      attention == launches.end() ? launches.back().getKernel() : attention->getKernel();
  auto kernel = SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(program->getParentOp(), name);
  if (!kernel)
    return program.emitOpError("must launch a tile kernel to be explained, but ")
           << name << " is none";
  DictionaryAttr problem = program.getProblem();
  auto target = problem.getAs<TargetAttr>("target");
  auto schedule = problem.getAs<ScheduleAttr>("schedule");
  FailureOr<RatesAttr> rates =
      lookupRates(program.getContext(), target.getChip(), [&] { return program.emitOpError(); });
  FailureOr<LoopWork> work = countMainLoop(kernel);
  if (failed(rates) || failed(work))
    return failure();
  Explanation result{*work, {}, *rates};
  result.kernel.name = kernel.getSymName().str();
  result.kernel.units = schedule.getUnits();
  result.kernel.threads = schedule.getThreads();
  result.kernel.sharedBytes = schedule.getSharedBytes(problem.getAs<RecipeAttr>("recipe"));
  result.kernel.producerRegisters = schedule.getProducerRegisters();
  result.kernel.consumerRegisters = schedule.getConsumerRegisters();
  result.kernel.operationsPerElement = getOperationsPerElement(problem);
  return result;
}

void sage::addRegisters(llvm::StringRef artifact, llvm::StringRef chip, llvm::StringRef ptxas,
                        Explanation &explanation) {
  llvm::Expected<Assembly> assembly = assemble(artifact, chip, ptxas);
  if (!assembly) {
    llvm::errs() << "sage-compile: note: " << llvm::toString(assembly.takeError()) << "\n";
    return;
  }
  for (const AssembledKernel &kernel : assembly->kernels)
    if (kernel.name == explanation.kernel.name) {
      explanation.kernel.registers = kernel.registers;
      explanation.kernel.spillBytes = kernel.spillStoreBytes;
    }
}

std::string sage::printExplanation(const Explanation &explanation, int64_t clockMegahertz,
                                   bool asJson) {
  Prediction prediction =
      predict(explanation.work, explanation.kernel, explanation.rates, clockMegahertz);
  if (asJson)
    return llvm::formatv("{0:2}\n", llvm::json::Value(toJson(prediction))).str();
  std::string text;
  llvm::raw_string_ostream stream(text);
  printPrediction(prediction, stream);
  return text;
}
