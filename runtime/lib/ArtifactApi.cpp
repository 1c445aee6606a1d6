//===- ArtifactApi.cpp - the C API of artifacts ---------------------------===//
#include "ApiBoundary.h"
#include "ArtifactHandle.h"
#include "CallCheck.h"
#include "Workspace.h"

using namespace sage::runtime;

extern "C" sage_status *sage_artifact_parse(const char *text, size_t size,
                                            sage_artifact **artifact) {
  *artifact = nullptr;
  return guarded([&]() -> Status {
    auto parsed = std::make_shared<Artifact>();
    SAGE_RETURN_IF_ERROR(Artifact::parse(std::string(text, size), *parsed));
    *artifact = new sage_artifact{std::move(parsed)};
    return {};
  });
}

extern "C" sage_status *sage_artifact_load(const char *path, sage_artifact **artifact) {
  *artifact = nullptr;
  return guarded([&]() -> Status {
    auto parsed = std::make_shared<Artifact>();
    SAGE_RETURN_IF_ERROR(Artifact::load(path, *parsed));
    *artifact = new sage_artifact{std::move(parsed)};
    return {};
  });
}

extern "C" void sage_artifact_destroy(sage_artifact *artifact) { delete artifact; }

extern "C" const char *sage_artifact_producer(const sage_artifact *artifact) {
  return artifact->artifact->producer.c_str();
}

extern "C" const char *sage_artifact_chip(const sage_artifact *artifact) {
  return artifact->artifact->chip.name.c_str();
}

extern "C" const char *sage_artifact_schedule(const sage_artifact *artifact) {
  return artifact->artifact->schedule.c_str();
}

extern "C" const char *sage_artifact_checksum(const sage_artifact *artifact) {
  return artifact->artifact->checksum.c_str();
}

extern "C" void sage_artifact_program(const sage_artifact *artifact, sage_program *program) {
  *program = artifact->artifact->program();
}

extern "C" size_t sage_artifact_kernel_count(const sage_artifact *artifact) {
  return artifact->artifact->kernels.size();
}

extern "C" sage_status *sage_artifact_kernel(const sage_artifact *artifact, size_t index,
                                             sage_kernel_info *kernel) {
  return guarded([&]() -> Status {
    const auto &kernels = artifact->artifact->kernels;
    if (index >= kernels.size())
      return invalidArgument("the kernel index must be below ", kernels.size(), ", but got ",
                             index);
    const Kernel &found = kernels[index];
    *kernel = {found.name.c_str(),
               {found.block[0], found.block[1], found.block[2]},
               found.sharedBytes,
               int64_t(found.arguments.size())};
    return {};
  });
}

extern "C" sage_status *sage_artifact_check_call(const sage_artifact *artifact,
                                                 const sage_call *call) {
  return guarded([&]() -> Status {
    SymbolValues symbols{};
    return checkCallOfArtifact(*artifact->artifact, *call, CallUse::Launch, symbols);
  });
}

extern "C" sage_status *sage_artifact_workspace_bytes(const sage_artifact *artifact,
                                                      const sage_call *call, uint64_t *bytes) {
  return guarded([&]() -> Status {
    SymbolValues symbols{};
    SAGE_RETURN_IF_ERROR(checkCallOfArtifact(*artifact->artifact, *call, CallUse::Shapes, symbols));
    WorkspaceLayout layout;
    SAGE_RETURN_IF_ERROR(WorkspaceLayout::create(*artifact->artifact, symbols, layout));
    *bytes = layout.bytes;
    return {};
  });
}
