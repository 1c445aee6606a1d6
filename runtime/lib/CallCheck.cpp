//===- CallCheck.cpp - a call against its problem -------------------------===//
#include "CallCheck.h"

#include "MaskOperands.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace sage::runtime {
namespace {

/// 16 bytes: what kernels load at once, and what tensor maps ask of strides.
constexpr uint64_t accessAlignment = 16;
constexpr int64_t elementBytes = 2;

struct NamedTensor {
  const char *name;
  const sage_tensor *tensor;
  Symbol firstStride, alignment;
};

std::array<NamedTensor, 4> tensorsOf(const sage_call &call) {
  return {{{"query", &call.query, Symbol::QueryB, Symbol::QueryAlign},
           {"key", &call.key, Symbol::KeyB, Symbol::KeyAlign},
           {"value", &call.value, Symbol::ValueB, Symbol::ValueAlign},
           {"output", &call.output, Symbol::OutputB, Symbol::OutputAlign}}};
}

Status checkExtent(const char *tensor, const char *axis, int64_t got, int64_t wanted) {
  if (got == wanted)
    return {};
  return invalidArgument(tensor, ".extents: ", axis, " must be ", wanted, ", but got ", got);
}

bool isEmpty(const sage_tensor &tensor) {
  for (int64_t extent : tensor.extents)
    if (extent == 0)
      return true;
  return false;
}

/// The address of the last element must be computable in 64 bits.
Status checkSpan(const char *name, const sage_tensor &tensor) {
  int64_t span = 0;
  for (size_t axis = 0; axis < 4; ++axis) {
    int64_t steps = tensor.extents[axis] > 0 ? tensor.extents[axis] - 1 : 0;
    int64_t reach;
    if (__builtin_mul_overflow(steps, tensor.strides[axis], &reach) ||
        __builtin_add_overflow(span, reach, &span) || span > INT64_MAX / 16)
      return invalidArgument(name, ": extents times strides overflow");
  }
  int64_t elements = 1;
  for (int64_t extent : tensor.extents)
    if (__builtin_mul_overflow(elements, extent, &elements) || elements > INT64_MAX / 16)
      return invalidArgument(name, ": the extents' product overflows");
  return {};
}

Status checkStrides(const NamedTensor &named) {
  const sage_tensor &tensor = *named.tensor;
  if (isEmpty(tensor))
    return {};
  static constexpr std::array<const char *, 3> axes = {"batch", "head", "token"};
  if (tensor.strides[3] != 1 && tensor.extents[3] > 1)
    return invalidArgument(named.name,
                           ": the head dim must be contiguous "
                           "(stride 1), but got stride ",
                           tensor.strides[3])
        .withRemedy("make the tensor contiguous in its last dimension");
  bool written = named.firstStride == Symbol::OutputB;
  for (size_t axis = 0; axis < 3; ++axis) {
    int64_t stride = tensor.strides[axis];
    if (tensor.extents[axis] <= 1)
      continue;
    if (stride < (written ? 1 : 0))
      return invalidArgument(named.name, ": the ", axes[axis], " stride must be ",
                             written ? "positive" : "≥ 0", ", but got ", stride);
  }
  return {};
}

/// Elements that are written must have addresses of their own. Sufficient: ordered by stride, every
/// axis steps over all that the axes before it reach; views of larger tensors are so.
Status checkNoOverlap(const NamedTensor &named) {
  const sage_tensor &tensor = *named.tensor;
  if (isEmpty(tensor) || named.firstStride != Symbol::OutputB)
    return {};
  std::array<size_t, 4> order = {0, 1, 2, 3};
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return tensor.strides[a] < tensor.strides[b]; });
  int64_t reach = 0; // inside 64 bits: checkSpan
  for (size_t axis : order) {
    if (tensor.extents[axis] == 1)
      continue;
    if (tensor.strides[axis] <= reach)
      return invalidArgument(named.name, ": strides must keep elements apart, but got ",
                             tensor.strides[0], ", ", tensor.strides[1], ", ", tensor.strides[2],
                             " and ", tensor.strides[3])
          .withRemedy("pass a tensor whose elements do not overlap");
    reach += (tensor.extents[axis] - 1) * tensor.strides[axis];
  }
  return {};
}

Status checkPointer(const NamedTensor &named) {
  const sage_tensor &tensor = *named.tensor;
  if (isEmpty(tensor))
    return {};
  auto address = reinterpret_cast<uintptr_t>(tensor.data);
  if (address == 0)
    return invalidArgument(named.name, ".data must not be NULL");
  if (address % elementBytes != 0)
    return invalidArgument(named.name, ".data must be aligned to ", elementBytes, " bytes, but is ",
                           address % elementBytes, " bytes past that");
  return {};
}

