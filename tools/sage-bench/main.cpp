//===- main.cpp - sage-bench ----------------------------------------------===//
#include "Bench.h"
#include "Table.h"

#include <cstdio>
#include <exception>

using namespace sage::bench;
using sage::gpu::Status;

namespace {

constexpr int exitFailure = 1, exitUsage = 2, exitNoDevice = 77;

int complain(const std::string &message, int code) {
  std::fflush(stdout);
  std::fprintf(stderr, "sage-bench: %s\n", message.c_str());
  return code;
}

int complain(const Status &status) {
  std::string remedy = status.remedy();
  bool noDevice = status.code() == SAGE_NO_DEVICE || status.code() == SAGE_NO_DRIVER;
  if (noDevice && remedy.empty())
    remedy = "run it where a CUDA driver and a GPU are, or try the command line with --device=stub";
  return complain(status.message() + (remedy.empty() ? "" : "\n  remedy: " + remedy),
                  noDevice ? exitNoDevice : exitFailure);
}

void describe(const sage::gpu::Device &device, Results &results) {
  results.device["name"] = device.info.name;
  results.device["compute_capability"] =
      std::to_string(device.info.compute_major) + "." + std::to_string(device.info.compute_minor);
  results.device["multiprocessors"] = device.info.multiprocessors;
  results.device["driver_cuda_version"] = device.driver->version;
  results.device["stub"] = device.isStub;
  results.runtime = sage_runtime_version();
}

int run(const Options &options) {
  Results results, baseline, peers;
  for (auto [path, into] : {std::pair(&options.baseline, &baseline), {&options.peers, &peers}})
    if (std::string wrong = path->empty() ? "" : into->read(*path); !wrong.empty())
      return complain(wrong, exitUsage);
  sage::gpu::Device device;
  if (Status status = device.open(options.driver.empty() ? nullptr : options.driver.c_str(),
                                  options.device, options.isStub);
      !status.ok())
    return complain(status);
  describe(device, results);
  if (Status status = runBench(options, device, results); !status.ok())
    return complain(status);
  if (!options.json.empty())
    if (std::string wrong = results.write(options.json); !wrong.empty())
      return complain(wrong, exitFailure);
  Comparison comparison;
  if (!options.baseline.empty()) {
    comparison = Comparison(results, baseline, options.tolerance);
    if (baseline.device.value("name", "") != results.device.value("name", ""))
      complain("warning: the baseline is of another device, " + baseline.device.value("name", "?"),
               0);
  }
  printTable(results, comparison, peers);
  if (comparison.hasBaseline() && !comparison.anyMatch())
    return complain("'" + options.baseline + "' has none of these lines", exitFailure);
  return results.allPassed() && !comparison.anySlower() ? 0 : exitFailure;
}

} // namespace

int main(int count, char **arguments) {
  Options options;
  if (std::string wrong = parseOptions(count, arguments, options); !wrong.empty())
    return complain(wrong + "\nsage-bench --help says more", exitUsage);
  if (options.help || options.version) {
    std::string text =
        options.help ? helpText() : std::string("sage-bench ") + sage_runtime_version();
    std::printf("%s\n", text.c_str());
    return 0;
  }
  try {
    return run(options);
  } catch (const std::exception &error) {
    return complain(error.what(), exitFailure);
  }
}
