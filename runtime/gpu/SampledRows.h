//===- SampledRows.h - some rows of O against float64 -----------*- C++ -*-===//
#ifndef SAGE_GPU_SAMPLEDROWS_H
#define SAGE_GPU_SAMPLEDROWS_H

#include "Accuracy.h"
#include "CallTensors.h"

namespace sage::gpu {

/// Compares `count` rows of a dense output, drawn at random, with float64 attention on the keys
/// that they see.
Status compareSampledRows(const sage_problem &problem, const HostInputs &inputs,
                          const std::vector<uint16_t> &output, int64_t count,
                          evaluation::Accuracy &accuracy);

/// What the relative L1 of sampled rows may be on N(0,1) inputs: about twice what whole heads
/// reach (docs/Performance.md), as few rows scatter.
double sampledL1Limit(const sage_recipe &recipe, sage_element_type type);

} // namespace sage::gpu

#endif
