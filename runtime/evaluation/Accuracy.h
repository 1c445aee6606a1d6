//===- Accuracy.h - how far an output is from another -----------*- C++ -*-===//
#ifndef SAGE_EVALUATION_ACCURACY_H
#define SAGE_EVALUATION_ACCURACY_H

#include <cstdint>
#include <vector>

namespace sage::evaluation {

/// Over the flattened tensors, in float64.
struct Accuracy {
  double cosine = 1;     ///< Σ a·b / √(Σa²·Σb²); 1 if both are all zero
  double relativeL1 = 0; ///< Σ|a-b| / Σ|b|, b the reference
  double rmse = 0;       ///< √(mean (a-b)²)
  double maximum = 0;    ///< max |a-b|
  /// Places where one is NaN or infinite and the other is not the same. They
  /// are left out of the figures above.
  int64_t mismatches = 0;
};

Accuracy compare(const std::vector<double> &values, const std::vector<double> &reference);

} // namespace sage::evaluation

#endif
