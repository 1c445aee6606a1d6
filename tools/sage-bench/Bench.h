//===- Bench.h - artifacts by shapes ----------------------------*- C++ -*-===//
#ifndef SAGE_BENCH_BENCH_H
#define SAGE_BENCH_BENCH_H

#include "Device.h"
#include "Options.h"
#include "Results.h"

namespace sage::bench {

/// What fails of one artifact at one shape is in its rows; only what no artifact survives is
/// returned.
gpu::Status runBench(const Options &options, const gpu::Device &device, Results &results);

} // namespace sage::bench

#endif
