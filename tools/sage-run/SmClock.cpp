//===- SmClock.cpp - the clock that a GPU holds ---------------------------===//
#include "SmClock.h"

#include <dlfcn.h>

namespace sage::run {

int32_t smClockMegahertz(const std::string &pciBusId) {
  using Device = struct DeviceTag *;
  constexpr int smClock = 1; // NVML_CLOCK_SM
  void *library = dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (!library)
    return 0;
  auto init = reinterpret_cast<int (*)()>(dlsym(library, "nvmlInit_v2"));
  auto shutdown = reinterpret_cast<int (*)()>(dlsym(library, "nvmlShutdown"));
  auto find = reinterpret_cast<int (*)(const char *, Device *)>(
      dlsym(library, "nvmlDeviceGetHandleByPciBusId_v2"));
  auto clock =
      reinterpret_cast<int (*)(Device, int, unsigned *)>(dlsym(library, "nvmlDeviceGetClockInfo"));
  unsigned megahertz = 0;
  if (init && shutdown && find && clock && init() == 0) {
    Device device;
    if (find(pciBusId.c_str(), &device) != 0 || clock(device, smClock, &megahertz) != 0)
      megahertz = 0;
    shutdown();
  }
  dlclose(library);
  return int32_t(megahertz);
}

} // namespace sage::run
