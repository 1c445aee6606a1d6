//===- Device.cpp - one GPU, its memory and its streams -------------------===//
#include "Device.h"

#include <algorithm>
#include <dlfcn.h>

namespace sage::gpu {
namespace {

template <typename Function> void resolve(void *library, const char *name, Function &function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
}

GraphApi openGraphApi(const char *path) {
  GraphApi api;
  // The runtime keeps the library open.
  void *library = dlopen(path ? path : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return api;
  resolve(library, "cuStreamBeginCapture_v2", api.beginCapture);
  resolve(library, "cuStreamEndCapture", api.endCapture);
  resolve(library, "cuGraphInstantiateWithFlags", api.instantiate);
  resolve(library, "cuGraphLaunch", api.launch);
  resolve(library, "cuGraphGetNodes", api.nodes);
  resolve(library, "cuGraphDestroy", api.destroyGraph);
  resolve(library, "cuGraphExecDestroy", api.destroyExec);
  return api;
}

} // namespace

Status Device::open(const char *library, int32_t ordinal, bool stub) {
  isStub = stub;
  SAGE_RETURN_IF_ERROR(runtime::Driver::open(library, driver));
  SAGE_RETURN_IF_ERROR(driver->device(ordinal, info));
  SAGE_RETURN_IF_ERROR(primary.retain(driver, ordinal));
  graphs = openGraphApi(library);
  return enterThread();
}

Status Device::enterThread() const {
  return api().check(api().ctxPushCurrent(primary.context), "cuCtxPushCurrent");
}

Status Device::synchronize() const {
  return api().check(api().streamSynchronize(nullptr), "cuStreamSynchronize");
}

std::string Device::pciBusId() const {
  char text[64] = {};
  (void)api().deviceGetPciBusId(text, sizeof(text), primary.device);
  return text;
}

void Buffer::release() {
  if (base)
    (void)device.api().memFree(base);
  base = begin = 0;
}

Status Buffer::allocate(size_t bytes) {
  constexpr size_t alignment = 1024;
  release();
  size = bytes;
  if (device.isStub) {
    begin = uint64_t(1) << 40;
    return {};
  }
  size_t total = bytes + 2 * guardBytes + 2 * alignment;
  SAGE_RETURN_IF_ERROR(device.api().check(device.api().memAlloc(&base, total),
                                          runtime::text("cuMemAlloc(", total, " bytes)")));
  begin = (base + guardBytes + alignment - 1) / alignment * alignment;
  return poison();
}

Status Buffer::poison() {
  if (device.isStub)
    return {};
  return device.api().check(
      device.api().memsetD8(begin - guardBytes, poisonByte, size + 2 * guardBytes), "cuMemsetD8");
}

Status Buffer::upload(const void *from, size_t bytes, size_t offset) {
  if (device.isStub || bytes == 0)
    return {};
  return device.api().check(device.api().memcpyHtoD(begin + offset, from, bytes), "cuMemcpyHtoD");
}

Status Buffer::download(void *to, size_t bytes, size_t offset) const {
  if (device.isStub || bytes == 0)
    return {};
  return device.api().check(device.api().memcpyDtoH(to, begin + offset, bytes), "cuMemcpyDtoH");
}

Status Buffer::checkGuards(bool &intact) const {
  intact = true;
  if (device.isStub)
    return {};
  std::vector<uint8_t> guard(guardBytes);
  for (cuda::DevicePointer from : {begin - guardBytes, begin + size}) {
    SAGE_RETURN_IF_ERROR(device.api().check(device.api().memcpyDtoH(guard.data(), from, guardBytes),
                                            "cuMemcpyDtoH"));
    intact &=
        std::all_of(guard.begin(), guard.end(), [](uint8_t byte) { return byte == poisonByte; });
  }
  return {};
}

Stream::~Stream() {
  if (handle)
    (void)device.api().streamDestroy(handle);
}

Status Stream::create() {
  constexpr unsigned nonBlocking = 1;
  return device.api().check(device.api().streamCreate(&handle, nonBlocking), "cuStreamCreate");
}

Status Stream::synchronize() const {
  return device.api().check(device.api().streamSynchronize(handle), "cuStreamSynchronize");
}

ReplayGraph::~ReplayGraph() {
  if (exec)
    (void)device.graphs.destroyExec(exec);
  if (graph)
    (void)device.graphs.destroyGraph(graph);
}

Status ReplayGraph::instantiate() {
  const GraphApi &api = device.graphs;
  SAGE_RETURN_IF_ERROR(
      device.api().check(api.nodes(graph, nullptr, &nodeCount), "cuGraphGetNodes"));
  return device.api().check(api.instantiate(&exec, graph, 0), "cuGraphInstantiateWithFlags");
}

Status ReplayGraph::launch(const Stream &stream) const {
  return device.api().check(device.graphs.launch(exec, stream.handle), "cuGraphLaunch");
}

} // namespace sage::gpu
