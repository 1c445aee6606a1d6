//===- SampledRows.cpp - some rows of O against float64 -------------------===//
#include "SampledRows.h"

#include "CallEntry.h"
#include "HostTensor.h"
#include "LoadedArtifact.h"
#include "Random.h"
#include "ReferenceMask.h"

#include <cmath>

namespace sage::gpu {
namespace {

using namespace sage::runtime;

/// Tokens `first` to `first + count - 1` of one head.
sage_tensor partOf(const sage_tensor &from, int64_t batch, int64_t head, int64_t first,
                   int64_t count) {
  sage_tensor part = from;
  part.data = static_cast<uint16_t *>(from.data) + batch * from.strides[0] +
              head * from.strides[1] + first * from.strides[2];
  part.extents[0] = part.extents[1] = 1;
  part.extents[2] = count;
  return part;
}

/// The problem of one row alone: what hides keys is in its bias.
sage_problem problemOfRow(sage_problem problem) {
  std::fill_n(problem.shape, 5, -1);
  problem.mask = SAGE_MASK_NONE;
  problem.has_window_left = problem.has_window_right = 0;
  problem.sink_tokens = 0;
  problem.has_bias = 1;
  problem.bias_type = SAGE_F32;
  return problem;
}

std::vector<float> biasOfRow(const CallEntry &entry, const Extents &extents, int64_t batch,
                             int64_t head, int64_t query) {
  VisibleKeys visible = visibleKeys(entry.problem, extents, query);
  BiasView given(entry.problem, entry.call);
  std::vector<float> bias(static_cast<size_t>(extents.keys));
  for (int64_t key = 0; key < extents.keys; ++key) {
    bool hidden =
        !visible.sees(key) || (given.isBoolean() && given.at(batch, head, query, key) == 0);
    float added = given.isAdded() ? given.at(batch, head, query, key) : 0;
    bias[size_t(key)] = hidden ? -INFINITY : added;
  }
  return bias;
}

/// Appends what a row is and what it should be.
Status addRow(const CallEntry &entry, int64_t row, std::vector<double> &got,
              std::vector<double> &expected) {
  const sage_call &call = entry.call;
  Extents extents{call.query.extents[0], call.query.extents[1], call.key.extents[1],
                  call.query.extents[2], call.key.extents[2]};
  int64_t query = row % extents.queries, head = row / extents.queries % extents.queryHeads;
  int64_t batch = row / extents.queries / extents.queryHeads;
  int64_t keyHead = head / extents.headGroup();
  std::vector<float> bias = biasOfRow(entry, extents, batch, head, query);
  sage_problem problem = problemOfRow(entry.problem);
  sage_call part{};
  part.query = partOf(call.query, batch, head, query, 1);
  part.key = partOf(call.key, batch, keyHead, 0, extents.keys);
  part.value = partOf(call.value, batch, keyHead, 0, extents.keys);
  part.output = partOf(call.output, batch, head, query, 1);
  part.bias = {bias.data(), {1, 1, 1, extents.keys}, {0, 0, 0, 1}, SAGE_F32};
  part.sinks = problem.sinks ? call.sinks + head : nullptr;
  std::vector<double> exact(static_cast<size_t>(problem.value_head_dim));
  SAGE_RETURN_IF_ERROR(fromApi(sage_exact_run(&problem, &part, exact.data(), nullptr, nullptr)));
  expected.insert(expected.end(), exact.begin(), exact.end());
  for (int64_t d = 0; d < problem.value_head_dim; ++d)
    got.push_back(
        decodeElement(problem.element_type, static_cast<const uint16_t *>(part.output.data)[d]));
  return {};
}

} // namespace

Status compareSampledRows(const sage_problem &problem, const HostInputs &inputs,
                          const std::vector<uint16_t> &output, int64_t count,
                          evaluation::Accuracy &accuracy) {
  // Read only: the call names it as an output.
  sage_call call = inputs.call(const_cast<uint16_t *>(output.data()), nullptr);
  int64_t entries = countEntries(problem, call);
  std::vector<double> got, expected;
  evaluation::Random random(1, 0);
  auto draw = [&](int64_t i, int64_t below) {
    return std::min(int64_t(random.uniform(uint64_t(i)) * double(below)), below - 1);
  };
  for (int64_t i = 0; i < count && entries > 0; ++i) {
    CallEntry entry = entryOf(problem, call, draw(2 * i, entries));
    const int64_t *extents = entry.call.query.extents;
    int64_t rows = extents[0] * extents[1] * extents[2];
    if (rows > 0)
      SAGE_RETURN_IF_ERROR(addRow(entry, draw(2 * i + 1, rows), got, expected));
  }
  accuracy = evaluation::compare(got, expected);
  return {};
}

double sampledL1Limit(const sage_recipe &recipe, sage_element_type type) {
  double limit = type == SAGE_BF16 ? 0.01 : 0.002;
  switch (recipe.qk) {
  case SAGE_SCORE_INT8:
    limit += 0.025;
    break;
  case SAGE_SCORE_INT4:
    limit += 0.5;
    break;
  case SAGE_SCORE_E4M3:
    limit += 0.12;
    break;
  case SAGE_SCORE_F16:
    break;
  }
  switch (recipe.pv) {
  case SAGE_VALUE_E4M3:
    return limit + 0.055;
  case SAGE_VALUE_E5M2:
    return limit + 0.11;
  case SAGE_VALUE_F16:
    return limit;
  }
  return limit;
}

} // namespace sage::gpu
