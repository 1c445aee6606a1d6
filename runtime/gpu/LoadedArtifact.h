//===- LoadedArtifact.h - an artifact on the device -------------*- C++ -*-===//
#ifndef SAGE_GPU_LOADEDARTIFACT_H
#define SAGE_GPU_LOADEDARTIFACT_H

#include "Device.h"
#include "Module.h"

namespace sage::gpu {

/// An artifact that was parsed and put on the device, or why it was not.
struct LoadedArtifact {
  sage_artifact *artifact = nullptr;
  sage_module *module = nullptr;
  sage_program program{};
  std::string error;

  LoadedArtifact() = default;
  LoadedArtifact(const LoadedArtifact &) = delete;
  LoadedArtifact &operator=(const LoadedArtifact &) = delete;
  ~LoadedArtifact();

  /// `error` stays as it was.
  Status load(const std::string &path, const Device &device, const sage_module_options &options);
};

/// Takes over a status of the C API.
Status fromApi(sage_status *status);

} // namespace sage::gpu

#endif
