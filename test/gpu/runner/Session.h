//===- Session.h - a bundle on a device -------------------------*- C++ -*-===//
#ifndef SAGE_GPU_TEST_SESSION_H
#define SAGE_GPU_TEST_SESSION_H

#include "Bundle.h"
#include "ErrorBound.h"
#include "LoadedArtifact.h"
#include "Report.h"

#include <memory>
#include <regex>

namespace sage::gpu {

struct Options {
  std::string bundle, driver, json, filter, suite, files;
  int32_t device = 0;
  bool isStub = false, quick = false, ignoreCubin = false;
  /// Internal: run one fault in this process, and report by JSON.
  std::string faultChild;
};

class Session {
public:
  Status open(const Options &options);
  /// Loads those artifacts, several at a time: assembling takes a second each.
  void load(const std::vector<std::string> &names);
  LoadedArtifact &artifact(const std::string &name);
  bool selected(const std::string &name) const { return std::regex_search(name, filter); }
  /// After a failure: whether the context is lost, so that all that follows would fail.
  bool isBroken() const { return !device.isStub && !device.synchronize().ok(); }

  Options options;
  Bundle bundle;
  Device device;
  Report report;

private:
  void loadOne(const std::string &name, LoadedArtifact &into);

  std::map<std::string, std::unique_ptr<LoadedArtifact>> loaded;
  std::regex filter;
};

/// What the first phase of a call makes of one batch entry with a length, of one sequence, or of
/// all of a call without either.
struct EntryIntermediates {
  int64_t index = 0;
  int64_t batch = 0, batches = 0; ///< in the whole call
  int64_t firstQuery = 0, queries = 0, firstKey = 0, keys = 0;
  // As sage_reference_intermediates.
  std::vector<float> queryMean, keyMean, queryScales, keyScales, valueScales;
  std::vector<int8_t> query, key;
  std::vector<uint8_t> value;
  /// What was quantized, dense.
  std::vector<uint16_t> originalQuery, originalKey, originalValue;

  /// Sets `operands` too. `keyParts` are those of the whole call.
  Status run(const sage_program &program, const sage_call &call, int64_t keyParts,
             runtime::ReferenceOperands &operands);
};

/// What the CPU says about one program on one set of inputs.
struct ReferenceResults {
  runtime::ReferenceOperands operands; ///< of the last entry
  std::vector<uint16_t> output32, output22;
  std::vector<float> lse32, lse22;
  ErrorBounds bounds;
  std::vector<EntryIntermediates> entries;

  Status run(const sage_program &program, const HostInputs &inputs, ScoreConversion conversion);
};

/// How the artifact's schedule turns integer scores into exponents.
ScoreConversion conversionOf(const LoadedArtifact &artifact);

/// Equal for programs that the reference treats alike.
std::string referenceKey(const LoadedArtifact &artifact);

/// Compares the workspace with the reference's intermediates, bit for bit; returns
/// what differs, or an empty text.
Status compareIntermediates(const LoadedArtifact &artifact, const DeviceTensors &tensors,
                            const HostInputs &inputs, const ReferenceResults &reference,
                            std::string &difference);

/// The LSE bound: looser where the row sums are made of P8.
double lseTolerance(const sage_recipe &recipe);

void runCorrectness(Session &session);
void runAccuracy(Session &session);
/// Each fault in a process of its own: it may hang or break the context.
void runFaults(Session &session);
int runFaultChild(Session &session);
void runTiming(Session &session);
void runStress(Session &session);

} // namespace sage::gpu

#endif
