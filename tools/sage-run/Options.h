//===- Options.h - the command line of sage-run -----------------*- C++ -*-===//
#ifndef SAGE_RUN_OPTIONS_H
#define SAGE_RUN_OPTIONS_H

#include "InputDistribution.h"
#include "MaskInputs.h"
#include "sage/runtime/sage.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace sage::run {

struct Options {
  std::string artifact; // or `recipe`
  std::string recipe;
  sage_fragment fragment = SAGE_WGMMA;
  std::optional<sage_granularity> granularity;
  std::optional<std::string> smooth; // some of the letters q, k, v
  std::optional<int64_t> headDim, valueHeadDim;
  std::optional<sage_mask> mask;
  std::optional<int64_t> windowLeft, windowRight, sinkTokens;
  std::optional<double> softcap;
  std::optional<sage_element_type> bias;
  evaluation::MaskChoice operands; // what is wanted of those that the problem has
  bool sinks = false;
  std::optional<sage_accumulation> accumulation;

  std::optional<int32_t> device; // none: the CPU
  std::string driver;            // path of the driver library
  std::string cacheDir;
  std::optional<std::array<int64_t, 5>> shape;
  evaluation::InputDistribution inputs = evaluation::InputDistribution::Normal;
  uint64_t seed = 0;
  std::string query, key, value;
  std::string output, lse;
  bool tensorCoreAccumulator = false;
  bool check = false;
  bool quiet = false;
  bool json = false;
  int64_t repeat = 20;
  int32_t threads = 0;
  bool help = false, version = false;
};

/// Returns an empty text, or what is wrong with the command line.
std::string parseOptions(int count, const char *const *arguments, Options &options);
std::string helpText();

} // namespace sage::run

#endif
