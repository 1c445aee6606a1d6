//===- Bundle.h - the folder of artifacts and cases -------------*- C++ -*-===//
// make_suite.py writes it; cases.json is its index.
//===----------------------------------------------------------------------===//
#ifndef SAGE_GPU_TEST_BUNDLE_H
#define SAGE_GPU_TEST_BUNDLE_H

#include "CallTensors.h"

#include <map>
#include <string>
#include <vector>

namespace sage::gpu {

/// What one launch reads: the same for every artifact that it is given to.
struct Case {
  std::string name;
  std::vector<std::string> artifacts;
  Shape shape;
  InputDistribution distribution = InputDistribution::Normal;
  uint64_t seed = 0;
  std::string view; ///< how tensors lie in memory, see TensorView
  std::string edit; ///< what is put into the inputs by hand, see makeInputs
  /// Of the operands that the artifact's problem has: `key_lengths` ([N, …]), `sequences`
  /// ([[Q, K], …]), `sinks` ([X, …]), `bias_axes` (letters of bhqk); drawn where left out.
  evaluation::MaskChoice operands;
  /// Where Q, K and V are, instead of a distribution: PREFIX-q.npy, PREFIX-k.npy, PREFIX-v.npy.
  std::string files;
  bool quick = false;
  int64_t repeats = 1;
};

struct BundledArtifact {
  std::string name, file, family;
  std::string error; ///< why it could not be compiled; empty if it was
};

struct AccuracyCase {
  Case inputs;
  std::vector<uint64_t> seeds;
  bool hasLimits = false;
  double relativeL1 = 0, oneMinusCosine = 0; ///< limits of the mean
  bool againstModel = false; ///< compare accumulation with the CPU reference's model of it
};

struct FaultCase {
  std::string kind, artifact;
  std::vector<Case> cases;
};

struct TimingCase {
  Case inputs;
  int64_t launches = 20;
};

struct Bundle {
  std::string folder;
  std::map<std::string, BundledArtifact> artifacts;
  std::vector<Case> correctness;
  std::vector<AccuracyCase> accuracy;
  std::vector<FaultCase> faults;
  std::vector<TimingCase> timing;
  std::vector<Case> stress;

  /// Returns an empty text, or what is wrong.
  std::string load(const std::string &path);
  /// The cases become one for each NAME-q.npy, NAME-k.npy, NAME-v.npy of the folder, on every
  /// artifact. Returns an empty text, or what is wrong.
  std::string takeFiles(const std::string &folder);
};

/// Reads the case's files, or draws its inputs and edits them:
/// - `zero-channel`: V's channel 5 is 0 (its scale must not divide by zero).
/// - `zero-groups`: the first 16 queries and the first 256 keys are 0.
/// - `nan-key`: one NaN in K: every output that depends on its scale is NaN (P1).
/// - `inf-query`: an infinity in Q: its group's rows are NaN (P1).
/// - `large-value`: V times 2^10: outputs near the end of f16's range.
/// Returns an empty text, or what is wrong.
std::string makeInputs(const Case &from, const sage_problem &problem, uint64_t seed,
                       HostInputs &inputs);

} // namespace sage::gpu

#endif