/// The largest power of two up to 16 that divides the address and the strides
/// of extents above 1, in bytes.
uint64_t alignmentOf(const sage_tensor &tensor) {
  if (isEmpty(tensor))
    return accessAlignment;
  uint64_t bits = accessAlignment | reinterpret_cast<uintptr_t>(tensor.data);
  for (size_t axis = 0; axis < 3; ++axis)
    if (tensor.extents[axis] > 1)
      bits |= uint64_t(tensor.strides[axis]) * elementBytes;
  return bits & (~bits + 1);
}

/// Of a program that does not ask how a tensor is aligned.
Status requireAlignment(const NamedTensor &named) {
  static constexpr std::array<const char *, 3> axes = {"batch", "head", "token"};
  const sage_tensor &tensor = *named.tensor;
  uint64_t past = reinterpret_cast<uintptr_t>(tensor.data) % accessAlignment;
  if (past != 0)
    return invalidArgument(named.name, ".data must be aligned to ", accessAlignment,
                           " bytes (the artifact takes no other), but is ", past,
                           " bytes past that")
        .withRemedy("copy the tensor into an aligned one");
  size_t axis = 0;
  while (axis < 2 && (tensor.extents[axis] <= 1 ||
                      tensor.strides[axis] * elementBytes % int64_t(accessAlignment) == 0))
    ++axis;
  return invalidArgument(named.name, ": the ", axes[axis],
                         " stride must be a multiple of 8 elements (16 bytes; the artifact takes "
                         "no other), but got ",
                         tensor.strides[axis])
      .withRemedy("copy the tensor into an aligned one");
}

Status checkShape(const sage_problem &problem, const Extents &extents) {
  const std::array<int64_t, 5> got = {extents.batch, extents.queryHeads, extents.keyHeads,
                                      extents.queries, extents.keys};
  for (size_t i = 0; i < 5; ++i)
    if (problem.shape[i] != -1 && problem.shape[i] != got[i])
      return invalidArgument(symbolNames[i], " must be ", problem.shape[i], ", but got ", got[i])
          .withRemedy("the artifact was compiled for this extent: compile one "
                      "for yours, or with a dynamic extent");
  bool grouped = extents.keyHeads > 0 && extents.queryHeads % extents.keyHeads == 0;
  if (!grouped && extents.queryHeads != 0)
    return invalidArgument("query heads must be a multiple of key heads, but "
                           "got ",
                           extents.queryHeads, " and ", extents.keyHeads);
  return {};
}

/// Spec P3; kernels take a float32.
Status checkScale(const sage_call &call) {
  float scale = static_cast<float>(call.scale);
  if (call.scale == 0 || (scale > 0 && std::isfinite(scale)))
    return {};
  return invalidArgument("scale must be finite and positive as a float32 number, or 0 for the "
                         "problem's, but got ",
                         call.scale);
}

Status checkLse(const sage_problem &problem, const sage_call &call, const Extents &extents) {
  bool empty = extents.batch == 0 || extents.queryHeads == 0 || extents.queries == 0;
  if (problem.lse && !call.lse && !empty)
    return invalidArgument("lse must not be NULL: the artifact writes it")
        .withRemedy("pass B×Hq×Nq float32, or compile without the "
                    "log-sum-exp");
  if (!problem.lse && call.lse)
    return invalidArgument("lse must be NULL: the artifact does not write it")
        .withRemedy("compile with the log-sum-exp");
  if (reinterpret_cast<uintptr_t>(call.lse) % sizeof(float) != 0)
    return invalidArgument("lse must be aligned to 4 bytes");
  return {};
}

} // namespace

