// A process that runs cases, watched by its parent.

#ifndef SAGE_TEST_FUZZ_WORKER_H
#define SAGE_TEST_FUZZ_WORKER_H

#include "Campaign.h"

#include <functional>

namespace sage::fuzz {

struct Outcome {
  uint64_t index = 0; // the first case that was not run, or the one that `reason` is about
  std::string reason; // empty: no finding
  std::string input;  // of the finding
  std::string log;    // the worker's standard error during the case
};

class Worker {
public:
  /// With `logs`, the standard error of workers goes to the outcome.
  Worker(Target &target, double watchdogSeconds, bool logs);
  ~Worker();
  Worker(const Worker &) = delete;

  /// Cases from `first` in one fresh process: until a finding, `end`, the target's casesPerWorker,
  /// or `stops`.
  Outcome runMany(uint64_t seed, uint64_t first, uint64_t end,
                  const std::function<bool(uint64_t)> &stops);
  Outcome runOne(const std::string &input);

  uint64_t counter(size_t index) const;

private:
  [[noreturn]] void work(uint64_t seed, uint64_t first, uint64_t end);
  void begin(uint64_t index, const std::string &input);
  Outcome watch(int child, const std::function<bool(uint64_t)> &stops);
  std::string takeLog();

  Target &target;
  double watchdog;
  int logFile = -1;
  struct Shared *shared;
};

} // namespace sage::fuzz

#endif
