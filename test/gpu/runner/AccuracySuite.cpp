//===- AccuracySuite.cpp - several seeds against float64 ------------------===//
#include "Session.h"

#include "Accuracy.h"
#include "HostTensor.h"

namespace sage::gpu {
namespace {

using namespace sage::runtime;

/// float64 outputs of one seed, shared by the artifacts that see the same inputs.
struct Exact {
  HostInputs inputs;
  std::vector<double> output, lse;

  Status run(const Case &from, const sage_problem &problem, uint64_t seed) {
    std::string wrong = makeInputs(from, problem, seed, inputs);
    if (!wrong.empty())
      return invalidArgument(wrong);
    output.assign(size_t(inputs.rows() * inputs.valueHeadDim), 0);
    lse.assign(size_t(inputs.rows()), 0);
    sage_call call = inputs.call(nullptr, nullptr);
    return fromApi(sage_exact_run(&problem, &call, output.data(), lse.data(), nullptr));
  }
};

struct Sums {
  double relativeL1 = 0, oneMinusCosine = 0, lseError = 0;
  std::string error;
};

Status measure(Session &session, LoadedArtifact &artifact, const Exact &exact, Sums &sums) {
  const sage_problem &problem = artifact.program.problem;
  DeviceTensors tensors(session.device);
  Stream stream(session.device);
  SAGE_RETURN_IF_ERROR(stream.create());
  SAGE_RETURN_IF_ERROR(
      tensors.create(artifact.artifact, exact.inputs, "head_major", problem.lse != 0));
  SAGE_RETURN_IF_ERROR(tensors.launch(artifact.module, stream.handle));
  SAGE_RETURN_IF_ERROR(stream.synchronize());
  DeviceTensors::Results results;
  SAGE_RETURN_IF_ERROR(tensors.download(results));
  std::vector<double> output;
  for (uint16_t bits : results.output)
    output.push_back(decodeElement(problem.element_type, bits));
  evaluation::Accuracy accuracy = evaluation::compare(output, exact.output);
  if (accuracy.mismatches > 0)
    return invalidArgument(accuracy.mismatches, " outputs are not finite");
  sums.relativeL1 += accuracy.relativeL1;
  sums.oneMinusCosine += 1 - accuracy.cosine;
  double largest = 0;
  for (size_t i = 0; i < results.lse.size(); ++i)
    largest = std::max(largest, std::fabs(results.lse[i] - exact.lse[i]));
  sums.lseError = std::max(sums.lseError, largest);
  return {};
}

} // namespace

void runAccuracy(Session &session) {
  if (session.device.isStub)
    return; // nothing to measure
  for (const AccuracyCase &entry : session.bundle.accuracy) {
    std::vector<std::string> names;
    for (const std::string &name : entry.inputs.artifacts)
      if (session.selected(name + "/" + entry.inputs.name))
        names.push_back(name);
    session.load(names);
    std::map<std::string, Sums> sums;
    size_t seeds = session.options.quick ? 1 : entry.seeds.size();
    for (size_t i = 0; i < seeds && !names.empty(); ++i) {
      Exact exact;
      for (const std::string &name : names) {
        Report::begin(name + "/" + entry.inputs.name);
        LoadedArtifact &artifact = session.artifact(name);
        Status status;
        if (!artifact.error.empty())
          status = invalidArgument(artifact.error);
        // All artifacts of a case have one problem but for the LSE.
        else if (exact.output.empty())
          status = exact.run(entry.inputs, artifact.program.problem, entry.seeds[i]);
        if (status.ok())
          status = measure(session, artifact, exact, sums[name]);
        if (!status.ok())
          sums[name].error = status.message();
      }
    }
    for (const std::string &name : names) {
      const Sums &sum = sums[name];
      Result result{"accuracy", name + "/" + entry.inputs.name, true, "", {}};
      double l1 = sum.relativeL1 / double(seeds);
      double distance = sum.oneMinusCosine / double(seeds);
      result.set("l1", l1);
      result.set("l1_limit", entry.relativeL1);
      result.set("1-cos", distance);
      result.set("1-cos_limit", entry.oneMinusCosine);
      result.set("lse_error", sum.lseError);
      result.figures["seeds"] = seeds;
      if (!sum.error.empty())
        result.fail(sum.error);
      if (l1 > entry.relativeL1 || distance > entry.oneMinusCosine)
        result.fail("less accurate than the limit");
      session.report.add(std::move(result));
    }
  }
}

} // namespace sage::gpu
