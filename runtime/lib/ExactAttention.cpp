//===- ExactAttention.cpp - attention in float64 --------------------------===//
#include "Reference.h"

#include "HostTensor.h"
#include "ParallelFor.h"

#include <algorithm>
#include <cmath>

namespace sage::runtime {
namespace {

constexpr int64_t rowBlock = 8;
constexpr int64_t keyBlock = 256;

struct ExactOperands {
  Extents extents;
  int64_t dims, valueDims;
  double scale;
  sage_mask mask;
  std::vector<float> query, keyTransposed, value;
};

/// scores[r][j] = scale·Σ_d q·k for `rows` queries and all keys.
void exactScores(const ExactOperands &operands, const float *query, const float *keys, int64_t rows,
                 double *scores) {
  int64_t count = operands.extents.keys;
  std::fill(scores, scores + rows * count, 0.0);
  for (int64_t first = 0; first < count; first += keyBlock) {
    int64_t end = std::min(count, first + keyBlock);
    for (int64_t d = 0; d < operands.dims; ++d) {
      const float *key = keys + d * count;
      for (int64_t r = 0; r < rows; ++r) {
        double q = query[r * operands.dims + d] * operands.scale;
        double *out = scores + r * count;
        for (int64_t j = first; j < end; ++j)
          out[j] += q * double(key[j]);
      }
    }
  }
}

/// Softmax over the first `visible` scores, in place, and its product with V.
void exactRow(const ExactOperands &operands, int64_t visible, double *scores, const float *values,
              double *output, double *lse) {
  std::fill(output, output + operands.valueDims, 0.0);
  if (lse)
    *lse = -INFINITY;
  if (visible == 0)
    return;
  double maximum = *std::max_element(scores, scores + visible);
  double sum = 0;
  for (int64_t j = 0; j < visible; ++j)
    sum += scores[j] = std::exp(scores[j] - maximum);
  for (int64_t j = 0; j < visible; ++j) {
    const float *value = values + j * operands.valueDims;
    for (int64_t d = 0; d < operands.valueDims; ++d)
      output[d] += scores[j] * double(value[d]);
  }
  for (int64_t d = 0; d < operands.valueDims; ++d)
    output[d] /= sum;
  if (lse)
    *lse = maximum + std::log(sum);
}

std::vector<float> transposeHeads(const std::vector<float> &rows, int64_t heads, int64_t tokens,
                                  int64_t dims, int32_t threads) {
  std::vector<float> columns(rows.size());
  parallelFor(heads, threads, [&](int64_t head) {
    int64_t base = head * tokens * dims;
    for (int64_t n = 0; n < tokens; ++n)
      for (int64_t d = 0; d < dims; ++d)
        columns[size_t(base + d * tokens + n)] = rows[size_t(base + n * dims + d)];
  });
  return columns;
}

} // namespace

Status exactAttention(const sage_problem &problem, const sage_call &call,
                      const sage_reference_options &options, double *output, double *lse) {
  SAGE_RETURN_IF_ERROR(checkProblem(problem));
  ExactOperands operands{};
  SAGE_RETURN_IF_ERROR(checkCall(problem, call, CallUse::HostInputs, operands.extents));
  const Extents &extents = operands.extents;
  operands.dims = problem.head_dim;
  operands.valueDims = problem.value_head_dim;
  operands.scale = resolvedScale(problem);
  operands.mask = problem.mask;
  operands.query = loadTensor(call.query, options.threads);
  operands.value = loadTensor(call.value, options.threads);
  operands.keyTransposed =
      transposeHeads(loadTensor(call.key, options.threads), extents.batch * extents.keyHeads,
                     extents.keys, operands.dims, options.threads);

  int64_t blocks = (extents.queries + rowBlock - 1) / rowBlock;
  int64_t tasks = extents.batch * extents.queryHeads * blocks;
  auto task = [&](int64_t index) {
    int64_t head = index / blocks, first = index % blocks * rowBlock;
    int64_t keyHead = head / extents.headGroup();
    int64_t rows = std::min(rowBlock, extents.queries - first);
    int64_t row = head * extents.queries + first;
    std::vector<double> scores(size_t(rows * extents.keys));
    exactScores(operands, operands.query.data() + row * operands.dims,
                operands.keyTransposed.data() + keyHead * operands.dims * extents.keys, rows,
                scores.data());
    for (int64_t r = 0; r < rows; ++r)
      exactRow(operands, visibleKeys(operands.mask, extents, first + r),
               scores.data() + r * extents.keys,
               operands.value.data() + keyHead * extents.keys * operands.valueDims,
               output + (row + r) * operands.valueDims, lse ? lse + row + r : nullptr);
  };
  parallelFor(tasks, options.threads, task, progressOf(options, tasks));
  return {};
}

} // namespace sage::runtime
