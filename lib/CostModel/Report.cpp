// Predictions as text and as JSON.

#include "sage/CostModel/Prediction.h"

#include "llvm/Support/FormatVariadic.h"

using namespace sage;
using llvm::formatv;

static void printOccupancy(const Prediction &prediction, llvm::raw_ostream &os) {
  const KernelShape &kernel = prediction.kernel;
  if (kernel.registers)
    os << formatv("registers: {0} a thread at entry", *kernel.registers);
  else
    os << "registers: not known without ptxas";
  if (kernel.consumerRegisters)
    os << formatv(", {0} of consumers", kernel.consumerRegisters);
  if (kernel.spillBytes)
    os << formatv(", {0} bytes of spill stores", *kernel.spillBytes);
  os << formatv("\nshared memory: {0} bytes a block\n", kernel.sharedBytes);
  os << formatv(
      "occupancy: {0} blocks of {1} threads on a multiprocessor, {2} units that compute\n",
      prediction.blocks, kernel.threads, prediction.blocks * kernel.units);
}

void sage::printPrediction(const Prediction &prediction, llvm::raw_ostream &os) {
  RatesAttr rates = prediction.rates;
  os << formatv("@{0}, main loop without masks, on {1}: {2} multiprocessors at {3} MHz\n",
                prediction.kernel.name, rates.getProduct(), rates.getMultiprocessors(),
                prediction.clockMegahertz);
  os << formatv("one iteration of a unit: {0:F0} elements of S, {1:F0} instructions of each of "
                "{2} warps\n\n",
                prediction.work.elements, prediction.work.instructions, prediction.work.warps);
  os << formatv("{0,-14}  {1,24}  {2,12}  {3,6}\n", "per element", "work", "clocks", "busy");
  for (const PipeLoad &pipe : prediction.pipes)
    os << formatv("{0,-14}  {1,10} {2,-13}  {3,12}  {4,4} %\n", pipe.name,
                  formatv("{0:F2}", pipe.amount), pipe.what, formatv("{0:F4}", pipe.clocks),
                  formatv("{0:F0}", 100 * pipe.clocks / prediction.boundClocks));
  os << "\n";
  printOccupancy(prediction, os);
  os << formatv("predicted, everything overlapped: {0:F0} TFLOP/s, bound by {1}\n",
                prediction.boundTeraflops, prediction.pipes[prediction.busiest].name);
  os << formatv("predicted, units that wait for one another: {0:F0} TFLOP/s, {1} {2:F0} % busy\n",
                prediction.queueTeraflops, prediction.pipes[prediction.busiest].name,
                100 * prediction.boundClocks / prediction.queueClocks);
}

llvm::json::Object sage::toJson(const Prediction &prediction) {
  llvm::json::Array pipes;
  for (const PipeLoad &pipe : prediction.pipes)
    pipes.push_back(llvm::json::Object{{"name", pipe.name},
                                       {"what", pipe.what},
                                       {"per_element", pipe.amount},
                                       {"clocks_per_element", pipe.clocks}});
  const KernelShape &kernel = prediction.kernel;
  llvm::json::Object object{{"kernel", kernel.name},
                            {"product", prediction.rates.getProduct()},
                            {"multiprocessors", prediction.rates.getMultiprocessors()},
                            {"clock_mhz", prediction.clockMegahertz},
                            {"elements", prediction.work.elements},
                            {"instructions", prediction.work.instructions},
                            {"pipes", std::move(pipes)},
                            {"bound_by", prediction.pipes[prediction.busiest].name},
                            {"registers", nullptr},
                            {"consumer_registers", kernel.consumerRegisters},
                            {"spill_store_bytes", nullptr},
                            {"shared_bytes", kernel.sharedBytes},
                            {"blocks", prediction.blocks},
                            {"units", prediction.blocks * kernel.units},
                            {"overlapped_tflops", prediction.boundTeraflops},
                            {"queued_tflops", prediction.queueTeraflops}};
  if (kernel.registers)
    object["registers"] = *kernel.registers;
  if (kernel.spillBytes)
    object["spill_store_bytes"] = *kernel.spillBytes;
  return object;
}
