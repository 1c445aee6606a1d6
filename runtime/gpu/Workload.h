//===- Workload.h - what a call computes and moves --------------*- C++ -*-===//
#ifndef SAGE_GPU_WORKLOAD_H
#define SAGE_GPU_WORKLOAD_H

#include "Artifact.h"

#include <optional>

namespace sage::gpu {

/// Two operations per multiply-add of Q·Kᵀ and P·V: of all pairs, of half of them under a causal
/// mask alone, else of those that masks and lengths show. Lengths are read from host memory.
double countOperations(const sage_problem &problem, const sage_call &call);

/// Bytes of the buffers that a kernel names, each once: what it has to move at least, where it
/// touches all of them. Nothing for kernels that are repeated, which work on parts.
runtime::Status countBytes(const runtime::Artifact &artifact, const sage_call &call, size_t kernel,
                           std::optional<uint64_t> &bytes);

} // namespace sage::gpu

#endif
