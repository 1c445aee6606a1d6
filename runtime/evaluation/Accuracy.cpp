//===- Accuracy.cpp - how far an output is from another -------------------===//
#include "Accuracy.h"

#include <algorithm>
#include <cmath>

namespace sage::evaluation {

Accuracy compare(const std::vector<double> &values, const std::vector<double> &reference) {
  Accuracy result;
  double product = 0, valueSquares = 0, referenceSquares = 0;
  double differences = 0, magnitudes = 0, squares = 0;
  int64_t counted = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    double a = values[i], b = reference[i];
    if (!std::isfinite(a) || !std::isfinite(b)) {
      bool same = (std::isnan(a) && std::isnan(b)) || a == b;
      result.mismatches += same ? 0 : 1;
      continue;
    }
    double difference = std::fabs(a - b);
    product += a * b;
    valueSquares += a * a;
    referenceSquares += b * b;
    differences += difference;
    magnitudes += std::fabs(b);
    squares += difference * difference;
    result.maximum = std::max(result.maximum, difference);
    ++counted;
  }
  if (counted == 0)
    return result;
  double norm = std::sqrt(valueSquares) * std::sqrt(referenceSquares);
  result.cosine = norm > 0 ? product / norm : (valueSquares == referenceSquares ? 1.0 : 0.0);
  result.relativeL1 =
      magnitudes > 0 ? differences / magnitudes : (differences > 0 ? INFINITY : 0.0);
  result.rmse = std::sqrt(squares / double(counted));
  return result;
}

} // namespace sage::evaluation
