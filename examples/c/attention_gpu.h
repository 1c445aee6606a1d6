/* Launches an artifact on a GPU, for the examples in C. Memory and streams are CUDA's, here by way
 * of libsage_mgpu. */
#ifndef ATTENTION_GPU_H
#define ATTENTION_GPU_H

#include "attention_data.h"
#include "sage_mgpu.h"

/* `elements` numbers of a host tensor in device memory. */
static void *to_device(const void *host, size_t elements, void *stream) {
  void *memory = mgpuMemAlloc(elements * sizeof(uint16_t), stream, false);
  mgpuMemcpy(memory, (void *)host, elements * sizeof(uint16_t), stream);
  return memory;
}

static void run_on_gpu(const sage_artifact *artifact, sage_call call, int device,
                       uint16_t *output) {
  sage_driver *driver;
  sage_module *module;
  check(sage_driver_open(NULL, &driver));
  check(sage_module_load(driver, artifact, device, NULL, &module));
  mgpuSetDefaultDevice(device);
  void *stream = mgpuStreamCreate();
  call.query.data = to_device(call.query.data, query_elements, stream);
  call.key.data = to_device(call.key.data, key_elements, stream);
  call.value.data = to_device(call.value.data, key_elements, stream);
  call.output.data = to_device(call.output.data, query_elements, stream);
  if (call.lse)
    call.lse = mgpuMemAlloc(lse_elements * sizeof(float), stream, false);
  uint64_t bytes;
  check(sage_artifact_workspace_bytes(artifact, &call, &bytes));
  /* The workspace starts at a multiple of 1024 bytes, which an allocation need not. */
  void *workspace = mgpuMemAlloc(bytes + 1023, stream, false);
  void *aligned = (void *)(((uintptr_t)workspace + 1023) / 1024 * 1024);
  check(sage_module_launch(module, &call, stream, aligned, bytes));
  mgpuMemcpy(output, call.output.data, query_elements * sizeof(uint16_t), stream);
  mgpuStreamSynchronize(stream);
  void *memory[] = {call.query.data,  call.key.data, call.value.data,
                    call.output.data, call.lse,      workspace};
  for (int i = 0; i < 6; ++i)
    if (memory[i])
      mgpuMemFree(memory[i], stream);
  mgpuStreamDestroy(stream);
  sage_module_destroy(module);
  sage_driver_close(driver);
}

#endif
