//===- DriverApi.cpp - the CUDA driver's entry points ---------------------===//
#include "DriverApi.h"

#include <dlfcn.h>

namespace sage::runtime {
namespace {

const char *remedyFor(cuda::Result result) {
  switch (result) {
  case cuda::ErrorOutOfMemory:
    return "free device memory, or use smaller shapes";
  case cuda::ErrorNoDevice:
    return "check that a GPU is visible to this process (nvidia-smi, "
           "CUDA_VISIBLE_DEVICES)";
  case cuda::ErrorInvalidPtx:
  case cuda::ErrorUnsupportedPtxVersion:
    return "update the CUDA driver, or compile with an older PTX version";
  case cuda::ErrorNoBinaryForGpu:
  case cuda::ErrorInvalidImage:
    return "compile the artifact for this device's chip";
  case cuda::ErrorNotFound:
    return "the artifact's PTX and manifest disagree: compile it again";
  case cuda::ErrorIllegalAddress:
    return "an earlier kernel of this context failed: start a new process";
  default:
    return "look the error up in the CUDA driver API reference; an earlier "
           "asynchronous failure is reported by later calls too";
  }
}

} // namespace

DriverApi::~DriverApi() {
  if (library)
    dlclose(library);
}

Status DriverApi::open(const char *path) {
  const char *name = path ? path : "libcuda.so.1";
  // Lazy and local: the process may have other users of the driver.
  library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
  if (!library)
    return failure(SAGE_NO_DRIVER, "cannot open the CUDA driver: ", dlerror())
        .withRemedy("install NVIDIA's driver, or run on the CPU");
#define SAGE_DRIVER_RESOLVE(member, name, parameters)                                              \
  member = reinterpret_cast<decltype(member)>(dlsym(library, name));
  SAGE_DRIVER_FUNCTIONS(SAGE_DRIVER_RESOLVE)
  SAGE_DRIVER_OPTIONAL_FUNCTIONS(SAGE_DRIVER_RESOLVE)
#undef SAGE_DRIVER_RESOLVE
#define SAGE_DRIVER_REQUIRE(member, symbol, parameters)                                            \
  if (!member)                                                                                     \
    return failure(SAGE_NO_DRIVER, "the CUDA driver '", name, "' lacks ", symbol)                  \
        .withRemedy("update the driver to CUDA 11 or later");
  SAGE_DRIVER_FUNCTIONS(SAGE_DRIVER_REQUIRE)
#undef SAGE_DRIVER_REQUIRE
  return {};
}

Status DriverApi::describe(cuda::Result result, const std::string &what) const {
  const char *name = nullptr, *explanation = nullptr;
  if (getErrorName(result, &name) != cuda::Success || !name)
    name = "unknown error";
  if (getErrorString(result, &explanation) != cuda::Success || !explanation)
    explanation = "no text";
  return failure(SAGE_DRIVER_ERROR, what, " failed: ", name, " (", result, "), ", explanation)
      .withRemedy(remedyFor(result));
}

} // namespace sage::runtime
