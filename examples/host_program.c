/* Calls the function that sage-to-gpu made of examples/attention.mlir (docs/Embedding.md): self
   attention of one batch entry with 8 heads and 1024 tokens. */
#include "sage_mgpu.h"

#include <stdio.h>
#include <stdlib.h>

/* A memref in MLIR's C interface: two pointers, an offset, then extents and strides in elements. */
typedef struct {
  void *allocated, *aligned;
  int64_t offset, extents[4], strides[4];
} memref4;
typedef struct {
  void *allocated, *aligned;
  int64_t offset, extents[3], strides[3];
} memref3;
typedef struct {
  void *allocated, *aligned;
  int64_t offset, extents[1], strides[1];
} memref1;

/* The function is named after the one that had the attention. */
int64_t _mlir_ciface_attention_attention_workspace_bytes(memref4 *query, memref4 *key,
                                                         memref4 *value, memref4 *output,
                                                         memref3 *lse);
void _mlir_ciface_attention_attention(memref4 *query, memref4 *key, memref4 *value, memref4 *output,
                                      memref3 *lse, memref1 *workspace, void *stream);

enum { heads = 8, tokens = 1024, head_dim = 128, elements = heads * tokens * head_dim };

static memref4 tensor(void *memory) {
  memref4 view = {memory,
                  memory,
                  0,
                  {1, heads, tokens, head_dim},
                  {elements, tokens * head_dim, head_dim, 1}};
  return view;
}

int main(void) {
  void *stream = mgpuStreamCreate(); /* any CUstream will do */
  uint16_t *host = malloc(elements * sizeof(uint16_t));
  for (int i = 0; i < elements; ++i)
    host[i] = (uint16_t)(0x3800 + i % 512); /* float16 numbers from 0.5 to 0.75 */
  void *input = mgpuMemAlloc(elements * sizeof(uint16_t), stream, false);
  void *output = mgpuMemAlloc(elements * sizeof(uint16_t), stream, false);
  void *sums = mgpuMemAlloc(heads * tokens * sizeof(float), stream, false);
  mgpuMemcpy(input, host, elements * sizeof(uint16_t), stream);

  memref4 qkv = tensor(input), o = tensor(output);
  memref3 lse = {sums, sums, 0, {1, heads, tokens}, {heads * tokens, tokens, 1}};
  int64_t bytes = _mlir_ciface_attention_attention_workspace_bytes(&qkv, &qkv, &qkv, &o, &lse);
  void *memory = mgpuMemAlloc((uint64_t)bytes, stream, false);
  memref1 workspace = {memory, memory, 0, {bytes}, {1}};
  printf("workspace: %lld bytes\n", (long long)bytes);
  _mlir_ciface_attention_attention(&qkv, &qkv, &qkv, &o, &lse, &workspace, stream);

  mgpuMemcpy(host, output, elements * sizeof(uint16_t), stream);
  mgpuStreamSynchronize(stream);
  printf("done\n");
  mgpuMemFree(memory, stream);
  mgpuMemFree(sums, stream);
  mgpuMemFree(output, stream);
  mgpuMemFree(input, stream);
  mgpuStreamDestroy(stream);
  free(host);
  return 0;
}
