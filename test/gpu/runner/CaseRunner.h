//===- CaseRunner.h - one case on one artifact ------------------*- C++ -*-===//
#ifndef SAGE_GPU_TEST_CASERUNNER_H
#define SAGE_GPU_TEST_CASERUNNER_H

#include "Session.h"

namespace sage::gpu {

struct CaseOutcome {
  OutputComparison output;
  double lseRatio = 0; ///< largest LSE error / bound
  int64_t unwritten = 0;
  bool gapsIntact = true;
  std::string intermediates; ///< what differs; empty if nothing

  /// How many times the bound the worst error is; infinite where no bound applies.
  double worst() const;
  void addTo(Result &result) const;
};

/// Keeps the last inputs and reference: neighbouring cases share them.
class CaseRunner {
public:
  explicit CaseRunner(Session &session) : session(session), stream(session.device) {}

  Status create() { return stream.create(); }
  Status run(const Case &from, LoadedArtifact &artifact, CaseOutcome &outcome);

private:
  Status prepare(const Case &from, const LoadedArtifact &artifact);

  Session &session;
  Stream stream;
  HostInputs inputs;
  ReferenceResults reference;
  std::string inputsKey, referencesKey;
};

} // namespace sage::gpu

#endif