Status checkCall(const sage_problem &problem, const sage_call &call, CallUse use,
                 Extents &extents) {
  extents = {call.query.extents[0], call.query.extents[1], call.key.extents[1],
             call.query.extents[2], call.key.extents[2]};
  const std::array<std::array<int64_t, 4>, 4> wanted = {{
      {extents.batch, extents.queryHeads, extents.queries, problem.head_dim},
      {extents.batch, extents.keyHeads, extents.keys, problem.head_dim},
      {extents.batch, extents.keyHeads, extents.keys, problem.value_head_dim},
      {extents.batch, extents.queryHeads, extents.queries, problem.value_head_dim},
  }};
  static constexpr std::array<const char *, 4> axes = {"batch", "heads", "tokens", "head dim"};
  const auto tensors = tensorsOf(call);
  size_t count = use == CallUse::HostInputs ? 3 : 4;
  for (size_t i = 0; i < count; ++i) {
    const NamedTensor &named = tensors[i];
    for (size_t axis = 0; axis < 4; ++axis) {
      if (named.tensor->extents[axis] < 0)
        return invalidArgument(named.name, ".extents: ", axes[axis],
                               " must be at least 0, but got ", named.tensor->extents[axis]);
      SAGE_RETURN_IF_ERROR(
          checkExtent(named.name, axes[axis], named.tensor->extents[axis], wanted[i][axis]));
    }
    if (numberOf(named.tensor->element_type) != numberOf(problem.element_type))
      return invalidArgument(named.name, ".element_type must be ",
                             problem.element_type == SAGE_F16 ? "f16" : "bf16",
                             ", as problem.element_type is")
          .withRemedy("cast the tensors, or compile for their type");
    SAGE_RETURN_IF_ERROR(checkStrides(named));
    SAGE_RETURN_IF_ERROR(checkSpan(named.name, *named.tensor));
    SAGE_RETURN_IF_ERROR(checkNoOverlap(named));
    if (use != CallUse::Shapes)
      SAGE_RETURN_IF_ERROR(checkPointer(named));
  }
  SAGE_RETURN_IF_ERROR(checkShape(problem, extents));
  SAGE_RETURN_IF_ERROR(checkScale(call));
  SAGE_RETURN_IF_ERROR(checkMaskOperands(problem, call, use, extents));
  return use == CallUse::Launch ? checkLse(problem, call, extents) : Status();
}

Status checkCallOfArtifact(const Artifact &artifact, const sage_call &call, CallUse use,
                           SymbolValues &symbols) {
  Extents extents;
  SAGE_RETURN_IF_ERROR(checkCall(artifact.problem, call, use, extents));
  symbols = {extents.batch, extents.queryHeads, extents.keyHeads, extents.queries, extents.keys};
  symbols[size_t(Symbol::S)] = call.sequences;
  SAGE_RETURN_IF_ERROR(
      artifact.geometry.countKeyParts(artifact.problem, symbols, symbols[size_t(Symbol::Parts)]));
  for (size_t axis = 0; axis < 4; ++axis)
    if (artifact.problem.has_bias && call.bias.extents[axis] > 1)
      symbols[size_t(Symbol::BiasB) + axis] = call.bias.strides[axis];
  for (const NamedTensor &named : tensorsOf(call)) {
    const sage_tensor &given = *named.tensor;
    sage_tensor dense =
        sage_tensor_dense(nullptr, artifact.problem.layout, given.element_type, given.extents[0],
                          given.extents[1], given.extents[2], given.extents[3]);
    for (size_t axis = 0; axis < 3; ++axis) {
      size_t symbol = size_t(named.firstStride) + axis;
      symbols[symbol] = given.strides[axis];
      bool read = artifact.usedSymbols & (1u << symbol);
      if (!read && !isEmpty(given) && given.extents[axis] > 1 &&
          given.strides[axis] != dense.strides[axis])
        return invalidArgument(symbolNames[symbol], " must be ", dense.strides[axis],
                               " (the artifact takes dense tensors), but got ", given.strides[axis])
            .withRemedy("make the tensor contiguous in the artifact's layout");
    }
    symbols[size_t(named.alignment)] = int64_t(alignmentOf(given));
    bool asks = artifact.usedSymbols & setOf(named.alignment);
    if (use == CallUse::Launch && !asks && alignmentOf(given) != accessAlignment)
      return requireAlignment(named);
  }
  return {};
}

} // namespace sage::runtime

extern "C" sage_tensor sage_tensor_dense(void *data, sage_layout layout,
                                         sage_element_type element_type, int64_t batch,
                                         int64_t heads, int64_t tokens, int64_t head_dim) {
  sage_tensor tensor{data, {batch, heads, tokens, head_dim}, {}, element_type};
  bool headMajor = layout == SAGE_HEAD_MAJOR;
  // Unsigned: extents that overflow are refused later, with a message.
  auto product = [](int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); };
  tensor.strides[0] = product(product(heads, tokens), head_dim);
  tensor.strides[1] = headMajor ? product(tokens, head_dim) : head_dim;
  tensor.strides[2] = headMajor ? head_dim : product(heads, head_dim);
  tensor.strides[3] = 1;
  return tensor;
}
