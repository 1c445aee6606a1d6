//===- Driver.h - devices and contexts --------------------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_DRIVER_H
#define SAGE_RUNTIME_LIB_DRIVER_H

#include "Chip.h"
#include "DriverApi.h"

#include <memory>
#include <vector>

namespace sage::runtime {

class Driver {
public:
  static Status open(const char *path, std::shared_ptr<Driver> &driver);

  Status device(int32_t ordinal, sage_device &result) const;

  DriverApi api;
  int version = 0;
  int deviceCount = 0;
};

/// A device's primary context, retained: what the CUDA runtime and PyTorch use.
class PrimaryContext {
public:
  PrimaryContext() = default;
  PrimaryContext(const PrimaryContext &) = delete;
  PrimaryContext &operator=(const PrimaryContext &) = delete;
  ~PrimaryContext();

  Status retain(std::shared_ptr<Driver> driver, int32_t ordinal);

  const DriverApi &api() const { return driver->api; }

  std::shared_ptr<Driver> driver;
  cuda::Device device = 0;
  cuda::Context context = nullptr;
};

/// Makes the context current, runs `body` (which returns a Status), and makes
/// current again what was before, whatever happened.
template <typename Body> Status withContext(const PrimaryContext &primary, Body body) {
  SAGE_RETURN_IF_ERROR(
      primary.api().check(primary.api().ctxPushCurrent(primary.context), "cuCtxPushCurrent"));
  cuda::Context popped;
  Status status;
  try {
    status = body();
  } catch (...) { // out of host memory
    primary.api().ctxPopCurrent(&popped);
    throw;
  }
  Status left = primary.api().check(primary.api().ctxPopCurrent(&popped), "cuCtxPopCurrent");
  return status.ok() ? std::move(left) : std::move(status);
}

} // namespace sage::runtime

struct sage_driver {
  std::shared_ptr<sage::runtime::Driver> driver;
};

#endif
