//===- CallCheck.h - a call against its problem -----------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_CALLCHECK_H
#define SAGE_RUNTIME_LIB_CALLCHECK_H

#include "Artifact.h"

namespace sage::runtime {

struct Extents {
  int64_t batch = 0, queryHeads = 0, keyHeads = 0, queries = 0, keys = 0;

  /// Query heads that read one key/value head.
  int64_t headGroup() const { return keyHeads ? queryHeads / keyHeads : 1; }
};

/// Shapes only (what a workspace query knows), shapes and host pointers (the
/// CPU reference; `HostInputs` when the output is elsewhere), or all that a
/// kernel relies on.
enum class CallUse { Shapes, HostInputs, Host, Launch };

Status checkCall(const sage_problem &problem, const sage_call &call, CallUse use, Extents &extents);

/// checkCall, and that strides which the artifact's expressions never read are
/// those of the dense layout it was compiled for.
Status checkCallOfArtifact(const Artifact &artifact, const sage_call &call, CallUse use,
                           SymbolValues &symbols);

} // namespace sage::runtime

#endif
