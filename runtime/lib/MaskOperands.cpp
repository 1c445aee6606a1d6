//===- MaskOperands.cpp - bias, lengths, sinks and offsets of a call ------===//
#include "MaskOperands.h"

#include <array>

namespace sage::runtime {
namespace {

constexpr std::array<const char *, 4> typeNames = {"f16", "bf16", "f32", "bool"};
constexpr std::array<uintptr_t, 4> typeBytes = {2, 2, 4, 1};

/// A pointer to 4-byte elements. Shapes alone say nothing about pointers.
Status checkVector(const char *name, const void *pointer, bool wanted, bool empty, CallUse use) {
  if (use == CallUse::Shapes)
    return {};
  if (wanted && !empty && !pointer)
    return invalidArgument(name, " must not be NULL: the problem has them")
        .withRemedy("pass them, or use a program without");
  if (!wanted && pointer)
    return invalidArgument(name, " must be NULL: the problem has none")
        .withRemedy("use a program that was compiled with them");
  if (reinterpret_cast<uintptr_t>(pointer) % 4 != 0)
    return invalidArgument(name, " must be aligned to 4 bytes");
  return {};
}

Status checkBiasShape(const sage_tensor &bias, const Extents &extents) {
  static constexpr std::array<const char *, 4> axes = {"batch", "heads", "queries", "keys"};
  const std::array<int64_t, 4> full = {extents.batch, extents.queryHeads, extents.queries,
                                       extents.keys};
  int64_t span = 0;
  for (size_t axis = 0; axis < 4; ++axis) {
    int64_t got = bias.extents[axis];
    if (got != 1 && got != full[axis])
      return invalidArgument("bias.extents: ", axes[axis], " must be 1 or ", full[axis],
                             ", but got ", got);
    if (got <= 1)
      continue;
    if (bias.strides[axis] < 0)
      return invalidArgument("bias: the ", axes[axis], " stride must be ≥ 0, but got ",
                             bias.strides[axis]);
    int64_t reach;
    if (__builtin_mul_overflow(got - 1, bias.strides[axis], &reach) ||
        __builtin_add_overflow(span, reach, &span) || span > INT64_MAX / 16)
      return invalidArgument("bias: extents times strides overflow");
  }
  return {};
}

Status checkBias(const sage_problem &problem, const sage_call &call, CallUse use,
                 const Extents &extents) {
  const sage_tensor &bias = call.bias;
  if (!problem.has_bias) {
    if (bias.data && use != CallUse::Shapes)
      return invalidArgument("bias.data must be NULL: the problem has no bias")
          .withRemedy("use a program that was compiled with a bias");
    return {};
  }
  int type = numberOf(bias.element_type);
  if (type != numberOf(problem.bias_type))
    return invalidArgument("bias.element_type must be ", typeNames[size_t(problem.bias_type)],
                           ", as problem.bias_type is, but got ",
                           type >= 0 && type <= SAGE_BOOL ? typeNames[size_t(type)] : "no type");
  SAGE_RETURN_IF_ERROR(checkBiasShape(bias, extents));
  bool empty = false;
  for (int64_t extent : bias.extents)
    empty |= extent == 0;
  if (use == CallUse::Shapes || empty)
    return {};
  auto address = reinterpret_cast<uintptr_t>(bias.data);
  if (address == 0)
    return invalidArgument("bias.data must not be NULL: the problem has a bias");
  if (address % typeBytes[size_t(type)] != 0)
    return invalidArgument("bias.data must be aligned to ", typeBytes[size_t(type)], " bytes");
  return {};
}

} // namespace

Status checkMaskOperands(const sage_problem &problem, const sage_call &call, CallUse use,
                         const Extents &extents) {
  if (problem.packed && extents.batch != 1)
    return invalidArgument("query.extents: batch must be 1 with packed sequences, but got ",
                           extents.batch)
        .withRemedy("concatenate the sequences along the tokens");
  if (call.sequences < 0 || call.sequences >= INT32_MAX)
    return invalidArgument("sequences must be 0 to ", INT32_MAX - 1, ", but got ", call.sequences);
  if (!problem.packed && call.sequences != 0)
    return invalidArgument("sequences must be 0: the problem is not packed, but got ",
                           call.sequences)
        .withRemedy("use a program that was compiled for packed sequences");
  if (problem.packed && (extents.queries > INT32_MAX || extents.keys > INT32_MAX))
    return invalidArgument("query and key must have at most ", INT32_MAX,
                           " tokens with packed sequences, but have ", extents.queries, " and ",
                           extents.keys);
  SAGE_RETURN_IF_ERROR(checkBias(problem, call, use, extents));
  SAGE_RETURN_IF_ERROR(
      checkVector("key_lengths", call.key_lengths, problem.key_lengths, extents.batch == 0, use));
  SAGE_RETURN_IF_ERROR(
      checkVector("sinks", call.sinks, problem.sinks, extents.queryHeads == 0, use));
  bool none = call.sequences == 0;
  SAGE_RETURN_IF_ERROR(checkVector("query_offsets", call.query_offsets, problem.packed, none, use));
  return checkVector("key_offsets", call.key_offsets, problem.packed, none, use);
}

} // namespace sage::runtime
