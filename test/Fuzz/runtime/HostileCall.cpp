#include "HostileCall.h"

#include <algorithm>
#include <cmath>

namespace sage::fuzz {
namespace {

/// Extents in the order of the axes; strides dense in a random order of the axes, with padding.
sage_tensor makeTensor(Random &random, sage_element_type type, int64_t batch, int64_t heads,
                       int64_t tokens, int64_t dim) {
  sage_layout layout = random.oneIn(2) ? SAGE_HEAD_MAJOR : SAGE_TOKEN_MAJOR;
  sage_tensor tensor = sage_tensor_dense(nullptr, layout, type, batch, heads, tokens, dim);
  if (random.oneIn(3)) { // a view of a wider tensor
    int64_t factor = random.pick({2, 3, 8});
    for (size_t axis = 0; axis < 3; ++axis)
      tensor.strides[axis] *= factor;
  }
  return tensor;
}

sage_tensor makeBias(Random &random, const sage_problem &problem, const sage_call &call) {
  const int64_t full[] = {call.query.extents[0], call.query.extents[1], call.query.extents[2],
                          call.key.extents[2]};
  sage_tensor bias{};
  bias.element_type = problem.bias_type;
  int64_t stride = random.oneIn(3) ? 2 : 1;
  for (size_t axis = 4; axis-- > 0;) {
    bool repeats = random.oneIn(3);
    bias.extents[axis] = repeats ? 1 : full[axis];
    // Equal for all of an axis, as a caller's expanded tensor has it.
    bias.strides[axis] = random.oneIn(8) ? 0 : stride;
    // Unsigned: extents of a hostile problem overflow.
    stride = int64_t(uint64_t(stride) * uint64_t(std::max<int64_t>(bias.extents[axis], 1)));
  }
  return bias;
}

int32_t hostileNumber(Random &random) { return int32_t(random.pick(boundaryIntegers)); }

} // namespace

std::vector<int32_t> randomLengths(Random &random, int64_t count, int64_t tokens) {
  std::vector<int32_t> lengths;
  for (int64_t i = 0; i < count; ++i)
    lengths.push_back(random.oneIn(10) ? hostileNumber(random)
                                       : int32_t(random.below(size_t(tokens) + 1)));
  return lengths;
}

std::vector<int32_t> randomOffsets(Random &random, int64_t count, int64_t tokens) {
  std::vector<int32_t> offsets = randomLengths(random, count + 1, tokens);
  if (!random.oneIn(6))
    std::sort(offsets.begin(), offsets.end());
  return offsets;
}

sage_call plausibleCall(Random &random, const sage_problem &problem) {
  auto extent = [&](size_t axis, int64_t drawn) {
    return problem.shape[axis] >= 0 ? problem.shape[axis] : drawn;
  };
  int64_t batch = extent(0, problem.packed ? 1 : int64_t(random.below(3))),
          keyHeads = extent(2, 1 + random.below(3)),
          queryHeads = extent(1, int64_t(uint64_t(keyHeads) * (1 + random.below(3)))),
          queries = extent(3, int64_t(random.below(40))), keys = extent(4, random.below(40));
  auto make = [&](int64_t heads, int64_t tokens, int64_t dim) {
    return makeTensor(random, problem.element_type, batch, heads, tokens, dim);
  };
  sage_call call{};
  call.query = make(queryHeads, queries, problem.head_dim);
  call.key = make(keyHeads, keys, problem.head_dim);
  call.value = make(keyHeads, keys, problem.value_head_dim);
  call.output = make(queryHeads, queries, problem.value_head_dim);
  if (problem.has_bias)
    call.bias = makeBias(random, problem, call);
  if (problem.packed)
    call.sequences = int64_t(random.below(5));
  return call;
}

void makeHostile(Random &random, sage_call &call) {
  for (size_t changes = 1 + random.below(3); changes > 0; --changes) {
    sage_tensor *tensors[] = {&call.query, &call.key, &call.value, &call.output};
    sage_tensor &tensor = *random.pick(tensors);
    size_t axis = random.below(4);
    int64_t value = random.pick(boundaryIntegers);
    switch (random.below(9)) {
    case 8:
      call.scale = random.pick({-1.0, 1e-300, 1e300, 0.5, double(NAN), double(INFINITY)});
      break;
    case 6:
      call.bias.strides[axis] = value;
      break;
    case 7:
      if (random.oneIn(2))
        call.bias.extents[axis] = value;
      else
        call.sequences = value;
      break;
    case 0:
    case 1:
      tensor.strides[axis] = value;
      break;
    case 2:
      tensor.extents[axis] = value;
      break;
    case 3: // the same extent in all tensors that share it
      if (axis == 0)
        for (sage_tensor *other : tensors)
          other->extents[0] = value;
      else if (axis == 1 || axis == 2)
        call.key.extents[axis] = call.value.extents[axis] = value;
      else
        call.query.extents[2] = call.output.extents[2] = value;
      break;
    case 4:
      tensor.element_type = sage_element_type(random.pick({-1, 2, 77, INT32_MAX}));
      break;
    default:
      std::swap(tensor.strides[axis], tensor.strides[random.below(4)]);
    }
  }
}

int64_t spanOf(const sage_tensor &tensor) {
  constexpr int64_t limit = 1 << 20;
  __int128 span = 1, count = 1;
  for (size_t axis = 0; axis < 4; ++axis) {
    if (tensor.extents[axis] == 0)
      return 0;
    if (tensor.extents[axis] < 0 || tensor.strides[axis] < 0)
      return -1;
    span += __int128(tensor.extents[axis] - 1) * tensor.strides[axis];
    count = std::min<__int128>(count * tensor.extents[axis], limit + 1);
  }
  return span > limit || count > limit ? -1 : int64_t(span);
}

} // namespace sage::fuzz
