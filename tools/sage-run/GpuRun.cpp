//===- GpuRun.cpp - an artifact on a GPU ----------------------------------===//
#include "GpuRun.h"

#include "ApiBoundary.h"
#include "ArtifactHandle.h"
#include "Module.h"
#include "Reference.h"
#include "SmClock.h"

#include <algorithm>

namespace sage::run {
namespace {

using namespace sage::runtime;

/// Device memory of one run; needs the context to be current.
class Buffer {
public:
  Buffer(const DriverApi &api) : api(api) {}
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  ~Buffer() {
    if (pointer)
      (void)api.memFree(pointer);
  }

  Status allocate(size_t bytes) {
    if (bytes == 0)
      return {};
    return api.check(api.memAlloc(&pointer, bytes), text("cuMemAlloc(", bytes, " bytes)"));
  }
  template <typename Element> Status upload(const std::vector<Element> &elements) {
    size_t bytes = elements.size() * sizeof(Element);
    SAGE_RETURN_IF_ERROR(allocate(bytes));
    return bytes == 0 ? Status()
                      : api.check(api.memcpyHtoD(pointer, elements.data(), bytes), "cuMemcpyHtoD");
  }
  /// All bits set: what no kernel writes shows up as NaN.
  template <typename Element> Status allocateUnwritten(size_t count) {
    SAGE_RETURN_IF_ERROR(allocate(count * sizeof(Element)));
    return count == 0
               ? Status()
               : api.check(api.memsetD8(pointer, 0xff, count * sizeof(Element)), "cuMemsetD8");
  }
  template <typename Element> Status download(std::vector<Element> &elements) const {
    return elements.empty() ? Status()
                            : api.check(api.memcpyDtoH(elements.data(), pointer,
                                                       elements.size() * sizeof(Element)),
                                        "cuMemcpyDtoH");
  }
  void *data() const { return reinterpret_cast<void *>(uintptr_t(pointer)); }

private:
  const DriverApi &api;
  cuda::DevicePointer pointer = 0;
};

/// A stream of its own and events around each launch.
class Stopwatch {
public:
  Stopwatch(const DriverApi &api) : api(api) {}
  ~Stopwatch() {
    for (cuda::Event event : {start, end})
      if (event)
        (void)api.eventDestroy(event);
    if (stream)
      (void)api.streamDestroy(stream);
  }
  Status create() {
    constexpr unsigned nonBlocking = 1;
    SAGE_RETURN_IF_ERROR(api.check(api.streamCreate(&stream, nonBlocking), "cuStreamCreate"));
    SAGE_RETURN_IF_ERROR(api.check(api.eventCreate(&start, 0), "cuEventCreate"));
    return api.check(api.eventCreate(&end, 0), "cuEventCreate");
  }
  Status synchronize() const {
    return api.check(api.streamSynchronize(stream), "cuStreamSynchronize");
  }
  template <typename Launch> Status time(Launch launch, float &milliseconds) {
    SAGE_RETURN_IF_ERROR(api.check(api.eventRecord(start, stream), "cuEventRecord"));
    SAGE_RETURN_IF_ERROR(launch());
    SAGE_RETURN_IF_ERROR(api.check(api.eventRecord(end, stream), "cuEventRecord"));
    SAGE_RETURN_IF_ERROR(api.check(api.eventSynchronize(end), "cuEventSynchronize"));
    return api.check(api.eventElapsedTime(&milliseconds, start, end), "cuEventElapsedTime");
  }

