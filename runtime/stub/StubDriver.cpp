//===- StubDriver.cpp - devices, contexts, control ------------------------===//
#include "StubState.h"

#include <cstdio>
#include <cstring>

namespace sage::stub {

State &state() {
  static State instance;
  return instance;
}

std::vector<void *> &contextStack() {
  thread_local std::vector<void *> stack;
  return stack;
}

int enter(const char *function) {
  State &s = state();
  if (s.quiet)
    return 0;
  std::lock_guard<std::mutex> lock(s.mutex);
  ++s.calls[function];
  auto planned = s.failures.find(function);
  if (planned == s.failures.end() || --planned->second.first != 0)
    return 0;
  int error = planned->second.second;
  s.failures.erase(planned);
  return error;
}

void addLive(void *object) {
  State &s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  s.live.insert(object);
}

bool removeLive(void *object) {
  State &s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  return s.live.erase(object) == 1;
}

bool isLive(void *object) {
  State &s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  return s.live.count(object) == 1;
}

} // namespace sage::stub

using namespace sage::stub;
namespace cuda = sage::runtime::cuda;

extern "C" {

void sage_stub_reset(void) {
  State &s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  s.quiet = false;
  s.devices = 1;
  s.major = 9;
  s.minor = 0;
  s.calls.clear();
  s.failures.clear();
  s.launches.clear();
}

void sage_stub_set_devices(int count, int major, int minor) {
  State &s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  s.devices = count;
  s.major = major;
  s.minor = minor;
}

void sage_stub_set_quiet(int quiet) { state().quiet = quiet != 0; }

void sage_stub_fail(const char *function, int k, int error) {
  State &s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  s.failures[function] = {k, error};
}

int sage_stub_calls(const char *function) {
  State &s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  auto found = s.calls.find(function);
  return found == s.calls.end() ? 0 : found->second;
}

const char *const *sage_stub_functions(void) {
#define SAGE_STUB_NAME(member, name, parameters) name,
  static const char *const names[] = {SAGE_DRIVER_FUNCTIONS(SAGE_STUB_NAME)
                                          SAGE_DRIVER_OPTIONAL_FUNCTIONS(SAGE_STUB_NAME) nullptr};
#undef SAGE_STUB_NAME
  return names;
}

size_t sage_stub_launches(void) {
  State &s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  return s.launches.size();
}

int sage_stub_get_launch(size_t index, sage_stub_launch *launch) {
  State &s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  if (index >= s.launches.size())
    return 0;
  *launch = s.launches[index];
  return 1;
}

int sage_stub_live_objects(void) {
  State &s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  return int(s.live.size()) + s.retainedContexts;
}

int sage_stub_context_depth(void) { return int(contextStack().size()); }

#define EXPORT SAGE_STUB_API cuda::Result

EXPORT cuInit(unsigned) {
  SAGE_STUB_ENTER("cuInit");
  return cuda::Success;
}

EXPORT cuDriverGetVersion(int *version) {
  SAGE_STUB_ENTER("cuDriverGetVersion");
  *version = 12080;
  return cuda::Success;
}

EXPORT cuGetErrorName(cuda::Result, const char **name) {
  SAGE_STUB_ENTER("cuGetErrorName");
  *name = "CUDA_ERROR_PLANNED";
  return cuda::Success;
}

EXPORT cuGetErrorString(cuda::Result, const char **text) {
  SAGE_STUB_ENTER("cuGetErrorString");
  *text = "the stub's text";
  return cuda::Success;
}

EXPORT cuDeviceGetCount(int *count) {
  SAGE_STUB_ENTER("cuDeviceGetCount");
  *count = state().devices;
  return cuda::Success;
}

EXPORT cuDeviceGet(cuda::Device *device, int ordinal) {
  SAGE_STUB_ENTER("cuDeviceGet");
  *device = ordinal;
  return cuda::Success;
}

EXPORT cuDeviceGetName(char *name, int length, cuda::Device) {
  SAGE_STUB_ENTER("cuDeviceGetName");
  std::snprintf(name, size_t(length), "Stub GPU");
  return cuda::Success;
}

EXPORT cuDeviceTotalMem_v2(size_t *bytes, cuda::Device) {
  SAGE_STUB_ENTER("cuDeviceTotalMem_v2");
  *bytes = size_t(1) << 33;
  return cuda::Success;
}

EXPORT cuDeviceGetAttribute(int *value, cuda::DeviceAttribute attribute, cuda::Device) {
  SAGE_STUB_ENTER("cuDeviceGetAttribute");
  switch (attribute) {
  case cuda::MultiprocessorCount:
    *value = 132;
    return cuda::Success;
  case cuda::ComputeCapabilityMajor:
    *value = state().major;
    return cuda::Success;
  case cuda::ComputeCapabilityMinor:
    *value = state().minor;
    return cuda::Success;
  case cuda::MaxSharedMemoryPerBlockOptin:
    *value = 232448;
    return cuda::Success;
  }
  return cuda::ErrorInvalidValue;
}

EXPORT cuDeviceGetPCIBusId(char *text, int length, cuda::Device) {
  SAGE_STUB_ENTER("cuDeviceGetPCIBusId");
  std::snprintf(text, size_t(length), "0000:00:00.0");
  return cuda::Success;
}

EXPORT cuDevicePrimaryCtxRetain(cuda::Context *context, cuda::Device device) {
  SAGE_STUB_ENTER("cuDevicePrimaryCtxRetain");
  std::lock_guard<std::mutex> lock(state().mutex);
  ++state().retainedContexts;
  *context = reinterpret_cast<cuda::Context>(uintptr_t(device) + 1);
  return cuda::Success;
}

EXPORT cuDevicePrimaryCtxRelease_v2(cuda::Device) {
  // A planned failure releases all the same: nobody could try again.
  int planned = enter("cuDevicePrimaryCtxRelease_v2");
  std::lock_guard<std::mutex> lock(state().mutex);
  --state().retainedContexts;
  return planned;
}

EXPORT cuCtxPushCurrent_v2(cuda::Context context) {
  SAGE_STUB_ENTER("cuCtxPushCurrent_v2");
  contextStack().push_back(context);
  return cuda::Success;
}

EXPORT cuCtxPopCurrent_v2(cuda::Context *context) {
  // A planned failure pops all the same: else every later check would fail.
  int planned = enter("cuCtxPopCurrent_v2");
  SAGE_STUB_NEEDS_CONTEXT();
  *context = static_cast<cuda::Context>(contextStack().back());
  contextStack().pop_back();
  return planned;
}

} // extern "C"
