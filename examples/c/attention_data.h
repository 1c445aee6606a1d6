/* Inputs for the examples in C, and what their results are checked with. */
#ifndef ATTENTION_DATA_H
#define ATTENTION_DATA_H

#include "sage/runtime/sage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { batch = 1, query_heads = 4, key_heads = 2, tokens = 200, head_dim = 128 };
enum {
  query_elements = batch * query_heads * tokens * head_dim,
  key_elements = batch * key_heads * tokens * head_dim,
  lse_elements = batch * query_heads * tokens
};

/* Prints a failure with its remedy, and ends the program. */
static void check(sage_status *status) {
  if (!status)
    return;
  fprintf(stderr, "error: %s\n  %s\n", sage_status_get_message(status),
          sage_status_get_remedy(status));
  exit(1);
}

/* Float16 numbers of both signs, from a quarter to one. */
static void fill(uint16_t *values, int count, uint32_t seed) {
  for (int i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    values[i] = (uint16_t)((seed >> 16 & 0x8000) | (0x3400 + (seed >> 8) % 0x800));
  }
}

static double to_double(uint16_t half) {
  int exponent = half >> 10 & 31, mantissa = half & 1023;
  double magnitude = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
  return half & 0x8000 ? -magnitude : magnitude;
}

/* Compares `output` with attention in float64. Returns the exit status of the program. */
static int compare(const sage_problem *problem, const sage_call *call, const uint16_t *output) {
  double *exact = malloc(query_elements * sizeof(double));
  check(sage_exact_run(problem, call, exact, NULL, NULL));
  double product = 0, norm = 0, exact_norm = 0;
  for (int i = 0; i < query_elements; ++i) {
    double value = to_double(output[i]);
    product += value * exact[i];
    norm += value * value;
    exact_norm += exact[i] * exact[i];
  }
  free(exact);
  double similarity = product / sqrt(norm * exact_norm);
  printf("cosine similarity with float64 attention: %.6f\n", similarity);
  if (!(similarity > 0.999)) {
    printf("wrong: it must be above 0.999\n");
    return 1;
  }
  printf("correct\n");
  return 0;
}

#endif
