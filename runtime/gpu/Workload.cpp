//===- Workload.cpp - what a call computes and moves ----------------------===//
#include "Workload.h"

#include "CallEntry.h"
#include "ReferenceMask.h"

#include <set>

namespace sage::gpu {
namespace {

using namespace sage::runtime;

double countPairs(const sage_problem &problem, const Extents &extents) {
  double all = double(extents.queries) * double(extents.keys);
  bool isCausal =
      problem.mask == SAGE_MASK_CAUSAL_TOP_LEFT || problem.mask == SAGE_MASK_CAUSAL_BOTTOM_RIGHT;
  if (problem.mask == SAGE_MASK_NONE)
    return all;
  if (isCausal && !problem.has_window_left && extents.queries == extents.keys)
    return all / 2;
  double pairs = 0;
  for (int64_t query = 0; query < extents.queries; ++query)
    pairs += double(visibleKeys(problem, extents, query).count());
  return pairs;
}

uint64_t bytesOf(const sage_tensor &tensor) {
  uint64_t bytes = tensor.element_type == SAGE_BOOL ? 1 : tensor.element_type == SAGE_F32 ? 4 : 2;
  for (int64_t extent : tensor.extents)
    bytes *= uint64_t(extent);
  return bytes;
}

uint64_t bytesOfCaller(const sage_call &call, uint32_t buffer) {
  switch (buffer) {
  case Query:
    return bytesOf(call.query);
  case Key:
    return bytesOf(call.key);
  case Value:
    return bytesOf(call.value);
  case Output:
    return bytesOf(call.output);
  case Bias:
    return bytesOf(call.bias);
  case Lse:
    return uint64_t(call.query.extents[0] * call.query.extents[1] * call.query.extents[2]) * 4;
  }
  return 0; // lengths, offsets and sinks: a few numbers
}

} // namespace

double countOperations(const sage_problem &problem, const sage_call &call) {
  double pairs = 0;
  for (int64_t i = 0; i < countEntries(problem, call); ++i) {
    CallEntry entry = entryOf(problem, call, i);
    Extents extents{entry.call.query.extents[0], entry.call.query.extents[1],
                    entry.call.key.extents[1], entry.call.query.extents[2],
                    entry.call.key.extents[2]};
    pairs += countPairs(entry.problem, extents) * double(extents.batch * extents.queryHeads);
  }
  return 2 * pairs * double(problem.head_dim + problem.value_head_dim);
}

Status countBytes(const Artifact &artifact, const sage_call &call, size_t kernel,
                  std::optional<uint64_t> &bytes) {
  SymbolValues symbols{};
  SAGE_RETURN_IF_ERROR(checkCallOfArtifact(artifact, call, CallUse::Shapes, symbols));
  for (const LaunchGroup &group : artifact.launches) {
    int64_t turns = 1;
    if (kernel >= group.first && kernel < group.first + group.count)
      SAGE_RETURN_IF_ERROR(group.repeat.evaluate(symbols, turns));
    if (turns != 1)
      return {};
  }
  std::set<uint32_t> buffers;
  for (const Argument &argument : artifact.kernels[kernel].arguments)
    if (argument.kind == Argument::Kind::Pointer || argument.kind == Argument::Kind::TensorMap)
      buffers.insert(argument.buffer);
  uint64_t sum = 0;
  for (uint32_t buffer : buffers) {
    if (buffer < FirstSlice) {
      sum += bytesOfCaller(call, buffer);
      continue;
    }
    int64_t slice;
    SAGE_RETURN_IF_ERROR(artifact.workspace[buffer - FirstSlice].bytes.evaluate(symbols, slice));
    sum += uint64_t(slice);
  }
  bytes = sum;
  return {};
}

} // namespace sage::gpu
