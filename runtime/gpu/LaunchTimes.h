//===- LaunchTimes.h - how long launches take, at which clock ---*- C++ -*-===//
// Launches are enqueued without waiting, with an event between each two, over rotating
// input sets: the next kernel never waits for the host, and never finds its inputs in L2.
//===----------------------------------------------------------------------===//
#ifndef SAGE_GPU_LAUNCHTIMES_H
#define SAGE_GPU_LAUNCHTIMES_H

#include "Device.h"

#include <functional>

namespace sage::gpu {

/// Enqueues one launch on that input set.
using Launch = std::function<Status(size_t set)>;

struct LaunchTimes {
  std::vector<float> milliseconds; ///< of each launch
  std::vector<int> megahertz;      ///< the SM clock's median in each measurement that has one

  /// Between neighbours by proportion; 0 without launches.
  double quantile(double fraction) const;
  double median() const { return quantile(0.5); }
  int medianMegahertz() const; ///< 0 where it is not known
};

struct LaunchPlan {
  size_t inputSets = 2;
  int64_t warmUps = 5;
  int64_t launches = 20;
  /// Short kernels are launched more often, so that the clock settles.
  double leastMilliseconds = 50;
  int64_t mostLaunches = 400;
};

/// Warms up, then adds the times of at least `plan.launches` launches to `times`.
Status timeLaunches(const Device &device, const Stream &stream, const LaunchPlan &plan,
                    const Launch &launch, LaunchTimes &times);

} // namespace sage::gpu

#endif
