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
  /// Relative L1 against the float32 reference: of the kernel, and of the 22-bit one.
  double accumulation = 0, accumulationModel = 0;
  std::string error;
};

std::vector<double> decodeAll(sage_element_type type, const std::vector<uint16_t> &elements) {
  std::vector<double> values;
  values.reserve(elements.size());
  for (uint16_t bits : elements)
    values.push_back(decodeElement(type, bits));
  return values;
}

/// How far accumulation alone takes the kernel from the float32 reference, and how far
/// the reference's model of the tensor core says that it does.
Status measureAccumulation(const LoadedArtifact &artifact, const HostInputs &inputs,
                           const std::vector<double> &output, Sums &sums) {
  std::vector<double> references[2];
  for (int32_t model : {0, 1}) {
    std::vector<uint16_t> elements(output.size());
    sage_call call = inputs.call(elements.data(), nullptr);
    sage_reference_options options{};
    options.tensor_core_accumulator = model;
    SAGE_RETURN_IF_ERROR(fromApi(sage_reference_run(&artifact.program, &call, &options, nullptr)));
    references[model] = decodeAll(inputs.type, elements);
  }
  sums.accumulation += evaluation::compare(output, references[0]).relativeL1;
  sums.accumulationModel += evaluation::compare(references[1], references[0]).relativeL1;
  return {};
}

Status measure(Session &session, LoadedArtifact &artifact, const Exact &exact, bool againstModel,
               Sums &sums) {
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
  std::vector<double> output = decodeAll(problem.element_type, results.output);
  evaluation::Accuracy accuracy = evaluation::compare(output, exact.output);
  if (accuracy.mismatches > 0)
    return invalidArgument(accuracy.mismatches, " outputs are not finite");
  sums.relativeL1 += accuracy.relativeL1;
  sums.oneMinusCosine += 1 - accuracy.cosine;
  double largest = 0;
  for (size_t i = 0; i < results.lse.size(); ++i)
    largest = std::max(largest, std::fabs(results.lse[i] - exact.lse[i]));
  sums.lseError = std::max(sums.lseError, largest);
  return againstModel ? measureAccumulation(artifact, exact.inputs, output, sums) : Status();
}

Result judge(const std::string &name, const AccuracyCase &entry, const Sums &sums, size_t seeds) {
  Result result{"accuracy", name + "/" + entry.inputs.name, true, "", {}};
  double l1 = sums.relativeL1 / double(seeds), distance = sums.oneMinusCosine / double(seeds);
  result.set("l1", l1);
  result.set("1-cos", distance);
  result.set("lse_error", sums.lseError);
  result.figures["seeds"] = seeds;
  if (!sums.error.empty())
    result.fail(sums.error);
  if (entry.hasLimits) {
    result.set("l1_limit", entry.relativeL1);
    result.set("1-cos_limit", entry.oneMinusCosine);
    if (!(l1 <= entry.relativeL1) || !(distance <= entry.oneMinusCosine))
      result.fail("less accurate than the limit");
  }
  if (entry.againstModel) {
    // What both round O to hides accumulation errors that are smaller.
    constexpr double outputRounding = 2e-4;
    double kernel = sums.accumulation / double(seeds);
    double model = sums.accumulationModel / double(seeds);
    result.set("accumulation", kernel);
    result.set("accumulation_model", model);
    bool small = kernel < outputRounding && model < outputRounding;
    if (!small && !(kernel <= 2 * model + outputRounding && model <= 2 * kernel + outputRounding))
      result.fail("the model of the accumulator is off by more than a factor of 2");
  }
  return result;
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
          status = measure(session, artifact, exact, entry.againstModel, sums[name]);
        if (!status.ok())
          sums[name].error = status.message();
      }
    }
    for (const std::string &name : names)
      session.report.add(judge(name, entry, sums[name], seeds));
  }
}

} // namespace sage::gpu
