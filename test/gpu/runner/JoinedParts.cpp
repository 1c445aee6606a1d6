//===- JoinedParts.cpp - the error bound of a row that is taken in parts ---===//
#include "RowBound.h"

#include <algorithm>
#include <cmath>

namespace sage::gpu {

void RowBound::startPart() {
  for (auto *buffer : {&total, &codes, &squares})
    std::fill(buffer->begin(), buffer->end(), 0.0f);
  maximum = -INFINITY;
  sum = sumError = relative = 0;
}

/// Spec N18: a part's weight is one more exponential, and every part one more rounding. What
/// a part's maximum is off by is in its weight as it is in its p, with the other sign.
void RowBound::joinParts(const std::vector<Part> &parts) {
  constexpr float ln2 = 0.693147180559945f, halfUlp = 0x1p-24f;
  constexpr float exp2Error = 0x1p-22f + 0x1p-23f;
  for (const Part &part : parts)
    maximum = std::max(maximum, part.maximum);
  if (!(std::fabs(maximum) < INFINITY))
    return;
  float largest = 0;
  for (const Part &part : parts) {
    float below = maximum - part.maximum, weight = std::exp2(-below);
    if (weight == 0)
      continue;
    largest = std::max(largest, part.relative + exp2Error + ln2 * halfUlp * below);
    sum += part.sum * weight;
    sumError += part.sumError * weight;
    for (size_t d = 0; d < size_t(columns); ++d) {
      total[d] += part.total[d] * weight;
      codes[d] += part.codes[d] * weight;
      squares[d] += part.squares[d] * weight * weight;
    }
  }
  relative = largest + float(parts.size()) * halfUlp;
}

} // namespace sage::gpu
