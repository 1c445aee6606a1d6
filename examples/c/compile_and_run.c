/* Compiles attention and runs it in one process, without a type of MLIR:

     compile_and_run [--chip=sm_90a] [--device=0]

   With --device the kernels run on that GPU, otherwise their meaning runs on the CPU. */
#include "attention_gpu.h"
#include "sage-c/Compile.h"

#include <string.h>

/* The artifact of causal attention of any lengths. */
static sage_artifact *compile(const char *chip) {
  sage_problem problem;
  memset(&problem, 0, sizeof(problem));
  problem.head_dim = problem.value_head_dim = head_dim;
  problem.mask = SAGE_MASK_CAUSAL_TOP_LEFT;
  for (int i = 0; i < 5; ++i)
    problem.shape[i] = -1;
  sage_compile_options options = {"sage2-8b", 0, NULL, NULL};

  sage_compilation *made = sage_compile(&problem, chip, &options);
  fputs(sage_compilation_diagnostics(made), stderr);
  if (!sage_compilation_succeeded(made))
    exit(1);
  size_t size;
  const char *text = sage_compilation_artifact(made, &size);
  sage_artifact *artifact;
  check(sage_artifact_parse(text, size, &artifact));
  sage_compilation_destroy(made);
  return artifact;
}

int main(int argc, char **argv) {
  const char *chip = "sm_90a";
  int device = -1;
  for (int i = 1; i < argc; ++i) {
    if (strncmp(argv[i], "--chip=", 7) == 0) {
      chip = argv[i] + 7;
    } else if (strncmp(argv[i], "--device=", 9) == 0) {
      device = atoi(argv[i] + 9);
    } else {
      fprintf(stderr, "error: arguments must be --chip=NAME or --device=NUMBER, but got '%s'\n",
              argv[i]);
      return 1;
    }
  }
  sage_artifact *artifact = compile(chip);
  printf("compiled for %s: %zu kernels\n", sage_artifact_chip(artifact),
         sage_artifact_kernel_count(artifact));

  static uint16_t query[query_elements], key[key_elements], value[key_elements],
      output[query_elements];
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
  check(sage_artifact_check_call(artifact, &call));

  sage_program program;
  sage_artifact_program(artifact, &program);
  if (device >= 0)
    run_on_gpu(artifact, call, device, output);
  else
    check(sage_reference_run(&program, &call, NULL, NULL));
  int status = compare(&program.problem, &call, output);
  sage_artifact_destroy(artifact);
  return status;
}
