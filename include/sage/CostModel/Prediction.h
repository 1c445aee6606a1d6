// How fast a chip could run a main loop, by its rates.

#ifndef SAGE_COSTMODEL_PREDICTION_H
#define SAGE_COSTMODEL_PREDICTION_H

#include "sage/CostModel/LoopWork.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "llvm/Support/JSON.h"

#include <string>
#include <vector>

namespace sage {

/// What the prediction needs to know of the kernel besides its main loop.
struct KernelShape {
  std::string name;
  int64_t units = 1, threads = 32; ///< of a thread block; units are those that compute
  int64_t sharedBytes = 0;
  std::optional<int64_t> registers; ///< of a thread at entry, where ptxas said so
  std::optional<int64_t> spillBytes;
  int64_t producerRegisters = 0, consumerRegisters = 0; ///< 0 where warps are not specialized
  double operationsPerElement = 0; ///< of S: two for each multiply-add that the user asked for
};

struct PipeLoad {
  std::string name, what;
  double amount = 0; ///< of `what`, per element of S
  double clocks = 0; ///< of one multiprocessor, per element of S
};

struct Prediction {
  KernelShape kernel;
  LoopWork work;
  RatesAttr rates;
  int64_t clockMegahertz = 0;
  std::vector<PipeLoad> pipes;
  size_t busiest = 0;
  int64_t blocks = 0;                      ///< that a multiprocessor holds
  double boundClocks = 0, queueClocks = 0; ///< per element of S
  double boundTeraflops = 0;               ///< everything overlaps, the busiest pipe never waits
  double queueTeraflops = 0;               ///< units meet at the pipes and wait for one another
};

/// `clockMegahertz` of 0: the rates' own.
Prediction predict(const LoopWork &work, const KernelShape &kernel, RatesAttr rates,
                   int64_t clockMegahertz);

/// Throughput of a closed network of `customers` that visit `stations` (their demands) and spend
/// `elsewhere` on no station: exact mean value analysis (Reiser and Lavenberg, 1980).
double closedQueueThroughput(llvm::ArrayRef<double> stations, double elsewhere, int64_t customers);

void printPrediction(const Prediction &prediction, llvm::raw_ostream &os);
llvm::json::Object toJson(const Prediction &prediction);

} // namespace sage

#endif // SAGE_COSTMODEL_PREDICTION_H
