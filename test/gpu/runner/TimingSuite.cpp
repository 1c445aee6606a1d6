//===- TimingSuite.cpp - how fast, at which clock -------------------------===//
// Medians over launches that are enqueued without waiting, with an event between each
// two, over rotating input sets: the next kernel never waits for the host, and never
// finds its inputs in L2. `kernel` is the attention kernel alone: the program is
// captured into a graph of which only the last node is kept. `total` is everything,
// 16-bit tensors in to 16-bit tensors out. The output of the timed launches is checked.
//===----------------------------------------------------------------------===//
#include "Session.h"

#include "Accuracy.h"
#include "ClockSampler.h"
#include "HostTensor.h"
#include "Random.h"

#include <algorithm>
#include <functional>

namespace sage::gpu {
namespace {

using namespace sage::runtime;

constexpr size_t inputSets = 2;
constexpr int64_t warmUps = 5;
/// Short kernels are launched more often, so that the clock settles.
constexpr double leastMilliseconds = 50;
constexpr int64_t mostLaunches = 400;
constexpr int64_t sampledRows = 48;
/// Against float64 on N(0,1): 0.038 in the mean of whole heads (docs/Performance.md);
/// few rows scatter.
constexpr double sampledL1Limit = 0.08;

using Launch = std::function<Status(size_t set)>;

struct Times {
  double medianMilliseconds = 0;
  int clockMegahertz = 0;
  int64_t launches = 0;
};

/// Events between launches.
class EventChain {
public:
  EventChain(const Device &device, size_t count) : device(device), events(count, nullptr) {}
  ~EventChain() {
    for (cuda::Event event : events)
      if (event)
        (void)device.api().eventDestroy(event);
  }
  Status create() {
    for (cuda::Event &event : events)
      SAGE_RETURN_IF_ERROR(
          device.api().check(device.api().eventCreate(&event, 0), "cuEventCreate"));
    return {};
  }
  Status record(size_t i, const Stream &stream) {
    return device.api().check(device.api().eventRecord(events[i], stream.handle), "cuEventRecord");
  }
  Status median(double &milliseconds) {
    SAGE_RETURN_IF_ERROR(
        device.api().check(device.api().eventSynchronize(events.back()), "cuEventSynchronize"));
    std::vector<float> times(events.size() - 1);
    for (size_t i = 0; i < times.size(); ++i)
      SAGE_RETURN_IF_ERROR(
          device.api().check(device.api().eventElapsedTime(&times[i], events[i], events[i + 1]),
                             "cuEventElapsedTime"));
    std::sort(times.begin(), times.end());
    size_t middle = times.size() / 2;
    milliseconds =
        times.size() % 2 ? times[middle] : (double(times[middle - 1]) + times[middle]) / 2;
    return {};
  }

private:
  const Device &device;
  std::vector<cuda::Event> events;
};

Status timeLaunches(const Device &device, const Stream &stream, const Launch &launch, int64_t count,
                    Times &times) {
  EventChain events(device, size_t(count) + 1);
  SAGE_RETURN_IF_ERROR(events.create());
  SAGE_RETURN_IF_ERROR(events.record(0, stream));
  for (size_t i = 0; i < size_t(count); ++i) {
    SAGE_RETURN_IF_ERROR(launch(i % inputSets));
    SAGE_RETURN_IF_ERROR(events.record(i + 1, stream));
  }
  times.launches = count;
  return events.median(times.medianMilliseconds);
}

Status measure(const Device &device, const Stream &stream, const Launch &launch, int64_t launches,
               Times &times) {
  SAGE_RETURN_IF_ERROR(timeLaunches(device, stream, launch, warmUps, times));
  double each = std::max(times.medianMilliseconds, 1e-3);
  int64_t count =
      std::clamp(int64_t(leastMilliseconds / each), launches, std::max(launches, mostLaunches));
  ClockSampler clock(device.pciBusId());
  SAGE_RETURN_IF_ERROR(timeLaunches(device, stream, launch, count, times));
  times.clockMegahertz = clock.medianMegahertz();
  return {};
}

/// Some rows of O against float64: each row is a call of its own, on the keys that the
/// row sees.
Status checkRows(const LoadedArtifact &artifact, const HostInputs &inputs,
                 const std::vector<uint16_t> &output, Result &result) {
  sage_problem problem = artifact.program.problem;
  const Shape &shape = inputs.shape;
  Extents extents{shape.batch, shape.queryHeads, shape.keyHeads, shape.queries, shape.keys};
  // Biases and lengths are compared by the correctness suite alone.
  if (problem.has_bias || hasEntries(problem))
    return {};
  std::fill_n(problem.shape, 5, -1);
  problem.mask = SAGE_MASK_NONE;
  problem.has_window_left = problem.has_window_right = 0;
  problem.sink_tokens = 0;
  problem.has_bias = 1;
  problem.bias_type = SAGE_BOOL;
  std::vector<double> got, expected;
  evaluation::Random random(1, 0);
  for (int64_t i = 0; i < sampledRows; ++i) {
    int64_t row =
        std::min(int64_t(random.uniform(uint64_t(i)) * double(inputs.rows())), inputs.rows() - 1);
    int64_t head = row / shape.queries, query = row % shape.queries;
    VisibleKeys visible = visibleKeys(artifact.program.problem, extents, query);
    // What the mask hides is hidden by a bias here.
    std::vector<uint8_t> shown(static_cast<size_t>(shape.keys));
    for (int64_t key = 0; key < shape.keys; ++key)
      shown[size_t(key)] = visible.sees(key);
    int64_t keyRow = head / extents.headGroup() * shape.keys;
    auto part = [&](const std::vector<uint16_t> &from, int64_t dims, int64_t first,
                    int64_t tokens) {
      return sage_tensor_dense(const_cast<uint16_t *>(from.data() + first * dims), SAGE_HEAD_MAJOR,
                               inputs.type, 1, 1, tokens, dims);
    };
    int64_t dims = inputs.headDim, valueDims = inputs.valueHeadDim;
    sage_call call{};
    call.query = part(inputs.query, dims, row, 1);
    call.key = part(inputs.key, dims, keyRow, shape.keys);
    call.value = part(inputs.value, valueDims, keyRow, shape.keys);
    call.output = part(output, valueDims, row, 1);
    call.bias = {shown.data(), {1, 1, 1, shape.keys}, {0, 0, 0, 1}, SAGE_BOOL};
    call.sinks = problem.sinks ? &inputs.operands.sinks[size_t(head % shape.queryHeads)] : nullptr;
    std::vector<double> exact(static_cast<size_t>(valueDims));
    SAGE_RETURN_IF_ERROR(fromApi(sage_exact_run(&problem, &call, exact.data(), nullptr, nullptr)));
    expected.insert(expected.end(), exact.begin(), exact.end());
    for (int64_t d = 0; d < valueDims; ++d)
      got.push_back(decodeElement(inputs.type, output[size_t(row * valueDims + d)]));
  }
  evaluation::Accuracy accuracy = evaluation::compare(got, expected);
  result.set("l1", accuracy.relativeL1);
  if (accuracy.mismatches > 0 || !(accuracy.relativeL1 <= sampledL1Limit))
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
    Times total;
    SAGE_RETURN_IF_ERROR(measure(
        device, stream,
        [&](size_t set) { return sets[set]->launch(artifact.module, stream.handle); },
        entry.launches, total));
    addFigures(entry, total, "total", result);
    SAGE_RETURN_IF_ERROR(timeKernel(entry, artifact, sets, stream, result));
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

  Status timeKernel(const TimingCase &entry, LoadedArtifact &artifact,
                    DeviceTensors *const (&sets)[inputSets], const Stream &stream, Result &result) {
    if (!device.graphs.available()) {
      result.fail("the driver has no graphs, which single out the kernel");
      return {};
    }
    ReplayGraph first(device), second(device);
    ReplayGraph *graphs[inputSets] = {&first, &second};
    for (size_t i = 0; i < inputSets; ++i)
      SAGE_RETURN_IF_ERROR(graphs[i]->capture(
          stream, [&] { return sets[i]->launch(artifact.module, stream.handle); },
          /*lastOnly=*/true));
    Times kernel;
    SAGE_RETURN_IF_ERROR(measure(
        device, stream, [&](size_t set) { return graphs[set]->launch(stream); }, entry.launches,
        kernel));
    addFigures(entry, kernel, "kernel", result);
    return {};
  }

  void addFigures(const TimingCase &entry, const Times &times, const std::string &what,
                  Result &result) const {
    const Shape &shape = entry.inputs.shape;
    double operations = 2.0 * double(shape.batch * shape.queryHeads) * double(shape.queries) *
                        double(shape.keys) * double(inputs[0].headDim + inputs[0].valueHeadDim) /
                        (entry.causal ? 2 : 1);
    result.set(what + "_tflops", operations / times.medianMilliseconds * 1e-9);
    result.set(what + "_ms", times.medianMilliseconds);
    result.figures[what + "_mhz"] = times.clockMegahertz;
    result.figures[what + "_launches"] = times.launches;
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
