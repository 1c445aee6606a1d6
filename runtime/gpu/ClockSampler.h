//===- ClockSampler.h - the clock that a GPU holds --------------*- C++ -*-===//
#ifndef SAGE_GPU_CLOCKSAMPLER_H
#define SAGE_GPU_CLOCKSAMPLER_H

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace sage::gpu {

/// Reads the SM clock through NVML about every millisecond between its creation
/// and `medianMegahertz`. Without NVML: 0.
class ClockSampler {
public:
  explicit ClockSampler(const std::string &pciBusId);
  ~ClockSampler();
  int medianMegahertz();

private:
  void stop();

  std::atomic<bool> stopping{false};
  std::vector<unsigned> samples;
  std::thread thread;
};

} // namespace sage::gpu

#endif
