//===- MaskedCall.h - calls with every mask, length and bias ----*- C++ -*-===//
#ifndef SAGE_UNITTESTS_MASKEDCALL_H
#define SAGE_UNITTESTS_MASKEDCALL_H

#include "SampleArtifact.h"

#include <array>

namespace sage::test {

/// A host call whose extra operands are given; the problem says which there are.
struct MaskedCall : HostCall {
  using HostCall::HostCall;

  /// Random values of the problem's bias type; booleans are mostly true.
  void addBias(const std::array<int64_t, 4> &extents, uint64_t seed = 5);
  void addKeyLengths(std::vector<int32_t> lengths);
  void addSinks(std::vector<float> values);
  void addOffsets(std::vector<int32_t> queries, std::vector<int32_t> keys);

  /// Runs the reference; the message of a failure.
  std::string run(const sage_program &program);

  std::vector<uint8_t> bias;
  std::vector<int32_t> keyLengths, queryOffsets, keyOffsets;
  std::vector<float> sinks;
};

/// Attention as its definition reads (Spec N8, N12 to N17), in float64: one row
/// after the other, one key after the other.
struct NaiveResult {
  std::vector<double> output, lse;
};
NaiveResult evaluateNaively(const MaskedCall &host);

} // namespace sage::test

#endif
