//===- Workspace.h - where the slices of a workspace lie --------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_WORKSPACE_H
#define SAGE_RUNTIME_LIB_WORKSPACE_H

#include "Artifact.h"

#include <array>

namespace sage::runtime {

/// In fixed storage: a launch computes it without allocating.
struct WorkspaceLayout {
  uint64_t bytes = 0;
  std::array<uint64_t, sliceLimit> offsets{};

  static Status create(const Artifact &artifact, const SymbolValues &symbols,
                       WorkspaceLayout &layout);
};

} // namespace sage::runtime

#endif
