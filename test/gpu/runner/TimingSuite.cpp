//===- TimingSuite.cpp - how fast, at which clock -------------------------===//
// `kernel` is the attention kernel alone, `total` everything, 16-bit tensors in to 16-bit
// tensors out. The output of the timed launches is checked. tools/sage-bench says more.
//===----------------------------------------------------------------------===//
#include "Session.h"

#include "ArtifactHandle.h"
#include "LaunchTimes.h"
#include "SampledRows.h"
#include "Workload.h"

namespace sage::gpu {
namespace {

using namespace sage::runtime;

constexpr size_t inputSets = 2;
constexpr int64_t sampledRows = 48;

Status checkRows(const LoadedArtifact &artifact, const HostInputs &inputs,
                 const std::vector<uint16_t> &output, Result &result) {
  evaluation::Accuracy accuracy;
  const sage_program &program = artifact.program;
  SAGE_RETURN_IF_ERROR(compareSampledRows(program.problem, inputs, output, sampledRows, accuracy));
  result.set("l1", accuracy.relativeL1);
  if (accuracy.mismatches > 0 ||
      !(accuracy.relativeL1 <= sampledL1Limit(program.recipe, program.problem.element_type)))
    result.fail("the timed output is wrong");
  return {};
}

class TimingRunner {
public:
  explicit TimingRunner(Session &session) : session(session), device(session.device) {}

  Status run(const TimingCase &entry, LoadedArtifact &artifact, Result &result) {
    SAGE_RETURN_IF_ERROR(prepare(entry.inputs, artifact));
    DeviceTensors first(device), second(device);
    DeviceTensors *sets[inputSets] = {&first, &second};
    Stream stream(device);
    SAGE_RETURN_IF_ERROR(stream.create());
    for (size_t i = 0; i < inputSets; ++i) {
      SAGE_RETURN_IF_ERROR(sets[i]->create(artifact.artifact, inputs[i], "head_major",
                                           artifact.program.problem.lse != 0));
      SAGE_RETURN_IF_ERROR(sets[i]->launch(artifact.module, stream.handle));
    }
    SAGE_RETURN_IF_ERROR(stream.synchronize());
    if (device.isStub)
      return {};
    LaunchPlan plan;
    plan.launches = entry.launches;
    LaunchTimes total, kernel;
    SAGE_RETURN_IF_ERROR(timeLaunches(
        device, stream, plan,
        [&](size_t set) { return sets[set]->launch(artifact.module, stream.handle); }, total));
    addFigures(total, "total", artifact, result);
    SAGE_RETURN_IF_ERROR(timeKernel(plan, artifact, sets, stream, kernel));
    addFigures(kernel, "kernel", artifact, result);
    DeviceTensors::Results results;
    SAGE_RETURN_IF_ERROR(first.download(results));
    int64_t unowned =
        inputs[0].unownedRows() * (inputs[0].valueHeadDim + (artifact.program.problem.lse ? 1 : 0));
    if (results.unwritten > unowned || !results.gapsIntact)
      result.fail("outputs are not written, or memory beside them is");
    result.set("workspace_mb", double(first.workspaceBytes()) * 1e-6);
    return checkRows(artifact, inputs[0], results.output, result);
  }

private:
  Status prepare(const Case &from, const LoadedArtifact &artifact) {
    const sage_problem &problem = artifact.program.problem;
    std::string key =
        text(from.shape.text(), int(from.distribution), ' ', problem.element_type, problem.head_dim,
             ' ', problem.value_head_dim, ' ', problem.has_bias, problem.bias_type,
             problem.key_lengths, problem.sinks, problem.packed, ' ', from.name);
    if (key == inputsKey)
      return {};
    for (size_t i = 0; i < inputSets; ++i) {
      const Shape &shape = from.shape;
      inputs[i] = {
          shape, problem.head_dim, problem.value_head_dim, problem.element_type, {}, {}, {}, {}};
      std::string wrong =
          device.isStub ? evaluation::makeMaskInputs(problem,
                                                     {shape.batch, shape.queryHeads, shape.keyHeads,
                                                      shape.queries, shape.keys},
                                                     from.operands, from.seed, inputs[i].operands)
                        : makeInputs(from, problem, from.seed + i, inputs[i]);
      if (!wrong.empty())
        return invalidArgument(wrong);
    }
    inputsKey = key;
    return {};
  }

  /// The attention kernel, and those that finish what it leaves.
  Status timeKernel(const LaunchPlan &plan, const LoadedArtifact &artifact,
                    DeviceTensors *const *sets, const Stream &stream, LaunchTimes &times) {
    KernelSelection attention;
    const runtime::Artifact &code = *artifact.artifact->artifact;
    for (size_t i = code.attentionKernel(); i < code.kernels.size(); ++i)
      attention.set(i);
    ReplayGraph first(device), second(device);
    ReplayGraph *graphs[inputSets] = {&first, &second};
    for (size_t i = 0; i < inputSets; ++i)
      SAGE_RETURN_IF_ERROR(graphs[i]->capture(
          stream, [&] { return sets[i]->launch(artifact.module, stream.handle, &attention); }));
    return timeLaunches(
        device, stream, plan, [&](size_t set) { return graphs[set]->launch(stream); }, times);
  }

  void addFigures(const LaunchTimes &times, const std::string &what, const LoadedArtifact &artifact,
                  Result &result) const {
    double operations = countOperations(artifact.program.problem, inputs[0].call(nullptr, nullptr));
    result.set(what + "_tflops", operations / times.median() * 1e-9);
    result.set(what + "_ms", times.median());
    result.figures[what + "_mhz"] = times.medianMegahertz();
    result.figures[what + "_launches"] = times.milliseconds.size();
  }

  Session &session;
  const Device &device;
  HostInputs inputs[inputSets];
  std::string inputsKey;
};

} // namespace

void runTiming(Session &session) {
  TimingRunner runner(session);
  for (const TimingCase &entry : session.bundle.timing)
    for (const std::string &name : entry.inputs.artifacts) {
      Result result{"timing", name + "/" + entry.inputs.name, true, "", {}};
      if ((session.options.quick && !entry.inputs.quick) || !session.selected(result.name))
        continue;
      Report::begin(result.name);
      LoadedArtifact &artifact = session.artifact(name);
      if (!artifact.error.empty())
        result.fail(artifact.error);
      else if (Status status = runner.run(entry, artifact, result); !status.ok())
        result.fail(status.message());
      if (artifact.module)
        result.figures["code"] = sage_module_origin(artifact.module);
      session.report.add(std::move(result));
    }
}

} // namespace sage::gpu
