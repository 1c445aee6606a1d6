//===- GpuRun.h - an artifact on a GPU --------------------------*- C++ -*-===//
#ifndef SAGE_RUN_GPURUN_H
#define SAGE_RUN_GPURUN_H

#include "LoadedArtifact.h"
#include "Tensors.h"

#include <string>
#include <vector>

namespace sage::run {

struct GpuTiming {
  std::string device, origin;
  double milliseconds = 0; ///< median over the launches
  double teraflops = 0;    ///< as sage-bench counts
  uint64_t workspaceBytes = 0;
  int smClockMegahertz = 0; ///< during the launches; 0: not known
};

/// Runs once, for the results, then `repeat` times between events.
gpu::Status runOnGpu(const Options &options, const gpu::HostInputs &tensors,
                     std::vector<uint16_t> &output, std::vector<float> &lse, GpuTiming &timing);

} // namespace sage::run

#endif
