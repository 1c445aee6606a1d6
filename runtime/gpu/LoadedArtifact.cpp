//===- LoadedArtifact.cpp - an artifact on the device ---------------------===//
#include "LoadedArtifact.h"

namespace sage::gpu {

LoadedArtifact::~LoadedArtifact() {
  sage_module_destroy(module);
  sage_artifact_destroy(artifact);
}

Status LoadedArtifact::load(const std::string &path, const Device &device,
                            const sage_module_options &options) {
  SAGE_RETURN_IF_ERROR(fromApi(sage_artifact_load(path.c_str(), &artifact)));
  sage_artifact_program(artifact, &program);
  sage_driver driver{device.driver};
  return fromApi(sage_module_load(&driver, artifact, device.info.ordinal, &options, &module));
}

Status fromApi(sage_status *status) {
  if (!status)
    return {};
  Status result(status->code, status->message, status->remedy);
  sage_status_destroy(status);
  return result;
}

} // namespace sage::gpu
