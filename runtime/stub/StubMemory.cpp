//===- StubMemory.cpp - memory, streams and events ------------------------===//
#include "StubState.h"

#include <cstdlib>
#include <cstring>

using namespace sage::stub;
namespace cuda = sage::runtime::cuda;

#define EXPORT SAGE_STUB_API cuda::Result

static void *hostPointer(cuda::DevicePointer pointer) {
  return reinterpret_cast<void *>(uintptr_t(pointer));
}

/// Streams and events are a byte each: only that they are alive matters.
template <typename Handle> static cuda::Result createObject(Handle *handle) {
  void *object = std::malloc(1);
  addLive(object);
  *handle = static_cast<Handle>(object);
  return cuda::Success;
}

static cuda::Result destroyObject(void *object) {
  if (!removeLive(object))
    return cuda::ErrorInvalidValue;
  std::free(object);
  return cuda::Success;
}

extern "C" {

EXPORT cuMemAlloc_v2(cuda::DevicePointer *pointer, size_t bytes) {
  SAGE_STUB_ENTER("cuMemAlloc_v2");
  SAGE_STUB_NEEDS_CONTEXT();
  constexpr size_t alignment = 256; // what the driver promises
  if (bytes == 0)
    return cuda::ErrorInvalidValue;
  void *memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (!memory)
    return cuda::ErrorOutOfMemory;
  addLive(memory);
  *pointer = uint64_t(reinterpret_cast<uintptr_t>(memory));
  return cuda::Success;
}

EXPORT cuMemFree_v2(cuda::DevicePointer pointer) {
  SAGE_STUB_ENTER("cuMemFree_v2");
  return destroyObject(hostPointer(pointer));
}

EXPORT cuMemcpyHtoD_v2(cuda::DevicePointer to, const void *from, size_t bytes) {
  SAGE_STUB_ENTER("cuMemcpyHtoD_v2");
  std::memcpy(hostPointer(to), from, bytes);
  return cuda::Success;
}

EXPORT cuMemcpyDtoH_v2(void *to, cuda::DevicePointer from, size_t bytes) {
  SAGE_STUB_ENTER("cuMemcpyDtoH_v2");
  std::memcpy(to, hostPointer(from), bytes);
  return cuda::Success;
}

EXPORT cuMemcpyAsync(cuda::DevicePointer to, cuda::DevicePointer from, size_t bytes, cuda::Stream) {
  SAGE_STUB_ENTER("cuMemcpyAsync");
  std::memcpy(hostPointer(to), hostPointer(from), bytes);
  return cuda::Success;
}

EXPORT cuMemsetD8_v2(cuda::DevicePointer to, unsigned char value, size_t bytes) {
  SAGE_STUB_ENTER("cuMemsetD8_v2");
  std::memset(hostPointer(to), value, bytes);
  return cuda::Success;
}

EXPORT cuStreamCreate(cuda::Stream *stream, unsigned) {
  SAGE_STUB_ENTER("cuStreamCreate");
  return createObject(reinterpret_cast<void **>(stream));
}

EXPORT cuStreamSynchronize(cuda::Stream) {
  SAGE_STUB_ENTER("cuStreamSynchronize");
  return cuda::Success;
}

EXPORT cuStreamDestroy_v2(cuda::Stream stream) {
  SAGE_STUB_ENTER("cuStreamDestroy_v2");
  return destroyObject(stream);
}

EXPORT cuEventCreate(cuda::Event *event, unsigned) {
  SAGE_STUB_ENTER("cuEventCreate");
  return createObject(reinterpret_cast<void **>(event));
}

EXPORT cuEventRecord(cuda::Event, cuda::Stream) {
  SAGE_STUB_ENTER("cuEventRecord");
  return cuda::Success;
}

EXPORT cuEventSynchronize(cuda::Event) {
  SAGE_STUB_ENTER("cuEventSynchronize");
  return cuda::Success;
}

EXPORT cuEventElapsedTime(float *milliseconds, cuda::Event, cuda::Event) {
  SAGE_STUB_ENTER("cuEventElapsedTime");
  *milliseconds = 1.0f;
  return cuda::Success;
}

EXPORT cuEventDestroy_v2(cuda::Event event) {
  SAGE_STUB_ENTER("cuEventDestroy_v2");
  return destroyObject(event);
}

} // extern "C"
