//===- ManifestKernels.h - the kernels of a manifest ------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_MANIFESTKERNELS_H
#define SAGE_RUNTIME_LIB_MANIFESTKERNELS_H

#include "Artifact.h"
#include "ManifestObject.h"

namespace sage::runtime {

extern const std::array<std::string_view, size_t(FirstSlice)> callerBufferNames;

/// The elements of `kernels`: kernels and repetitions. Problem and workspace are
/// already in the artifact.
Status parseKernels(const nlohmann::json &elements, Artifact &artifact);

} // namespace sage::runtime

#endif
