//===- Options.h - the command line of sage-bench ---------------*- C++ -*-===//
#ifndef SAGE_BENCH_OPTIONS_H
#define SAGE_BENCH_OPTIONS_H

#include "MaskInputs.h"

#include <string>
#include <vector>

namespace sage::bench {

struct Options {
  std::vector<std::string> artifacts; // paths
  std::vector<evaluation::CallShape> shapes;
  int32_t device = 0;
  bool isStub = false;
  std::string driver; // path of the driver library
  bool ignoreCubin = false;
  uint64_t seed = 0;
  int64_t passes = 3, launches = 10;
  int64_t inputSets = 0; // 0: as many as it takes to outgrow the caches
  bool kernels = false, graph = false, quiet = false;
  std::string json, baseline, peers;
  double tolerance = 3; // percent
  bool help = false, version = false;
};

/// Returns an empty text, or what is wrong with the command line.
std::string parseOptions(int count, const char *const *arguments, Options &options);
std::string helpText();

} // namespace sage::bench

#endif
