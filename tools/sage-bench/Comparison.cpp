//===- Comparison.cpp - figures beside earlier ones -----------------------===//
#include "Comparison.h"

#include <algorithm>

namespace sage::bench {

Comparison::Comparison(const Results &now, const Results &baseline, double tolerancePercent)
    : present(true), tolerance(tolerancePercent / 100), ratios(now.rows.size()) {
  for (size_t i = 0; i < now.rows.size(); ++i)
    for (const Row &earlier : baseline.rows)
      if (now.rows[i].isSameAs(earlier) && earlier.median > 0 && now.rows[i].median > 0)
        ratios[i] = earlier.median / now.rows[i].median;
}

bool Comparison::isSlower(size_t row) const {
  std::optional<double> found = ratio(row);
  return found && *found < 1 - tolerance;
}

bool Comparison::anySlower() const {
  for (size_t i = 0; i < ratios.size(); ++i)
    if (isSlower(i))
      return true;
  return false;
}

bool Comparison::anyMatch() const {
  return std::any_of(ratios.begin(), ratios.end(), [](const auto &ratio) { return ratio; });
}

} // namespace sage::bench