  cuda::Stream stream = nullptr;

private:
  const DriverApi &api;
  cuda::Event start = nullptr, end = nullptr;
};

/// Two operations per multiply-add of Q·Kᵀ and P·V, pairs that the mask shows only.
double operationsOf(const Tensors &tensors) {
  sage_call call = tensors.callOn(nullptr, nullptr, nullptr, nullptr, nullptr);
  double pairs = 0;
  for (int64_t i = 0; i < countEntries(tensors.problem, call); ++i) {
    CallEntry entry = entryOf(tensors.problem, call, i);
    Extents extents{entry.call.query.extents[0], tensors.queryHeads, tensors.keyHeads,
                    entry.call.query.extents[2], entry.call.key.extents[2]};
    for (int64_t query = 0; query < extents.queries; ++query)
      pairs += double(visibleKeys(entry.problem, extents, query).count()) * double(extents.batch);
  }
  return 2 * pairs * double(tensors.queryHeads) *
         double(tensors.problem.head_dim + tensors.problem.value_head_dim);
}

Status measure(const PrimaryContext &primary, Stopwatch &watch, const Options &options,
               const Tensors &tensors, const std::function<Status()> &launch, GpuTiming &timing) {
  std::vector<float> times(size_t(options.repeat));
  char busId[64] = {};
  (void)primary.api().deviceGetPciBusId(busId, sizeof(busId), primary.device);
  for (float &time : times)
    SAGE_RETURN_IF_ERROR(watch.time(launch, time));
  // Read while launches are in flight: the clock drops when they end.
  for (int i = 0; i < 20; ++i)
    SAGE_RETURN_IF_ERROR(launch());
  timing.smClockMegahertz = smClockMegahertz(busId);
  SAGE_RETURN_IF_ERROR(watch.synchronize());
  std::sort(times.begin(), times.end());
  size_t middle = times.size() / 2;
  timing.milliseconds =
      times.size() % 2 ? times[middle] : (double(times[middle - 1]) + times[middle]) / 2;
  timing.teraflops =
      timing.milliseconds > 0 ? operationsOf(tensors) / timing.milliseconds * 1e-9 : 0;
  return {};
}

Status execute(const Module &module, const Options &options, const Tensors &tensors,
               std::vector<uint16_t> &output, std::vector<float> &lse, GpuTiming &timing) {
  const DriverApi &api = module.primary.api();
  Buffer query(api), key(api), value(api), out(api), lseOut(api), space(api);
  Buffer bias(api), keyLengths(api), sinks(api), queryOffsets(api), keyOffsets(api);
  Stopwatch watch(api);
  output.resize(size_t(tensors.outputElements()));
  lse.resize(tensors.problem.lse ? size_t(tensors.rows()) : 0);
  SAGE_RETURN_IF_ERROR(query.upload(tensors.query));
  SAGE_RETURN_IF_ERROR(key.upload(tensors.key));
  SAGE_RETURN_IF_ERROR(value.upload(tensors.value));
  const evaluation::MaskInputs &operands = tensors.operands;
  SAGE_RETURN_IF_ERROR(bias.upload(operands.bias));
  SAGE_RETURN_IF_ERROR(keyLengths.upload(operands.keyLengths));
  SAGE_RETURN_IF_ERROR(sinks.upload(operands.sinks));
  SAGE_RETURN_IF_ERROR(queryOffsets.upload(operands.queryOffsets));
  SAGE_RETURN_IF_ERROR(keyOffsets.upload(operands.keyOffsets));
  SAGE_RETURN_IF_ERROR(out.allocateUnwritten<uint16_t>(output.size()));
  // One element more, so that an empty LSE has an address too.
  SAGE_RETURN_IF_ERROR(lseOut.allocateUnwritten<float>(lse.size() + 1));
  sage_call call =
      tensors.callOn(query.data(), key.data(), value.data(), out.data(),
                     tensors.problem.lse ? static_cast<float *>(lseOut.data()) : nullptr);
  operands.addTo(
      call, {bias.data(), keyLengths.data(), sinks.data(), queryOffsets.data(), keyOffsets.data()});
  sage_artifact handle{module.artifact};
  if (sage_status *wrong = sage_artifact_workspace_bytes(&handle, &call, &timing.workspaceBytes)) {
    Status status(wrong->code, wrong->message, wrong->remedy);
    sage_status_destroy(wrong);
    return status;
  }
  // cuMemAlloc aligns to less than a workspace needs.
  constexpr uintptr_t alignment = 1024;
  SAGE_RETURN_IF_ERROR(space.allocateUnwritten<uint8_t>(size_t(timing.workspaceBytes) + alignment));
  auto aligned = reinterpret_cast<void *>(
      (reinterpret_cast<uintptr_t>(space.data()) + alignment - 1) / alignment * alignment);
  SAGE_RETURN_IF_ERROR(watch.create());
  auto launch = [&]() -> Status {
    return module.launch(call, watch.stream, aligned, timing.workspaceBytes);
  };
  // Uploads may end after their call returns, and the stream does not wait for the default one.
  SAGE_RETURN_IF_ERROR(module.primary.api().check(module.primary.api().streamSynchronize(nullptr),
                                                  "cuStreamSynchronize"));
  SAGE_RETURN_IF_ERROR(launch());
  SAGE_RETURN_IF_ERROR(watch.synchronize());
  SAGE_RETURN_IF_ERROR(out.download(output));
  SAGE_RETURN_IF_ERROR(lseOut.download(lse));
  return measure(module.primary, watch, options, tensors, launch, timing);
}

} // namespace

sage_status *runOnGpu(const sage_artifact *artifact, const Options &options, const Tensors &tensors,
                      std::vector<uint16_t> &output, std::vector<float> &lse, GpuTiming &timing) {
  return guarded([&]() -> Status {
    std::shared_ptr<Driver> driver;
    SAGE_RETURN_IF_ERROR(
        Driver::open(options.driver.empty() ? nullptr : options.driver.c_str(), driver));
    sage_device device;
    SAGE_RETURN_IF_ERROR(driver->device(*options.device, device));
    timing.device = device.name;
    Module module;
    sage_module_options moduleOptions{options.cacheDir.empty() ? nullptr : options.cacheDir.c_str(),
                                      0};
    SAGE_RETURN_IF_ERROR(module.load(driver, artifact->artifact, *options.device, moduleOptions));
    timing.origin = module.origin;
    return withContext(module.primary, [&]() -> Status {
      return execute(module, options, tensors, output, lse, timing);
    });
  });
}

} // namespace sage::run
