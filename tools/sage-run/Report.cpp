//===- Report.cpp - what sage-run prints ----------------------------------===//
#include "Report.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace sage::run {
namespace {

using evaluation::Accuracy;

void printAccuracy(const char *what, const Accuracy &accuracy) {
  std::printf("  %-4s cosine %.6f  relative L1 %.5f  RMSE %.3e  max %.3e", what, accuracy.cosine,
              accuracy.relativeL1, accuracy.rmse, accuracy.maximum);
  if (accuracy.mismatches)
    std::printf("  (%lld elements NaN or infinite on one side)",
                static_cast<long long>(accuracy.mismatches));
  std::printf("\n");
}

/// JSON has no infinity and no NaN: null.
nlohmann::json numberOf(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

nlohmann::json jsonOf(const Accuracy &accuracy) {
  return {{"cosine", numberOf(accuracy.cosine)},
          {"relative_l1", numberOf(accuracy.relativeL1)},
          {"rmse", numberOf(accuracy.rmse)},
          {"max_abs", numberOf(accuracy.maximum)},
          {"mismatches", accuracy.mismatches}};
}

} // namespace

void printText(const Report &report) {
  const gpu::HostInputs &t = *report.tensors;
  const gpu::Shape &shape = t.shape;
  std::printf("%s: recipe %s%s%s, on %s\n", report.program.c_str(), report.recipe.c_str(),
              report.chip.empty() ? "" : ", chip ", report.chip.c_str(), report.device.c_str());
  std::printf("B %lld  Hq %lld  Hkv %lld  Nq %lld  Nk %lld  D %lld  Dv %lld\n",
              static_cast<long long>(shape.batch), static_cast<long long>(shape.queryHeads),
              static_cast<long long>(shape.keyHeads), static_cast<long long>(shape.queries),
              static_cast<long long>(shape.keys), static_cast<long long>(t.headDim),
              static_cast<long long>(t.valueHeadDim));
  if (report.gpu) {
    const GpuTiming &gpu = *report.gpu;
    std::printf("code: %s\nworkspace: %llu bytes\n", gpu.origin.c_str(),
                static_cast<unsigned long long>(gpu.workspaceBytes));
    std::printf("time: %.4f ms  %.1f TFLOP/s", gpu.milliseconds, gpu.teraflops);
    if (gpu.smClockMegahertz)
      std::printf("  at %d MHz", gpu.smClockMegahertz);
    std::printf("\n");
  } else {
    std::printf("time: %.2f s\n", report.cpuSeconds);
  }
  for (const Comparison &comparison : report.comparisons) {
    std::printf("against %s:\n", comparison.against.c_str());
    printAccuracy("O", comparison.output);
    if (comparison.lse)
      printAccuracy("LSE", *comparison.lse);
  }
}

void printJson(const Report &report) {
  const gpu::HostInputs &t = *report.tensors;
  const gpu::Shape &shape = t.shape;
  nlohmann::json json = {
      {"program", report.program},
      {"recipe", report.recipe},
      {"device", report.device},
      {"shape", {shape.batch, shape.queryHeads, shape.keyHeads, shape.queries, shape.keys}},
      {"head_dim", t.headDim},
      {"value_head_dim", t.valueHeadDim}};
  if (!report.chip.empty())
    json["chip"] = report.chip;
  if (report.gpu)
    json["gpu"] = {{"code", report.gpu->origin},
                   {"milliseconds", report.gpu->milliseconds},
                   {"tflops", report.gpu->teraflops},
                   {"workspace_bytes", report.gpu->workspaceBytes},
                   {"sm_clock_mhz", report.gpu->smClockMegahertz
                                        ? nlohmann::json(report.gpu->smClockMegahertz)
                                        : nlohmann::json()}};
  else
    json["cpu_seconds"] = report.cpuSeconds;
  json["accuracy"] = nlohmann::json::object();
  for (const Comparison &comparison : report.comparisons) {
    nlohmann::json entry = {{"output", jsonOf(comparison.output)}};
    if (comparison.lse)
      entry["lse"] = jsonOf(*comparison.lse);
    json["accuracy"][comparison.against] = entry;
  }
  std::printf("%s\n", json.dump(2).c_str());
}

} // namespace sage::run
