/* Runs an artifact that sage-compile wrote, or without one a named recipe. Needs the runtime only:

     run_artifact [attention.ptx] [--device=0]

   With --device the artifact's kernels run on that GPU, otherwise their meaning runs on the CPU. */
#include "attention_gpu.h"

#include <string.h>

int main(int argc, char **argv) {
  sage_program program;
  sage_artifact *artifact = NULL;
  int device = -1;
  for (int i = 1; i < argc; ++i) {
    if (strncmp(argv[i], "--device=", 9) == 0)
      device = atoi(argv[i] + 9);
    else
      check(sage_artifact_load(argv[i], &artifact));
  }
  if (artifact) {
    sage_artifact_program(artifact, &program);
    printf("compiled for %s by %s\n", sage_artifact_chip(artifact),
           sage_artifact_producer(artifact));
  } else {
    check(sage_program_named("sage2-8b", SAGE_WGMMA, &program));
    program.problem.lse = 0;
  }
  printf("recipe %s, key tile %lld\n", program.recipe.name, (long long)program.geometry.key_tile);

  static uint16_t query[query_elements], key[key_elements], value[key_elements],
      output[query_elements];
  static float lse[lse_elements];
  fill(query, query_elements, 1);
  fill(key, key_elements, 2);
  fill(value, key_elements, 3);
  sage_call call;
  memset(&call, 0, sizeof(call));
  call.query =
      sage_tensor_dense(query, SAGE_HEAD_MAJOR, SAGE_F16, batch, query_heads, tokens, head_dim);
  call.key = sage_tensor_dense(key, SAGE_HEAD_MAJOR, SAGE_F16, batch, key_heads, tokens, head_dim);
  call.value =
      sage_tensor_dense(value, SAGE_HEAD_MAJOR, SAGE_F16, batch, key_heads, tokens, head_dim);
  call.output =
      sage_tensor_dense(output, SAGE_HEAD_MAJOR, SAGE_F16, batch, query_heads, tokens, head_dim);
  if (program.problem.lse)
    call.lse = lse;
  if (device < 0) {
    check(sage_reference_run(&program, &call, NULL, NULL));
  } else if (artifact) {
    run_on_gpu(artifact, call, device, output);
  } else {
    fprintf(stderr, "error: --device must come with an artifact\n");
    return 1;
  }
  int status = compare(&program.problem, &call, output);
  sage_artifact_destroy(artifact);
  return status;
}
