// From counted work and rates to clocks, and from clocks to TFLOP/s.

#include "sage/CostModel/Prediction.h"

#include <algorithm>

using namespace sage;

static constexpr double lanes = 32, schedulers = 4;
static constexpr int64_t registersOfMultiprocessor = 65536, reservedSharedBytes = 1024;
static constexpr int64_t threadsOfWarpgroup = 128;

static double countProductClocks(const Products &products, RatesAttr rates) {
  auto clocks = [](double multiplyAdds, int64_t rate) {
    // Products of a type that the chip does not have are refused long before.
    return rate > 0 ? multiplyAdds / double(rate) : 0;
  };
  return clocks(products.f16, rates.getTensorF16()) + clocks(products.int8, rates.getTensorInt8()) +
         clocks(products.int4, rates.getTensorInt4()) +
         clocks(products.e4m3, rates.getTensorE4m3());
}

static std::vector<PipeLoad> loadPipes(const LoopWork &work, RatesAttr rates) {
  double warps = double(work.warps), elements = work.elements;
  std::vector<PipeLoad> pipes;
  auto add = [&](const char *name, const char *what, double amount, double clocks) {
    pipes.push_back({name, what, amount / elements, clocks / elements});
  };
  auto addLanes = [&](const char *name, double instructions, int64_t rate) {
    double operations = instructions * lanes * warps;
    add(name, "operations", operations, operations / double(rate));
  };
  add("tensor", "multiply-adds", work.products.total(), countProductClocks(work.products, rates));
  addLanes("special", work.special, rates.getSpecial());
  addLanes("fma", work.fma, rates.getFma());
  addLanes("alu", work.alu, rates.getAlu());
  addLanes("convert", work.convert, rates.getConvert());
  add("shared memory", "bytes", work.sharedBytes, work.sharedBytes / double(rates.getShared()));
  double issued = work.instructions * warps;
  add("issue slots", "instructions", issued * lanes, issued / schedulers);
  return pipes;
}

static int64_t countBlocks(const KernelShape &kernel, RatesAttr rates) {
  int64_t blocks = rates.getThreads() / kernel.threads;
  if (kernel.sharedBytes > 0)
    blocks = std::min(blocks, rates.getSharedBytes() / (kernel.sharedBytes + reservedSharedBytes));
  if (kernel.registers && *kernel.registers > 0)
    blocks = std::min(blocks, registersOfMultiprocessor /
                                  ((*kernel.registers + 7) / 8 * 8 * kernel.threads));
  if (kernel.consumerRegisters > 0)
    blocks = std::min(blocks, registersOfMultiprocessor /
                                  (threadsOfWarpgroup * (kernel.producerRegisters +
                                                         kernel.units * kernel.consumerRegisters)));
  // A kernel that no multiprocessor held would not run at all.
  return std::max<int64_t>(blocks, 1);
}

double sage::closedQueueThroughput(llvm::ArrayRef<double> stations, double elsewhere,
                                   int64_t customers) {
  std::vector<double> waiting(stations.size(), 0);
  double throughput = 0;
  for (int64_t n = 1; n <= customers; ++n) {
    double round = elsewhere;
    std::vector<double> stay(stations.size());
    for (size_t i = 0; i < stations.size(); ++i)
      round += stay[i] = stations[i] * (1 + waiting[i]);
    throughput = round > 0 ? double(n) / round : 0;
    for (size_t i = 0; i < stations.size(); ++i)
      waiting[i] = throughput * stay[i];
  }
  return throughput;
}

/// Clocks per element where units go from pipe to pipe. A unit of one warp stays on one scheduler
/// and its quarter of the pipes.
static double countQueueClocks(const Prediction &prediction) {
  const LoopWork &work = prediction.work;
  double share = std::min(double(work.warps), schedulers) / schedulers;
  auto demand = [&](double clocksPerElement) { return clocksPerElement * work.elements / share; };
  auto clocksOf = [&](llvm::StringRef name) {
    for (const PipeLoad &pipe : prediction.pipes)
      if (pipe.name == name)
        return pipe.clocks;
    return 0.0;
  };
  // What a warp issues besides exponentials keeps its scheduler or one of these pipes busy.
  double issued = (work.instructions - work.special) * double(work.warps) / schedulers;
  double vector =
      std::max({issued / work.elements, clocksOf("fma"), clocksOf("alu"), clocksOf("convert")});
  double stations[] = {demand(std::max(clocksOf("tensor"), clocksOf("shared memory"))),
                       demand(clocksOf("special")), demand(vector)};
  int64_t units = prediction.blocks * prediction.kernel.units;
  int64_t customers = std::max<int64_t>(int64_t(double(units) * share), 1);
  double elsewhere = double(work.chains * prediction.rates.getLatency());
  double throughput = closedQueueThroughput(stations, elsewhere, customers) / share;
  return 1 / (throughput * work.elements);
}

Prediction sage::predict(const LoopWork &work, const KernelShape &kernel, RatesAttr rates,
                         int64_t clockMegahertz) {
  Prediction result;
  result.kernel = kernel;
  result.work = work;
  result.rates = rates;
  result.clockMegahertz = clockMegahertz ? clockMegahertz : rates.getClockMhz();
  result.pipes = loadPipes(work, rates);
  auto busiest =
      std::max_element(result.pipes.begin(), result.pipes.end(),
                       [](const PipeLoad &a, const PipeLoad &b) { return a.clocks < b.clocks; });
  result.busiest = size_t(busiest - result.pipes.begin());
  result.blocks = countBlocks(kernel, rates);
  result.boundClocks = busiest->clocks;
  result.queueClocks = std::max(countQueueClocks(result), result.boundClocks);
  auto teraflops = [&](double clocks) {
    return kernel.operationsPerElement / clocks * double(rates.getMultiprocessors()) *
           double(result.clockMegahertz) * 1e-6;
  };
  result.boundTeraflops = teraflops(result.boundClocks);
  result.queueTeraflops = teraflops(result.queueClocks);
  return result;
}
