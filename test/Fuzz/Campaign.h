// Runs many inputs in worker processes, so that a crash or a hang is a finding with its input on
// disk.

#ifndef SAGE_TEST_FUZZ_CAMPAIGN_H
#define SAGE_TEST_FUZZ_CAMPAIGN_H

#include <cstdint>
#include <string>
#include <vector>

namespace sage::fuzz {

/// What one fuzzer tries. An input is text (or bytes) that alone decides what `run` does: it is
/// what a finding leaves on disk and what --reproduce reads.
class Target {
public:
  virtual ~Target() = default;
  /// Case `index` of the seed; depends on nothing else.
  virtual std::string generate(uint64_t seed, uint64_t index) = 0;
  /// Empty if all is well; else what is wrong. A crash, or running past the watchdog, is wrong too.
  virtual std::string run(const std::string &input) = 0;

  /// What `count` counts, for the summary.
  std::vector<std::string> counters;
  /// Cases that a worker runs before a fresh one takes over: bounds what never frees memory.
  uint64_t casesPerWorker = 20000;

protected:
  void count(size_t counter);

private:
  friend class Worker;
  struct Shared *shared = nullptr;
};

struct Options {
  uint64_t seed = 1;
  uint64_t first = 0;
  uint64_t count = 1000;
  double seconds = 0; // 0: no limit
  double watchdog = 10;
  uint64_t maxFindings = 20;
  std::string folder = ".";
  std::vector<std::string> reproduce;
};

/// Handles the options that all fuzzers share, and `own`, those of one fuzzer (`--mode=...`).
/// Returns the exit status: 0, 1 after a finding, 2 for wrong options.
struct OwnOption {
  const char *name, *help;
  std::string *value;
};
int runCampaign(int argc, char **argv, const char *name, const char *extension,
                const std::vector<OwnOption> &own, Target *(*makeTarget)());

} // namespace sage::fuzz

#endif
