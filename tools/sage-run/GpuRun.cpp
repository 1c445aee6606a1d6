//===- GpuRun.cpp - an artifact on a GPU ----------------------------------===//
#include "GpuRun.h"

#include "LaunchTimes.h"
#include "Workload.h"

namespace sage::run {

using gpu::Status;

Status runOnGpu(const Options &options, const gpu::HostInputs &tensors,
                std::vector<uint16_t> &output, std::vector<float> &lse, GpuTiming &timing) {
  gpu::Device device;
  gpu::LoadedArtifact artifact;
  sage_module_options moduleOptions{};
  moduleOptions.cache_dir = options.cacheDir.empty() ? nullptr : options.cacheDir.c_str();
  SAGE_RETURN_IF_ERROR(device.open(options.driver.empty() ? nullptr : options.driver.c_str(),
                                   *options.device, /*isStub=*/false));
  SAGE_RETURN_IF_ERROR(artifact.load(options.artifact, device, moduleOptions));
  timing.device = device.info.name;
  timing.origin = sage_module_origin(artifact.module);

  const sage_problem &problem = artifact.program.problem;
  gpu::Stream stream(device);
  gpu::DeviceTensors onDevice(device);
  SAGE_RETURN_IF_ERROR(stream.create());
  SAGE_RETURN_IF_ERROR(onDevice.create(
      artifact.artifact, tensors, problem.layout == SAGE_TOKEN_MAJOR ? "token_major" : "head_major",
      problem.lse != 0));
  timing.workspaceBytes = onDevice.workspaceBytes();
  auto launch = [&](size_t) { return onDevice.launch(artifact.module, stream.handle); };
  SAGE_RETURN_IF_ERROR(launch(0));
  SAGE_RETURN_IF_ERROR(stream.synchronize());
  gpu::DeviceTensors::Results results;
  SAGE_RETURN_IF_ERROR(onDevice.download(results));
  output = std::move(results.output);
  lse = std::move(results.lse);

  gpu::LaunchPlan plan;
  plan.inputSets = 1;
  plan.launches = plan.mostLaunches = options.repeat;
  gpu::LaunchTimes times;
  SAGE_RETURN_IF_ERROR(gpu::timeLaunches(device, stream, plan, launch, times));
  timing.milliseconds = times.median();
  timing.smClockMegahertz = times.medianMegahertz();
  if (timing.milliseconds > 0)
    timing.teraflops =
        gpu::countOperations(problem, tensors.call(nullptr, nullptr)) / timing.milliseconds * 1e-9;
  return {};
}

} // namespace sage::run
