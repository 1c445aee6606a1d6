//===- GpuRun.h - an artifact on a GPU --------------------------*- C++ -*-===//
#ifndef SAGE_RUN_GPURUN_H
#define SAGE_RUN_GPURUN_H

#include "Tensors.h"

#include <string>
#include <vector>

namespace sage::run {

struct GpuTiming {
  std::string device, origin;
  double milliseconds = 0; ///< median over the launches
  double teraflops = 0;    ///< 2·B·Hq·visible pairs·(D + Dv) / time
  uint64_t workspaceBytes = 0;
  int32_t smClockMegahertz = 0; ///< during the launches; 0: not known
};

/// Runs once, for the results, then `repeat` times between events.
sage_status *runOnGpu(const sage_artifact *artifact, const Options &options, const Tensors &tensors,
                      std::vector<uint16_t> &output, std::vector<float> &lse, GpuTiming &timing);

} // namespace sage::run

#endif
