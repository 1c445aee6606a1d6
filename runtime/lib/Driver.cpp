//===- Driver.cpp - devices and contexts ----------------------------------===//
#include "Driver.h"

#include "ApiBoundary.h"

namespace sage::runtime {

Status Driver::open(const char *path, std::shared_ptr<Driver> &result) {
  auto driver = std::make_shared<Driver>();
  DriverApi &api = driver->api;
  SAGE_RETURN_IF_ERROR(api.open(path));
  cuda::Result initialized = api.init(0);
  if (initialized != cuda::Success) {
    Status status = api.check(initialized, "cuInit");
    sage_status_code code = initialized == cuda::ErrorNoDevice ? SAGE_NO_DEVICE : SAGE_NO_DRIVER;
    return Status(code, status.message(), status.remedy());
  }
  SAGE_RETURN_IF_ERROR(api.check(api.driverGetVersion(&driver->version), "cuDriverGetVersion"));
  SAGE_RETURN_IF_ERROR(api.check(api.deviceGetCount(&driver->deviceCount), "cuDeviceGetCount"));
  result = std::move(driver);
  return {};
}

Status Driver::device(int32_t ordinal, sage_device &result) const {
  if (ordinal < 0 || ordinal >= deviceCount)
    return failure(SAGE_NO_DEVICE, "the device must be below ", deviceCount, ", but got ", ordinal)
        .withRemedy("check which GPUs are visible to this process "
                    "(nvidia-smi, CUDA_VISIBLE_DEVICES)");
  result = {};
  result.ordinal = ordinal;
  cuda::Device device;
  SAGE_RETURN_IF_ERROR(api.check(api.deviceGet(&device, ordinal), "cuDeviceGet"));
  SAGE_RETURN_IF_ERROR(api.check(api.deviceGetName(result.name, sizeof(result.name) - 1, device),
                                 "cuDeviceGetName"));
  size_t bytes = 0;
  SAGE_RETURN_IF_ERROR(api.check(api.deviceTotalMem(&bytes, device), "cuDeviceTotalMem"));
  result.memory_bytes = bytes;
  struct {
    cuda::DeviceAttribute attribute;
    int32_t *value;
  } attributes[] = {{cuda::ComputeCapabilityMajor, &result.compute_major},
                    {cuda::ComputeCapabilityMinor, &result.compute_minor},
                    {cuda::MultiprocessorCount, &result.multiprocessors},
                    {cuda::MaxSharedMemoryPerBlockOptin, &result.shared_bytes_per_block}};
  for (auto &query : attributes)
    SAGE_RETURN_IF_ERROR(api.check(api.deviceGetAttribute(query.value, query.attribute, device),
                                   "cuDeviceGetAttribute"));
  return {};
}

PrimaryContext::~PrimaryContext() {
  if (context)
    (void)driver->api.primaryCtxRelease(device);
}

Status PrimaryContext::retain(std::shared_ptr<Driver> from, int32_t ordinal) {
  driver = std::move(from);
  SAGE_RETURN_IF_ERROR(api().check(api().deviceGet(&device, ordinal), "cuDeviceGet"));
  return api().check(api().primaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
}

} // namespace sage::runtime

using namespace sage::runtime;

extern "C" sage_status *sage_driver_open(const sage_driver_options *options, sage_driver **driver) {
  *driver = nullptr;
  return guarded([&]() -> Status {
    std::shared_ptr<Driver> opened;
    SAGE_RETURN_IF_ERROR(Driver::open(options ? options->library : nullptr, opened));
    *driver = new sage_driver{std::move(opened)};
    return {};
  });
}

extern "C" void sage_driver_close(sage_driver *driver) { delete driver; }

extern "C" int32_t sage_driver_version(const sage_driver *driver) {
  return driver->driver->version;
}

extern "C" int32_t sage_driver_device_count(const sage_driver *driver) {
  return driver->driver->deviceCount;
}

extern "C" sage_status *sage_driver_device(const sage_driver *driver, int32_t ordinal,
                                           sage_device *device) {
  return guarded([&]() -> Status { return driver->driver->device(ordinal, *device); });
}
