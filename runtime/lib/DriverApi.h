//===- DriverApi.h - the CUDA driver's entry points -------------*- C++ -*-===//
// Declared here, so that the runtime builds without the CUDA toolkit. Names,
// signatures and numbers are the driver's ABI ("CUDA Driver API" reference).
//===----------------------------------------------------------------------===//
#ifndef SAGE_RUNTIME_LIB_DRIVERAPI_H
#define SAGE_RUNTIME_LIB_DRIVERAPI_H

#include "Status.h"

#include <cstddef>
#include <cstdint>

namespace sage::runtime::cuda {

using Result = int;
using Device = int;
using DevicePointer = uint64_t;
using Context = struct ContextTag *;
using Module = struct ModuleTag *;
using Function = struct FunctionTag *;
using Stream = struct StreamTag *;
using Event = struct EventTag *;
using LinkState = struct LinkStateTag *;

struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

/// CUlaunchConfig and CUlaunchAttribute, whose value is a union of 64 bytes.
struct LaunchAttribute {
  int id, unused;
  union {
    int programmaticStreamSerialization;
    uint8_t bytes[64];
  };
};
struct LaunchConfig {
  unsigned grid[3], block[3], sharedBytes;
  Stream stream;
  LaunchAttribute *attributes;
  unsigned attributeCount;
};

enum : Result {
  Success = 0,
  ErrorInvalidValue = 1,
  ErrorOutOfMemory = 2,
  ErrorNoDevice = 100,
  ErrorInvalidImage = 200,
  ErrorInvalidContext = 201,
  ErrorNoBinaryForGpu = 209,
  ErrorInvalidPtx = 218,
  ErrorUnsupportedPtxVersion = 222,
  ErrorNotFound = 500,
  ErrorIllegalAddress = 700
};
enum DeviceAttribute : int {
  MultiprocessorCount = 16,
  ComputeCapabilityMajor = 75,
  ComputeCapabilityMinor = 76,
  MaxSharedMemoryPerBlockOptin = 97
};
enum FunctionAttribute : int { MaxDynamicSharedSizeBytes = 8 };
enum JitOption : int { JitErrorLogBuffer = 5, JitErrorLogBufferSizeBytes = 6 };
enum JitInputType : int { JitInputPtx = 1 };
enum TensorMapDataType : int { TensorMapUint8 = 0, TensorMapFloat16 = 6, TensorMapBfloat16 = 9 };
enum TensorMapInterleave : int { InterleaveNone = 0 };
enum TensorMapSwizzle : int { SwizzleNone, Swizzle32B, Swizzle64B, Swizzle128B };
enum TensorMapL2Promotion : int { L2Promotion256B = 3 };
enum TensorMapOobFill : int { OobFillZero = 0 };
enum LaunchAttributeId : int { ProgrammaticStreamSerialization = 6 };

// member, exported name, parameters
#define SAGE_DRIVER_FUNCTIONS(X)                                                                   \
  X(init, "cuInit", (unsigned flags))                                                              \
  X(driverGetVersion, "cuDriverGetVersion", (int *version))                                        \
  X(getErrorName, "cuGetErrorName", (Result error, const char **name))                             \
  X(getErrorString, "cuGetErrorString", (Result error, const char **text))                         \
  X(deviceGetCount, "cuDeviceGetCount", (int *count))                                              \
  X(deviceGet, "cuDeviceGet", (Device * device, int ordinal))                                      \
  X(deviceGetName, "cuDeviceGetName", (char *name, int length, Device device))                     \
  X(deviceTotalMem, "cuDeviceTotalMem_v2", (size_t *bytes, Device device))                         \
  X(deviceGetAttribute, "cuDeviceGetAttribute",                                                    \
    (int *value, DeviceAttribute attribute, Device device))                                        \
  X(deviceGetPciBusId, "cuDeviceGetPCIBusId", (char *text, int length, Device device))             \
  X(primaryCtxRetain, "cuDevicePrimaryCtxRetain", (Context * context, Device device))              \
  X(primaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", (Device device))                            \
  X(ctxPushCurrent, "cuCtxPushCurrent_v2", (Context context))                                      \
  X(ctxPopCurrent, "cuCtxPopCurrent_v2", (Context * context))                                      \
  X(moduleLoadDataEx, "cuModuleLoadDataEx",                                                        \
    (Module * module, const void *image, unsigned optionCount, JitOption *options,                 \
     void **optionValues))                                                                         \
  X(moduleGetFunction, "cuModuleGetFunction",                                                      \
    (Function * function, Module module, const char *name))                                        \
  X(moduleUnload, "cuModuleUnload", (Module module))                                               \
  X(funcSetAttribute, "cuFuncSetAttribute",                                                        \
    (Function function, FunctionAttribute attribute, int value))                                   \
  X(linkCreate, "cuLinkCreate_v2",                                                                 \
    (unsigned optionCount, JitOption *options, void **optionValues, LinkState *state))             \
  X(linkAddData, "cuLinkAddData_v2",                                                               \
    (LinkState state, JitInputType type, void *data, size_t size, const char *name,                \
     unsigned optionCount, JitOption *options, void **optionValues))                               \
  X(linkComplete, "cuLinkComplete", (LinkState state, void **cubin, size_t *size))                 \
  X(linkDestroy, "cuLinkDestroy", (LinkState state))                                               \
  X(launchKernel, "cuLaunchKernel",                                                                \
    (Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,           \
     unsigned blockY, unsigned blockZ, unsigned sharedBytes, Stream stream, void **arguments,      \
     void **extra))                                                                                \
  X(memAlloc, "cuMemAlloc_v2", (DevicePointer * pointer, size_t bytes))                            \
  X(memFree, "cuMemFree_v2", (DevicePointer pointer))                                              \
  X(memcpyHtoD, "cuMemcpyHtoD_v2", (DevicePointer to, const void *from, size_t bytes))             \
  X(memcpyDtoH, "cuMemcpyDtoH_v2", (void *to, DevicePointer from, size_t bytes))                   \
  X(memcpyAsync, "cuMemcpyAsync",                                                                  \
    (DevicePointer to, DevicePointer from, size_t bytes, Stream stream))                           \
  X(memsetD8, "cuMemsetD8_v2", (DevicePointer to, unsigned char value, size_t bytes))              \
  X(streamCreate, "cuStreamCreate", (Stream * stream, unsigned flags))                             \
  X(streamSynchronize, "cuStreamSynchronize", (Stream stream))                                     \
  X(streamDestroy, "cuStreamDestroy_v2", (Stream stream))                                          \
  X(eventCreate, "cuEventCreate", (Event * event, unsigned flags))                                 \
  X(eventRecord, "cuEventRecord", (Event event, Stream stream))                                    \
  X(eventSynchronize, "cuEventSynchronize", (Event event))                                         \
  X(eventElapsedTime, "cuEventElapsedTime", (float *milliseconds, Event start, Event end))         \
  X(eventDestroy, "cuEventDestroy_v2", (Event event))

// Not in every driver: launches with attributes since CUDA 11.8, tensor maps since 12.0, parameters
// since 12.4.
#define SAGE_DRIVER_OPTIONAL_FUNCTIONS(X)                                                          \
  X(launchKernelEx, "cuLaunchKernelEx",                                                            \
    (const LaunchConfig *config, Function function, void **arguments, void **extra))               \
  X(funcGetParamInfo, "cuFuncGetParamInfo",                                                        \
    (Function function, size_t index, size_t *offset, size_t *bytes))                              \
  X(tensorMapEncodeTiled, "cuTensorMapEncodeTiled",                                                \
    (TensorMap * map, TensorMapDataType type, uint32_t rank, void *address,                        \
     const uint64_t *extents, const uint64_t *strides, const uint32_t *box,                        \
     const uint32_t *elementStrides, TensorMapInterleave interleave, TensorMapSwizzle swizzle,     \
     TensorMapL2Promotion l2Promotion, TensorMapOobFill oobFill))

} // namespace sage::runtime::cuda

namespace sage::runtime {

/// The opened driver library.
class DriverApi {
public:
  DriverApi() = default;
  DriverApi(const DriverApi &) = delete;
  DriverApi &operator=(const DriverApi &) = delete;
  ~DriverApi();

