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
  double scale, softcap; // 0: none
  std::vector<float> query, keyTransposed, value;
};

/// What one row of scores becomes.
struct ExactRow {
  double *scores;
  const float *values;
  double *output;
  double *lse; // may be null
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

/// N13 and N14 of one row; hidden scores become -∞.
void adjustRow(const ExactOperands &operands, const VisibleKeys &visible, const BiasView &bias,
               int64_t batch, int64_t head, int64_t query, double *scores) {
  for (int64_t j = 0; j < operands.extents.keys; ++j) {
    bool hidden = !visible.sees(j) || (bias.isBoolean() && bias.at(batch, head, query, j) == 0);
    if (operands.softcap != 0)
      scores[j] = operands.softcap * std::tanh(scores[j] / operands.softcap);
    if (bias.isAdded())
      scores[j] += double(bias.at(batch, head, query, j));
    if (hidden)
      scores[j] = -INFINITY;
  }
}

/// Softmax over the scores and the sink (-∞ for none), in place, and its product with V.
void exactRow(const ExactOperands &operands, double sink, const ExactRow &row) {
  int64_t keys = operands.extents.keys;
  std::fill(row.output, row.output + operands.valueDims, 0.0);
  if (row.lse)
    *row.lse = -INFINITY;
  double maximum = sink;
  for (int64_t j = 0; j < keys; ++j)
    maximum = std::isnan(row.scores[j]) ? row.scores[j] : std::max(maximum, row.scores[j]);
  if (maximum == -INFINITY)
    return;
  double sum = std::exp(sink - maximum);
  for (int64_t j = 0; j < keys; ++j)
    sum += row.scores[j] = std::exp(row.scores[j] - maximum);
  for (int64_t j = 0; j < keys; ++j) {
    if (row.scores[j] == 0)
      continue;
    const float *value = row.values + j * operands.valueDims;
    for (int64_t d = 0; d < operands.valueDims; ++d)
      row.output[d] += row.scores[j] * double(value[d]);
  }
  for (int64_t d = 0; d < operands.valueDims; ++d)
    row.output[d] /= sum;
  if (row.lse)
    *row.lse = maximum + std::log(sum);
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

/// A call without lengths; rows of `output` and `lse` lie as `rows` says.
Status exactEntry(const CallEntry &entry, const sage_reference_options &options, double *output,
                  double *lse) {
  const sage_problem &problem = entry.problem;
  const sage_call &call = entry.call;
  ExactOperands operands{};
  SAGE_RETURN_IF_ERROR(checkCall(problem, call, CallUse::HostInputs, operands.extents));
  const Extents &extents = operands.extents;
  operands.dims = problem.head_dim;
  operands.valueDims = problem.value_head_dim;
  operands.scale = resolvedScale(problem, call);
  operands.softcap = problem.softcap;
  operands.query = loadTensor(call.query, options.threads);
  operands.value = loadTensor(call.value, options.threads);
  operands.keyTransposed =
      transposeHeads(loadTensor(call.key, options.threads), extents.batch * extents.keyHeads,
                     extents.keys, operands.dims, options.threads);

  BiasView bias(problem, call);
  int64_t blocks = (extents.queries + rowBlock - 1) / rowBlock;
  int64_t tasks = extents.batch * extents.queryHeads * blocks;
  auto task = [&](int64_t index) {
    int64_t head = index / blocks, first = index % blocks * rowBlock;
    int64_t keyHead = head / extents.headGroup(), queryHead = head % extents.queryHeads;
    int64_t count = std::min(rowBlock, extents.queries - first);
    std::vector<double> scores(size_t(count * extents.keys));
    exactScores(operands, operands.query.data() + (head * extents.queries + first) * operands.dims,
                operands.keyTransposed.data() + keyHead * operands.dims * extents.keys, count,
                scores.data());
    for (int64_t query = first; query < first + count; ++query) {
      int64_t row = entry.rows.first + head * entry.rows.headStride + query;
      double *rowScores = scores.data() + (query - first) * extents.keys;
      adjustRow(operands, visibleKeys(problem, extents, query), bias, head / extents.queryHeads,
                queryHead, query, rowScores);
      exactRow(operands, problem.sinks ? double(call.sinks[queryHead]) : -INFINITY,
               {rowScores, operands.value.data() + keyHead * extents.keys * operands.valueDims,
                output + row * operands.valueDims, lse ? lse + row : nullptr});
    }
  };
  parallelFor(tasks, options.threads, task, progressOf(options, tasks));
  return {};
}

} // namespace

Status exactAttention(const sage_problem &problem, const sage_call &call,
                      const sage_reference_options &options, double *output, double *lse) {
  SAGE_RETURN_IF_ERROR(checkProblem(problem));
  Extents extents;
  SAGE_RETURN_IF_ERROR(checkCall(problem, call, CallUse::HostInputs, extents));
  int64_t entries = countEntries(problem, call);
  sage_reference_options inner = options;
  if (hasEntries(problem))
    inner.progress = nullptr;
  for (int64_t i = 0; i < entries; ++i) {
    SAGE_RETURN_IF_ERROR(exactEntry(entryOf(problem, call, i), inner, output, lse));
    if (options.progress && !inner.progress)
      options.progress(options.progress_context, i + 1, entries);
  }
  return {};
}

} // namespace sage::runtime
