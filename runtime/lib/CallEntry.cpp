//===- CallEntry.cpp - what lengths and sequences mean --------------------===//
#include "CallEntry.h"

#include "ApiBoundary.h"

#include <algorithm>

namespace sage::runtime {
namespace {

int64_t elementBytes(sage_element_type type) {
  return type == SAGE_BOOL ? 1 : type == SAGE_F32 ? 4 : 2;
}

/// `count` indices of one dimension, from `first` on.
void slice(sage_tensor &tensor, size_t axis, int64_t first, int64_t count) {
  tensor.extents[axis] = count;
  if (tensor.data && count > 0)
    tensor.data = static_cast<char *>(tensor.data) +
                  first * tensor.strides[axis] * elementBytes(tensor.element_type);
}

/// Of a bias, extents of 1 repeat.
void sliceBias(sage_tensor &bias, size_t axis, int64_t first, int64_t count) {
  if (bias.extents[axis] != 1)
    slice(bias, axis, first, count);
}

void takeBatch(CallEntry &entry, int64_t batch) {
  sage_call &call = entry.call;
  int64_t keys = call.key.extents[2], heads = call.query.extents[1];
  int64_t length = std::clamp<int64_t>(call.key_lengths[batch], 0, keys);
  entry.rows = {batch * heads * call.query.extents[2], call.query.extents[2]};
  for (sage_tensor *tensor : {&call.query, &call.key, &call.value, &call.output})
    slice(*tensor, 0, batch, 1);
  slice(call.key, 2, 0, length);
  slice(call.value, 2, 0, length);
  if (entry.problem.has_bias) {
    sliceBias(call.bias, 0, batch, 1);
    sliceBias(call.bias, 3, 0, length);
  }
}

struct Range {
  int64_t first, count;
};

Range sequenceRange(const int32_t *offsets, int64_t sequence, int64_t tokens) {
  int64_t first = std::clamp<int64_t>(offsets[sequence], 0, tokens);
  int64_t end = std::clamp<int64_t>(offsets[sequence + 1], first, tokens);
  return {first, end - first};
}

void takeSequence(CallEntry &entry, int64_t sequence) {
  sage_call &call = entry.call;
  Range queries = sequenceRange(call.query_offsets, sequence, call.query.extents[2]);
  Range keys = sequenceRange(call.key_offsets, sequence, call.key.extents[2]);
  entry.rows = {queries.first, call.query.extents[2]};
  slice(call.query, 2, queries.first, queries.count);
  slice(call.output, 2, queries.first, queries.count);
  slice(call.key, 2, keys.first, keys.count);
  slice(call.value, 2, keys.first, keys.count);
  if (entry.problem.has_bias) {
    sliceBias(call.bias, 2, queries.first, queries.count);
    sliceBias(call.bias, 3, keys.first, keys.count);
  }
}

} // namespace

int64_t countEntries(const sage_problem &problem, const sage_call &call) {
  if (problem.packed)
    return call.sequences;
  return problem.key_lengths ? call.query.extents[0] : 1;
}

CallEntry entryOf(const sage_problem &problem, const sage_call &call, int64_t entry) {
  CallEntry result{problem, call, {0, call.query.extents[2]}};
  if (problem.packed)
    takeSequence(result, entry);
  else if (problem.key_lengths)
    takeBatch(result, entry);
  result.call.lse = nullptr;
  if (!hasEntries(problem))
    return result;
  result.problem.key_lengths = result.problem.packed = 0;
  std::fill(std::begin(result.problem.shape), std::end(result.problem.shape), -1);
  result.call.key_lengths = result.call.query_offsets = result.call.key_offsets = nullptr;
  result.call.sequences = 0;
  return result;
}

} // namespace sage::runtime

using namespace sage::runtime;

extern "C" sage_status *sage_call_entry(const sage_problem *problem, const sage_call *call,
                                        int64_t entry, sage_problem *entry_problem,
                                        sage_call *entry_call) {
  return guarded([&]() -> Status {
    SAGE_RETURN_IF_ERROR(checkProblem(*problem));
    Extents extents;
    SAGE_RETURN_IF_ERROR(checkCall(*problem, *call, CallUse::Host, extents));
    int64_t entries = countEntries(*problem, *call);
    if (entry < 0 || entry >= entries)
      return invalidArgument("the entry must be 0 to ", entries - 1, ", but got ", entry);
    CallEntry found = entryOf(*problem, *call, entry);
    *entry_problem = found.problem;
    *entry_call = found.call;
    return {};
  });
}
