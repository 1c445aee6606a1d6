//===- CaseRunner.cpp - one case on one artifact --------------------------===//
#include "CaseRunner.h"

#include <algorithm>
#include <limits>

namespace sage::gpu {

using namespace sage::runtime;

double CaseOutcome::worst() const {
  if (unwritten > 0 || !gapsIntact || !intermediates.empty())
    return std::numeric_limits<double>::infinity();
  return std::max(output.worst(), lseRatio);
}

void CaseOutcome::addTo(Result &result) const {
  result.set("element/bound", output.elementRatio);
  result.set("l1", output.relativeL1);
  result.set("l1_bound", output.relativeL1Bound);
  result.set("lse/bound", lseRatio);
  if (unwritten > 0)
    result.fail(std::to_string(unwritten) + " elements were not written");
  if (!gapsIntact)
    result.fail("memory beside the outputs was written");
  if (output.mismatches > 0)
    result.fail(std::to_string(output.mismatches) +
                " elements are NaN or infinite on one side only");
  if (!intermediates.empty())
    result.fail(intermediates);
  if (output.elementRatio > 1)
    result.fail("element " + std::to_string(output.worstIndex) + " exceeds its bound");
  if (output.relativeL1 > output.relativeL1Bound)
    result.fail("relative L1 exceeds its bound");
  if (lseRatio > 1)
    result.fail("LSE exceeds its bound");
}

Status CaseRunner::prepare(const Case &from, const LoadedArtifact &artifact) {
  const sage_problem &problem = artifact.program.problem;
  std::string key = text(from.shape.text(), ' ', int(from.distribution), ' ', from.seed, ' ',
                         from.edit, ' ', problem.element_type, ' ', problem.head_dim, ' ',
                         problem.value_head_dim, ' ', problem.has_bias, problem.bias_type,
                         problem.key_lengths, problem.sinks, problem.packed, ' ', from.name);
  if (key != inputsKey || inputsKey.empty()) {
    inputsKey.clear();
    std::string wrong = makeInputs(from, problem, from.seed, inputs);
    if (!wrong.empty())
      return invalidArgument(wrong);
    inputsKey = key;
    referencesKey.clear();
  }
  key = referenceKey(artifact);
  if (key == referencesKey || session.device.isStub)
    return {};
  referencesKey.clear();
  SAGE_RETURN_IF_ERROR(reference.run(artifact.program, inputs, conversionOf(artifact)));
  referencesKey = key;
  return {};
}

Status CaseRunner::run(const Case &from, LoadedArtifact &artifact, CaseOutcome &outcome) {
  const sage_problem &problem = artifact.program.problem;
  SAGE_RETURN_IF_ERROR(prepare(from, artifact));
  DeviceTensors tensors(session.device);
  SAGE_RETURN_IF_ERROR(tensors.create(artifact.artifact, inputs, from.view, problem.lse != 0));
  SAGE_RETURN_IF_ERROR(tensors.poison());
  SAGE_RETURN_IF_ERROR(tensors.launch(artifact.module, stream.handle));
  SAGE_RETURN_IF_ERROR(stream.synchronize());
  if (session.device.isStub)
    return {};
  DeviceTensors::Results results;
  SAGE_RETURN_IF_ERROR(tensors.download(results));
  outcome.unwritten =
      results.unwritten - inputs.unownedRows() * (inputs.valueHeadDim + (problem.lse ? 1 : 0));
  outcome.gapsIntact = results.gapsIntact;
  outcome.output = compareOutputs(results.output, reference.output32, reference.output22,
                                  reference.bounds, problem.element_type);
  if (problem.lse)
    outcome.lseRatio = compareLse(results.lse, reference.lse32, reference.lse22, reference.bounds,
                                  lseTolerance(artifact.program.recipe));
  return compareIntermediates(artifact, tensors, inputs, reference, outcome.intermediates);
}

} // namespace sage::gpu
