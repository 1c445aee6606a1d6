//===- Results.h - figures, and the file that holds them --------*- C++ -*-===//
// utils/bench-peers.py writes the same format, so that plots and tables show both.
//===----------------------------------------------------------------------===//
#ifndef SAGE_BENCH_RESULTS_H
#define SAGE_BENCH_RESULTS_H

#include "MaskInputs.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace sage::bench {

using evaluation::CallShape;

/// One kernel of a program.
struct KernelFigures {
  std::string name;
  double milliseconds = 0;       ///< median of all its launches in a call
  std::optional<uint64_t> bytes; ///< that it must move, where that is known
  std::optional<double> gigabytesPerSecond() const;
};

/// One line: one program at one shape, in one scope.
struct Row {
  std::string provider = "sage", name, recipe, chip, elementType, mask;
  std::string scope; ///< kernel, total or replay
  int64_t headDim = 0, valueHeadDim = 0;
  CallShape shape{};
  double teraflops = 0, median = 0, p10 = 0, p90 = 0; // milliseconds
  int megahertz = 0;                                  ///< SM clock; 0: not known
  int64_t launches = 0;
  std::optional<double> relativeL1; ///< of sampled rows against float64
  std::string code;                 ///< where the machine code came from
  std::string error;                ///< why there are no figures, or why they do not count
  std::vector<KernelFigures> kernels;

  /// The same measurement, on another day.
  bool isSameAs(const Row &other) const;
  /// What a peer has in common.
  bool isComparableWith(const Row &other) const;
};

struct Results {
  nlohmann::ordered_json device = nlohmann::ordered_json::object();
  std::string runtime;
  double copyGigabytesPerSecond = 0; ///< device to device, read plus written; 0: not measured
  std::vector<Row> rows;

  bool allPassed() const;
  /// Return an empty text, or what is wrong.
  std::string read(const std::string &path);
  std::string write(const std::string &path) const;
};

std::string textOf(const CallShape &shape);

} // namespace sage::bench

#endif
