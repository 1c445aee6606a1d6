//===- MaskedCall.cpp - calls with every mask, length and bias ------------===//
#include "MaskedCall.h"

#include "FloatFormats.h"
#include "HostTensor.h"
#include "Random.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace sage::test {
namespace {

int64_t bytesOf(sage_element_type type) { return type == SAGE_BOOL ? 1 : type == SAGE_F32 ? 4 : 2; }

double elementAt(const sage_tensor &tensor, const std::array<int64_t, 4> &index) {
  int64_t offset = 0;
  for (size_t axis = 0; axis < 4; ++axis)
    offset += (tensor.extents[axis] == 1 ? 0 : index[axis]) * tensor.strides[axis];
  const char *place =
      static_cast<const char *>(tensor.data) + offset * bytesOf(tensor.element_type);
  if (tensor.element_type == SAGE_BOOL)
    return *place != 0;
  if (tensor.element_type == SAGE_F32) {
    float value;
    std::memcpy(&value, place, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, place, 2);
  return runtime::decodeElement(tensor.element_type, bits);
}

/// The queries and keys of one batch entry or sequence.
struct Entry {
  int64_t batch, firstQuery, queries, firstKey, keys;
};

std::vector<Entry> entriesOf(const MaskedCall &host) {
  int64_t batch = host.call.query.extents[0], queries = host.call.query.extents[2];
  int64_t keys = host.call.key.extents[2];
  std::vector<Entry> entries;
  if (host.problem.packed)
    for (size_t s = 0; s + 1 < host.queryOffsets.size(); ++s)
      entries.push_back({0, host.queryOffsets[s], host.queryOffsets[s + 1] - host.queryOffsets[s],
                         host.keyOffsets[s], host.keyOffsets[s + 1] - host.keyOffsets[s]});
  else
    for (int64_t b = 0; b < batch; ++b)
      entries.push_back({b, 0, queries, 0,
                         host.problem.key_lengths ? int64_t(host.keyLengths[size_t(b)]) : keys});
  return entries;
}

bool isVisible(const sage_problem &problem, int64_t query, int64_t key, const Entry &entry) {
  if (problem.mask == SAGE_MASK_NONE)
    return true;
  if (problem.mask == SAGE_MASK_CAUSAL_BOTTOM_RIGHT ||
      problem.mask == SAGE_MASK_WINDOW_BOTTOM_RIGHT)
    query += entry.keys - entry.queries;
  bool isCausal =
      problem.mask == SAGE_MASK_CAUSAL_TOP_LEFT || problem.mask == SAGE_MASK_CAUSAL_BOTTOM_RIGHT;
  bool right =
      isCausal ? key <= query : !problem.has_window_right || key <= query + problem.window_right;
  bool left =
      !problem.has_window_left || key >= query - problem.window_left || key < problem.sink_tokens;
  return right && left;
}

void evaluateRow(const MaskedCall &host, const Entry &entry, int64_t head, int64_t query,
                 double *output, double *lse) {
  const sage_problem &problem = host.problem;
  const sage_call &call = host.call;
  int64_t keyHead = head / (call.query.extents[1] / call.key.extents[1]);
  double scale = problem.scale != 0 ? problem.scale : 1 / std::sqrt(double(problem.head_dim));
  std::vector<double> scores, weights;
  for (int64_t j = 0; j < entry.keys; ++j) {
    double score = 0;
    for (int64_t d = 0; d < problem.head_dim; ++d)
      score += elementAt(call.query, {entry.batch, head, entry.firstQuery + query, d}) *
               elementAt(call.key, {entry.batch, keyHead, entry.firstKey + j, d});
    score *= scale;
    if (problem.softcap != 0)
      score = problem.softcap * std::tanh(score / problem.softcap);
    bool visible = isVisible(problem, query, j, entry);
    if (problem.has_bias) {
      double bias =
          elementAt(call.bias, {entry.batch, head, entry.firstQuery + query, entry.firstKey + j});
      if (problem.bias_type == SAGE_BOOL)
        visible &= bias != 0;
      else
        score += bias;
    }
    scores.push_back(visible ? score : -INFINITY);
  }
  std::vector<double> all = scores;
  if (problem.sinks)
    all.push_back(host.sinks[size_t(head)]);
  double maximum = all.empty() ? -INFINITY : *std::max_element(all.begin(), all.end());
  std::fill_n(output, problem.value_head_dim, 0.0);
  *lse = -INFINITY;
  if (maximum == -INFINITY)
    return;
  double sum = 0;
  for (double score : all)
    sum += std::exp(score - maximum);
  *lse = maximum + std::log(sum);
  for (int64_t d = 0; d < problem.value_head_dim; ++d)
    for (int64_t j = 0; j < entry.keys; ++j)
      output[d] += std::exp(scores[size_t(j)] - maximum) / sum *
                   elementAt(call.value, {entry.batch, keyHead, entry.firstKey + j, d});
}

} // namespace

void MaskedCall::addBias(const std::array<int64_t, 4> &extents, uint64_t seed) {
  sage_element_type type = problem.bias_type;
  call.bias = {nullptr, {}, {}, type};
  int64_t count = 1;
  for (size_t axis = 4; axis-- > 0; count *= extents[axis]) {
    call.bias.extents[axis] = extents[axis];
    call.bias.strides[axis] = count;
  }
  bias.resize(size_t(count * bytesOf(type)));
  evaluation::Random random(seed, /*stream=*/9);
  for (int64_t i = 0; i < count; ++i) {
    double value = random.normal(uint64_t(i));
    uint8_t *place = bias.data() + i * bytesOf(type);
    if (type == SAGE_BOOL) {
      *place = value < 1.2;
    } else if (type == SAGE_F32) {
      float narrow = float(value);
      std::memcpy(place, &narrow, 4);
    } else {
      uint16_t bits = runtime::encodeElement(type, float(value));
      std::memcpy(place, &bits, 2);
    }
  }
  call.bias.data = bias.data();
}

void MaskedCall::addKeyLengths(std::vector<int32_t> lengths) {
  keyLengths = std::move(lengths);
  call.key_lengths = keyLengths.data();
}

void MaskedCall::addSinks(std::vector<float> values) {
  sinks = std::move(values);
  call.sinks = sinks.data();
}

void MaskedCall::addOffsets(std::vector<int32_t> queries, std::vector<int32_t> keys) {
  queryOffsets = std::move(queries);
  keyOffsets = std::move(keys);
  call.query_offsets = queryOffsets.data();
  call.key_offsets = keyOffsets.data();
  call.sequences = int64_t(queryOffsets.size()) - 1;
}

std::string MaskedCall::run(const sage_program &program) {
  sage_program whole = program;
  whole.problem = problem;
  return takeMessage(sage_reference_run(&whole, &call, nullptr, nullptr));
}

NaiveResult evaluateNaively(const MaskedCall &host) {
  int64_t heads = host.call.query.extents[1], queries = host.call.query.extents[2];
  int64_t dims = host.problem.value_head_dim;
  NaiveResult result{std::vector<double>(host.output.size()), std::vector<double>(host.lse.size())};
  for (const Entry &entry : entriesOf(host))
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t i = 0; i < entry.queries; ++i) {
        int64_t row = (entry.batch * heads + head) * queries + entry.firstQuery + i;
        evaluateRow(host, entry, head, i, &result.output[size_t(row * dims)],
                    &result.lse[size_t(row)]);
      }
  return result;
}

} // namespace sage::test
