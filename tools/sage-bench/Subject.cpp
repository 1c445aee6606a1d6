//===- Subject.cpp - one artifact at one shape ----------------------------===//
#include "Subject.h"

#include "ArtifactHandle.h"
#include "SampledRows.h"
#include "Workload.h"

#include <algorithm>

namespace sage::bench {
namespace {

using namespace sage::runtime;

constexpr int64_t sampledRows = 48;

const char *nameOf(sage_mask mask) {
  switch (mask) {
  case SAGE_MASK_NONE:
    return "none";
  case SAGE_MASK_CAUSAL_TOP_LEFT:
    return "causal_top_left";
  case SAGE_MASK_CAUSAL_BOTTOM_RIGHT:
    return "causal_bottom_right";
  case SAGE_MASK_WINDOW_TOP_LEFT:
    return "window_top_left";
  case SAGE_MASK_WINDOW_BOTTOM_RIGHT:
    return "window_bottom_right";
  }
  return "";
}

gpu::Shape shapeOf(const CallShape &shape) {
  return {shape[0], shape[1], shape[2], shape[3], shape[4]};
}

/// So many sets that what they touch outgrows every L2 a few times.
size_t countSets(const Options &options, const gpu::HostInputs &inputs, uint64_t workspaceBytes) {
  if (options.inputSets > 0)
    return size_t(options.inputSets);
  constexpr uint64_t wanted = uint64_t(256) << 20;
  const gpu::Shape &shape = inputs.shape;
  int64_t queryElements = shape.batch * shape.queryHeads * shape.queries;
  int64_t keyElements = shape.batch * shape.keyHeads * shape.keys;
  uint64_t bytes = workspaceBytes + 2 * uint64_t((queryElements + keyElements) *
                                                 (inputs.headDim + inputs.valueHeadDim));
  return size_t(std::clamp<uint64_t>(wanted / std::max<uint64_t>(bytes, 1), 2, 32));
}

/// The kernel, and those before it that reset the counters it takes tickets from: without, there
/// would be none left. Behind the attention, those that finish it.
KernelSelection selectionOf(const Artifact &artifact, size_t kernel) {
  auto hasProgress = [&](const Kernel &candidate) {
    return std::any_of(
        candidate.arguments.begin(), candidate.arguments.end(), [&](const Argument &argument) {
          return argument.kind == Argument::Kind::Pointer && argument.buffer >= FirstSlice &&
                 artifact.workspace[argument.buffer - FirstSlice].name == "progress";
        });
  };
  KernelSelection only;
  only.set(kernel);
  for (size_t i = artifact.attentionKernel(); i < artifact.kernels.size(); ++i)
    only.set(i, i == kernel || kernel == artifact.attentionKernel());
  if (hasProgress(artifact.kernels[kernel]))
    for (size_t i = 0; i < kernel; ++i)
      only.set(i, hasProgress(artifact.kernels[i]));
  return only;
}

} // namespace

Status InputSource::get(const sage_problem &problem, const CallShape &shape, size_t set,
                        std::shared_ptr<const gpu::HostInputs> &inputs) {
  std::string wanted = text(textOf(shape), ' ', problem.element_type, ' ', problem.head_dim, ' ',
                            problem.value_head_dim, ' ', problem.has_bias, problem.bias_type,
                            problem.key_lengths, problem.sinks, problem.packed);
  if (wanted != key)
    sets.clear();
  key = wanted;
  while (sets.size() <= set) {
    uint64_t seed = options.seed + sets.size();
    auto drawn = std::make_shared<gpu::HostInputs>();
    std::string wrong;
    if (device.isStub) {
      // Nobody reads the elements.
      *drawn = {shapeOf(shape),
                problem.head_dim,
                problem.value_head_dim,
                problem.element_type,
                {},
                {},
                {},
                {}};
      wrong = evaluation::makeMaskInputs(problem, shape, {}, seed, drawn->operands);
    } else {
      wrong = gpu::makeInputs(problem, shapeOf(shape),
                              {evaluation::InputDistribution::Normal, seed, {}}, *drawn);
    }
    if (!wrong.empty())
      return invalidArgument(wrong);
    sets.push_back(std::move(drawn));
  }
  inputs = sets[set];
  return {};
}

Status Subject::create(const Options &options, InputSource &source, const gpu::Stream &stream) {
  const sage_problem &problem = artifact.program.problem;
  const char *view = problem.layout == SAGE_TOKEN_MAJOR ? "token_major" : "head_major";
  SAGE_RETURN_IF_ERROR(source.get(problem, shape, 0, firstInputs));
  for (size_t i = 0, count = 1; i < count; ++i) {
    std::shared_ptr<const gpu::HostInputs> inputs;
    SAGE_RETURN_IF_ERROR(source.get(problem, shape, i, inputs));
    sets.push_back(std::make_unique<gpu::DeviceTensors>(device));
    SAGE_RETURN_IF_ERROR(sets[i]->create(artifact.artifact, *inputs, view, problem.lse != 0));
    SAGE_RETURN_IF_ERROR(sets[i]->launch(artifact.module, stream.handle));
    SAGE_RETURN_IF_ERROR(stream.synchronize());
    count = countSets(options, *inputs, sets[0]->workspaceBytes());
  }
  const Artifact &code = *artifact.artifact->artifact;
  size_t attention = code.attentionKernel();
  for (size_t kernel = 0; kernel < code.kernels.size() && options.kernels; ++kernel)
    if (kernel != attention)
      SAGE_RETURN_IF_ERROR(addProbe(stream, "", kernel, true));
  SAGE_RETURN_IF_ERROR(addProbe(stream, "kernel", attention, true));
  if (options.graph)
    SAGE_RETURN_IF_ERROR(addProbe(stream, "replay", std::nullopt, true));
  return addProbe(stream, "total", std::nullopt, false);
}

Status Subject::addProbe(const gpu::Stream &stream, const std::string &scope,
                         std::optional<size_t> kernel, bool asGraph) {
  Probe &probe = probes.emplace_back();
  probe.scope = scope;
  probe.kernel = kernel;
  // The stub has no graphs: there the launches are plain ones.
  std::vector<std::unique_ptr<gpu::ReplayGraph>> graphs;
  for (size_t set = 0; set < sets.size() && asGraph && device.graphs.available(); ++set) {
    graphs.push_back(std::make_unique<gpu::ReplayGraph>(device));
    SAGE_RETURN_IF_ERROR(
        graphs.back()->capture(stream, [&] { return launch(probe, set, stream); }));
  }
  probe.graphs = std::move(graphs);
  return {};
}

Status Subject::launch(const Probe &probe, size_t set, const gpu::Stream &stream) const {
  if (!probe.graphs.empty())
    return probe.graphs[set]->launch(stream);
  if (!probe.kernel)
    return sets[set]->launch(artifact.module, stream.handle);
  KernelSelection only = selectionOf(*artifact.artifact->artifact, *probe.kernel);
  return sets[set]->launch(artifact.module, stream.handle, &only);
}

Status Subject::measure(const Options &options, const gpu::Stream &stream) {
  gpu::LaunchPlan plan;
  plan.inputSets = sets.size();
  plan.launches = options.launches;
  plan.leastMilliseconds /= double(options.passes);
  if (device.isStub)
    plan.leastMilliseconds = 0;
  for (Probe &probe : probes)
    SAGE_RETURN_IF_ERROR(gpu::timeLaunches(
        device, stream, plan, [&](size_t set) { return launch(probe, set, stream); }, probe.times));
  return {};
}

Status Subject::check() {
  if (device.isStub)
    return {};
  const sage_program &program = artifact.program;
  gpu::DeviceTensors::Results results;
  SAGE_RETURN_IF_ERROR(sets[0]->download(results));
  int64_t unowned =
      firstInputs->unownedRows() * (program.problem.value_head_dim + (program.problem.lse ? 1 : 0));
  if (results.unwritten > unowned || !results.gapsIntact)
    return failure(SAGE_UNSUPPORTED, "outputs are not written, or memory beside them is");
  evaluation::Accuracy accuracy;
  SAGE_RETURN_IF_ERROR(gpu::compareSampledRows(program.problem, *firstInputs, results.output,
                                               sampledRows, accuracy));
  relativeL1 = accuracy.relativeL1;
  double limit = gpu::sampledL1Limit(program.recipe, program.problem.element_type);
  if (accuracy.mismatches > 0 || !(accuracy.relativeL1 <= limit))
    return failure(SAGE_UNSUPPORTED, "the output is wrong: relative L1 must be at most ", limit,
                   ", but is ", accuracy.relativeL1);
  return {};
}

Row Subject::rowOf(const Probe &probe) const {
  const sage_program &program = artifact.program;
  Row row;
  row.name = name;
  row.scope = probe.scope;
  row.recipe = program.recipe.name;
  row.chip = sage_artifact_chip(artifact.artifact);
  row.elementType = program.problem.element_type == SAGE_F16 ? "f16" : "bf16";
  row.mask = nameOf(program.problem.mask);
  row.headDim = program.problem.head_dim;
  row.valueHeadDim = program.problem.value_head_dim;
  row.shape = shape;
  row.median = probe.times.median();
  row.p10 = probe.times.quantile(0.1);
  row.p90 = probe.times.quantile(0.9);
  row.megahertz = probe.times.medianMegahertz();
  row.launches = int64_t(probe.times.milliseconds.size());
  row.relativeL1 = relativeL1;
  row.code = sage_module_origin(artifact.module);
  if (row.median > 0)
    row.teraflops = gpu::countOperations(program.problem, firstInputs->call(nullptr, nullptr)) /
                    row.median * 1e-9;
  return row;
}

std::vector<KernelFigures> Subject::preparation() const {
  std::vector<KernelFigures> kernels;
  const Artifact &parsed = *artifact.artifact->artifact;
  for (const Probe &probe : probes) {
    if (!probe.scope.empty() || probe.times.milliseconds.empty())
      continue;
    KernelFigures &figures = kernels.emplace_back();
    figures.name = parsed.kernels[*probe.kernel].name;
    figures.milliseconds = probe.times.median();
    // The call has been launched: its sizes are fine.
    (void)gpu::countBytes(parsed, sets[0]->deviceCall(), *probe.kernel, figures.bytes);
  }
  return kernels;
}

std::vector<Row> Subject::rows(const std::string &error) const {
  std::vector<Row> result;
  for (const Probe &probe : probes)
    if (!probe.scope.empty())
      result.push_back(rowOf(probe));
  if (result.empty()) {
    result.push_back(rowOf({"total", std::nullopt, {}, {}}));
  }
  result.back().kernels = preparation();
  for (Row &row : result)
    row.error = error;
  return result;
}

} // namespace sage::bench
