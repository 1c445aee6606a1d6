//===- BoundLoops.h - the widest loops of a row's error bound ---*- C++ -*-===//
#ifndef SAGE_GPU_TEST_BOUNDLOOPS_H
#define SAGE_GPU_TEST_BOUNDLOOPS_H

#include <cstdint>

namespace sage::gpu {

/// largest[d] = max(|sum[d]|, |p·v[d]|…), then sum[d] += p·v[d]….
void addStep(const float *__restrict p, const float *__restrict values, int64_t count,
             int64_t columns, float *__restrict sum, float *__restrict largest);

/// squares[d] += count·u², u the unit at which addends are cut off.
void addSpread(const float *__restrict largest, float count, float unitOfOne, int64_t columns,
               float *__restrict squares);

/// Of keys as floats, channel by channel since they lie so: largest[j] = max(largest[j], |q·k|…),
/// and means[j] += |mean|·(|k| + 1)… where there is a mean.
void addFloatChannels(const float *__restrict query, const float *__restrict keysTransposed,
                      int64_t stride, int64_t dims, int64_t keys, const float *mean,
                      float *__restrict largest, float *__restrict means);

/// Σ |mean|·(|k| + 1), in lanes, which the compiler may not make of one sum by itself.
float sumOfMeans(const float *__restrict mean, const int16_t *__restrict key, int64_t dims);

} // namespace sage::gpu

#endif
