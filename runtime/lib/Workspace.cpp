//===- Workspace.cpp - where the slices of a workspace lie ----------------===//
#include "Workspace.h"

namespace sage::runtime {

Status WorkspaceLayout::create(const Artifact &artifact, const SymbolValues &symbols,
                               WorkspaceLayout &layout) {
  constexpr uint64_t limit = uint64_t(1) << 50; // no device has more memory
  uint64_t end = 0;
  for (size_t i = 0; i < artifact.workspace.size(); ++i) {
    const WorkspaceSlice &slice = artifact.workspace[i];
    int64_t bytes;
    SAGE_RETURN_IF_ERROR(slice.bytes.evaluate(symbols, bytes));
    if (bytes < 0 || uint64_t(bytes) > limit)
      return invalidArgument("the workspace slice '", slice.name, "' would be ", bytes,
                             " bytes for this shape");
    layout.offsets[i] = end;
    end += (uint64_t(bytes) + workspaceAlignment - 1) / workspaceAlignment * workspaceAlignment;
    if (end > limit)
      return invalidArgument("the workspace would be above ", limit, " bytes for this shape");
  }
  layout.bytes = end;
  return {};
}

} // namespace sage::runtime
