//===- Comparison.h - figures beside earlier ones ---------------*- C++ -*-===//
#ifndef SAGE_BENCH_COMPARISON_H
#define SAGE_BENCH_COMPARISON_H

#include "Results.h"

namespace sage::bench {

/// How fast each row is, as a ratio to the baseline's.
class Comparison {
public:
  /// Every row counts as new without a baseline.
  Comparison() = default;
  Comparison(const Results &now, const Results &baseline, double tolerancePercent);

  bool hasBaseline() const { return present; }
  /// Above 1: faster. Nothing for a row that the baseline does not have.
  std::optional<double> ratio(size_t row) const { return present ? ratios[row] : std::nullopt; }
  bool isSlower(size_t row) const;
  bool anySlower() const;
  bool anyMatch() const;

private:
  bool present = false;
  double tolerance = 0;
  std::vector<std::optional<double>> ratios;
};

} // namespace sage::bench

#endif