  /// `path` may be null: libcuda.so.1.
  Status open(const char *path);

  /// The failure of a driver call, with the driver's own text. `what` says what
  /// it was for, e.g. "cuModuleGetFunction(sage_attend)".
  Status check(cuda::Result result, const std::string &what) const {
    return result == cuda::Success ? Status() : describe(result, what);
  }
  Status check(cuda::Result result, const char *what) const {
    return result == cuda::Success ? Status() : describe(result, what);
  }

#define SAGE_DRIVER_MEMBER(member, name, parameters) cuda::Result(*member) parameters = nullptr;
  // The parameter lists above name the driver's types.
  using Result = cuda::Result;
  using Device = cuda::Device;
  using DevicePointer = cuda::DevicePointer;
  using Context = cuda::Context;
  using Module = cuda::Module;
  using Function = cuda::Function;
  using Stream = cuda::Stream;
  using Event = cuda::Event;
  using LinkState = cuda::LinkState;
  using TensorMap = cuda::TensorMap;
  using LaunchConfig = cuda::LaunchConfig;
  using DeviceAttribute = cuda::DeviceAttribute;
  using FunctionAttribute = cuda::FunctionAttribute;
  using JitOption = cuda::JitOption;
  using JitInputType = cuda::JitInputType;
  using TensorMapDataType = cuda::TensorMapDataType;
  using TensorMapInterleave = cuda::TensorMapInterleave;
  using TensorMapSwizzle = cuda::TensorMapSwizzle;
  using TensorMapL2Promotion = cuda::TensorMapL2Promotion;
  using TensorMapOobFill = cuda::TensorMapOobFill;
  SAGE_DRIVER_FUNCTIONS(SAGE_DRIVER_MEMBER)
  SAGE_DRIVER_OPTIONAL_FUNCTIONS(SAGE_DRIVER_MEMBER)
#undef SAGE_DRIVER_MEMBER

private:
  Status describe(cuda::Result result, const std::string &what) const;

  void *library = nullptr;
};

} // namespace sage::runtime

#endif
