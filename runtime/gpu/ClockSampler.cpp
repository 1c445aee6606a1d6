//===- ClockSampler.cpp - the clock that a GPU holds ----------------------===//
#include "ClockSampler.h"

#include <algorithm>
#include <chrono>
#include <dlfcn.h>

namespace sage::gpu {
namespace {

using NvmlDevice = struct NvmlDeviceTag *;

/// Opened once: nvmlInit takes longer than a measurement.
struct Nvml {
  int (*find)(const char *, NvmlDevice *) = nullptr;
  int (*clock)(NvmlDevice, int, unsigned *) = nullptr;

  Nvml() {
    void *library = dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!library)
      return;
    auto init = reinterpret_cast<int (*)()>(dlsym(library, "nvmlInit_v2"));
    if (!init || init() != 0)
      return;
    find = reinterpret_cast<decltype(find)>(dlsym(library, "nvmlDeviceGetHandleByPciBusId_v2"));
    clock = reinterpret_cast<decltype(clock)>(dlsym(library, "nvmlDeviceGetClockInfo"));
  }
};

} // namespace

ClockSampler::ClockSampler(const std::string &pciBusId) {
  static const Nvml nvml;
  NvmlDevice device;
  if (!nvml.find || !nvml.clock || nvml.find(pciBusId.c_str(), &device) != 0)
    return;
  thread = std::thread([this, device] {
    constexpr int smClock = 1; // NVML_CLOCK_SM
    do {
      unsigned megahertz;
      if (nvml.clock(device, smClock, &megahertz) == 0)
        samples.push_back(megahertz);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } while (!stopping);
  });
}

ClockSampler::~ClockSampler() { stop(); }

void ClockSampler::stop() {
  stopping = true;
  if (thread.joinable())
    thread.join();
}

int ClockSampler::medianMegahertz() {
  stop();
  if (samples.empty())
    return 0;
  std::nth_element(samples.begin(), samples.begin() + samples.size() / 2, samples.end());
  return int(samples[samples.size() / 2]);
}

} // namespace sage::gpu
