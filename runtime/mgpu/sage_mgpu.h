/*===- sage_mgpu.h - what MLIR's gpu-to-llvm calls --------------------------===*\
|* libsage_mgpu.so is for programs that MLIR compiled from Sage's host functions *|
|* (convert-sage-program-to-gpu): the wrappers of the CUDA driver that           *|
|* gpu-to-llvm and the translation of gpu.launch_func call, and the encoder of   *|
|* tensor maps. Nobody calls the mgpu functions by hand, except to set up.       *|
|*                                                                               *|
|* The driver is opened by the first call. Every call runs in the primary        *|
|* context of the default device, which the CUDA runtime and PyTorch use too. A  *|
|* call that fails prints itself and the driver's text to standard error, and    *|
|* aborts. All functions are thread safe.                                        *|
\*===----------------------------------------------------------------------===*/
#ifndef SAGE_MGPU_H
#define SAGE_MGPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SAGE_MGPU_API __attribute__((visibility("default")))

/* Which library is the driver, instead of libcuda.so.1; before any other call. Programs that load
   their kernels as they start (gpu.binary does) find libcuda.so.1 by the loader's search path. */
SAGE_MGPU_API void sage_mgpu_set_driver(const char *path);
/* Device of later calls of this thread; 0 at first. */
SAGE_MGPU_API void mgpuSetDefaultDevice(int32_t device);

enum { SAGE_TENSOR_MAP_U8 = 0, SAGE_TENSOR_MAP_F16 = 1, SAGE_TENSOR_MAP_BF16 = 2 };

/* Writes a CUtensorMap (128 bytes, aligned to 64) that describes the tensor at device `address`.
   `extents` (elements) and `box` (elements of one copy) have `rank` entries, innermost first;
   `strides` (bytes, of the dimensions after the first) one fewer. `swizzle_bytes` is 0, 32, 64 or
   128. Elements outside read as zero; L2 promotion is 256 bytes. */
SAGE_MGPU_API void sage_encode_tensor_map(void *map, int32_t element, int32_t rank, void *address,
                                          const int64_t *extents, const int64_t *strides,
                                          const int32_t *box, int32_t swizzle_bytes);

/* Attention with its artifact in the program (sage-to-runtime-calls). */

/* As sage_tensor, without the type, which is the artifact's problem's. */
typedef struct sage_mgpu_tensor {
  int64_t data; /* the address */
  int64_t extents[4], strides[4];
} sage_mgpu_tensor;

/* As sage_call; addresses of what the problem does not have are 0. */
typedef struct sage_mgpu_attention {
  sage_mgpu_tensor query, key, value, output, bias;
  int64_t lse, key_lengths, sinks, query_offsets, key_offsets, sequences;
} sage_mgpu_attention;

/* Computes on tensors in host memory, and waits: on the default device if the artifact is for it,
   where the library keeps copies only as long as the call; on the CPU reference if there is no
   driver, no device, or one that the artifact is not for. */
SAGE_MGPU_API void sage_mgpu_attend_host(const char *artifact, int64_t bytes,
                                         const sage_mgpu_attention *attention);
/* Enqueues on this thread's stream, on tensors in device memory, and does not wait. The library
   owns the workspace: one for each stream, kept for the next call, freed by
   sage_mgpu_release_workspaces. */
SAGE_MGPU_API void sage_mgpu_attend_device(const char *artifact, int64_t bytes,
                                           const sage_mgpu_attention *attention);
/* Stream of later sage_mgpu_attend_device of this thread (a CUstream, which stays the caller's); at
   first the legacy default stream. */
SAGE_MGPU_API void sage_mgpu_set_stream(void *stream);
/* Waits for the streams that have one. A stream must not be destroyed before. */
SAGE_MGPU_API void sage_mgpu_release_workspaces(void);
/* Where sage_mgpu_attend_host computes with this artifact, for people: a device's name, or why it
   is the CPU. Lives as long as the artifact's text. */
SAGE_MGPU_API const char *sage_mgpu_attend_origin(const char *artifact, int64_t bytes);

/* `size` bytes of a cubin or fatbin; PTX that ends with a zero byte. */
SAGE_MGPU_API void *mgpuModuleLoad(void *data, size_t size);
SAGE_MGPU_API void *mgpuModuleLoadJIT(void *data, int32_t optimization_level);
SAGE_MGPU_API void mgpuModuleUnload(void *module);
SAGE_MGPU_API void *mgpuModuleGetFunction(void *module, const char *name);
SAGE_MGPU_API void mgpuLaunchKernel(void *function, intptr_t grid_x, intptr_t grid_y,
                                    intptr_t grid_z, intptr_t block_x, intptr_t block_y,
                                    intptr_t block_z, int32_t shared_bytes, void *stream,
                                    void **arguments, void **extra, size_t argument_count);

SAGE_MGPU_API void *mgpuStreamCreate(void);
SAGE_MGPU_API void mgpuStreamSynchronize(void *stream);
SAGE_MGPU_API void mgpuStreamDestroy(void *stream);

/* Device memory. `host_shared` memory is not offered: an error. */
SAGE_MGPU_API void *mgpuMemAlloc(uint64_t bytes, void *stream, bool host_shared);
/* Waits for `stream` first, so that its kernels may still use the memory. */
SAGE_MGPU_API void mgpuMemFree(void *memory, void *stream);
SAGE_MGPU_API void mgpuMemcpy(void *to, void *from, size_t bytes, void *stream);

#ifdef __cplusplus
}
#endif
#endif
