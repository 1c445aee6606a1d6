//===- Report.h - what sage-run prints --------------------------*- C++ -*-===//
#ifndef SAGE_RUN_REPORT_H
#define SAGE_RUN_REPORT_H

#include "Accuracy.h"
#include "GpuRun.h"

#include <optional>
#include <string>
#include <vector>

namespace sage::run {

struct Comparison {
  std::string against;
  evaluation::Accuracy output;
  std::optional<evaluation::Accuracy> lse;
};

struct Report {
  std::string program; // the artifact's path or the recipe's name
  std::string recipe, chip, device;
  const gpu::HostInputs *tensors = nullptr;
  double cpuSeconds = 0; // on the CPU only
  std::optional<GpuTiming> gpu;
  std::vector<Comparison> comparisons;
};

void printText(const Report &report);
void printJson(const Report &report);

} // namespace sage::run

#endif
