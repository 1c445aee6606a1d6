//===- SampleArtifact.h - artifacts and tensors for the tests ---*- C++ -*-===//
#ifndef SAGE_UNITTESTS_SAMPLEARTIFACT_H
#define SAGE_UNITTESTS_SAMPLEARTIFACT_H

#include "InputDistribution.h"
#include "sage/runtime/sage.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sage::test {

/// A manifest with every kind of argument, for head dim 64 and sm_90a: two
/// workspace slices and the kernels `sage_prepare` and `sage_attend`.
nlohmann::json sampleManifest();
/// PTX whose entries have the manifest's parameters. Assembles to nothing useful.
std::string samplePtx();
/// Manifest and PTX as an artifact, with the right checksum.
std::string sealed(const nlohmann::json &manifest, const std::string &ptx = samplePtx());
std::string sealedText(const std::string &manifestText, const std::string &ptx);

/// A message, and the status is gone.
std::string takeMessage(sage_status *status, sage_status_code *code = nullptr);

/// Random dense host tensors, and a call on them.
struct HostCall {
  HostCall(const sage_problem &problem, int64_t batch, int64_t queryHeads, int64_t keyHeads,
           int64_t queries, int64_t keys,
           evaluation::InputDistribution inputs = evaluation::InputDistribution::Normal,
           uint64_t seed = 1);

  sage_problem problem;
  std::vector<uint16_t> query, key, value, output;
  std::vector<float> lse;
  sage_call call{};

  std::vector<double> outputs() const;
  std::vector<double> lses() const { return std::vector<double>(lse.begin(), lse.end()); }
};

} // namespace sage::test

#endif
