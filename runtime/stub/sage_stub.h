/*===- sage_stub.h - a CUDA driver without a GPU --------------------------===*\
|* libcuda_stub.so exports the driver entry points that the runtime uses. Device *|
|* memory is host memory; kernels do not run, but launches are recorded. These   *|
|* functions set it up and look into it; all are thread safe.                    *|
\*===----------------------------------------------------------------------===*/
#ifndef SAGE_STUB_H
#define SAGE_STUB_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SAGE_STUB_API __attribute__((visibility("default")))

typedef struct sage_stub_launch {
  char kernel[64];
  unsigned grid[3], block[3], shared_bytes;
  void *stream;
  unsigned argument_count;
  unsigned argument_offsets[128]; /* into `arguments` */
  unsigned argument_bytes[128];   /* as the PTX entry declares them */
  unsigned char arguments[4096];
  int overlaps; /* launched with programmatic stream serialization */
} sage_stub_launch;

/* What cuTensorMapEncodeTiled writes here instead of a tensor map: 128 bytes. */
typedef struct sage_stub_tensor_map {
  uint64_t address;
  uint16_t type, rank, swizzle, l2_promotion;
  uint64_t extents[5];
  uint64_t strides[4];
  uint16_t box[5];
  uint16_t unused[15];
} sage_stub_tensor_map;

/* Forgets calls, launches and planned failures; back to one device of compute
   capability 9.0 with a driver of CUDA 12.8. Objects stay. */
SAGE_STUB_API void sage_stub_reset(void);
SAGE_STUB_API void sage_stub_set_devices(int count, int major, int minor);
/* The k-th call (1: the next) of `function` ("cuModuleUnload", …) returns
   `error` and does nothing else. */
SAGE_STUB_API void sage_stub_fail(const char *function, int k, int error);
/* Nonzero: calls are neither counted nor recorded, and allocate nothing. */
SAGE_STUB_API void sage_stub_set_quiet(int quiet);
SAGE_STUB_API int sage_stub_calls(const char *function);
/* Names of all exported driver functions, ended by NULL. */
SAGE_STUB_API const char *const *sage_stub_functions(void);
SAGE_STUB_API size_t sage_stub_launches(void);
/* 0 if there is no such launch. */
SAGE_STUB_API int sage_stub_get_launch(size_t index, sage_stub_launch *launch);
/* Objects that were created and not destroyed: modules, linkers, allocations,
   streams, events, retained contexts. */
SAGE_STUB_API int sage_stub_live_objects(void);
/* Contexts on the calling thread's stack. */
SAGE_STUB_API int sage_stub_context_depth(void);

#ifdef __cplusplus
}
#endif
#endif
