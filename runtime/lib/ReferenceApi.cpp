//===- ReferenceApi.cpp - the C API of the CPU reference ------------------===//
#include "ApiBoundary.h"
#include "Reference.h"

namespace sage::runtime {
namespace {

/// One entry after the other; results do not depend on what the others hold.
Status runEntries(const sage_program &program, const sage_call &call,
                  const sage_reference_options &options,
                  const sage_reference_intermediates &intermediates) {
  Extents extents;
  SAGE_RETURN_IF_ERROR(checkProblem(program.problem));
  SAGE_RETURN_IF_ERROR(checkCall(program.problem, call, CallUse::Host, extents));
  int64_t entries = countEntries(program.problem, call), keyParts;
  SAGE_RETURN_IF_ERROR(countKeyParts(program, call, keyParts));
  sage_reference_options inner = options;
  if (hasEntries(program.problem))
    inner.progress = nullptr;
  for (int64_t i = 0; i < entries; ++i) {
    CallEntry entry = entryOf(program.problem, call, i);
    sage_program entryProgram = program;
    entryProgram.problem = entry.problem;
    ReferenceOperands operands;
    SAGE_RETURN_IF_ERROR(prepareReference(entryProgram, entry.call, CallUse::Host, operands));
    operands.keyParts = keyParts;
    SAGE_RETURN_IF_ERROR(quantizeOperands(entry.call, options.threads, intermediates, operands));
    attend(operands, entry.call, call.lse, entry.rows, inner);
    if (options.progress && !inner.progress)
      options.progress(options.progress_context, i + 1, entries);
  }
  return {};
}

bool isAnyWanted(const sage_reference_intermediates &wanted) {
  return wanted.query_mean || wanted.key_mean || wanted.value_mean || wanted.query_values ||
         wanted.query_scales || wanted.key_values || wanted.key_scales || wanted.value_values ||
         wanted.value_scales || wanted.score_correction;
}

Status refuseEntries(const sage_problem &problem, const char *what) {
  if (!hasEntries(problem))
    return {};
  return invalidArgument(what, " are those of one entry: the problem has key lengths or sequences")
      .withRemedy("ask for them on the calls that sage_call_entry gives");
}

} // namespace

std::function<void(int64_t)> progressOf(const sage_reference_options &options, int64_t total) {
  if (!options.progress)
    return {};
  return
      [&options, total](int64_t done) { options.progress(options.progress_context, done, total); };
}

} // namespace sage::runtime

using namespace sage::runtime;

extern "C" sage_status *sage_reference_get_sizes(const sage_program *program, const sage_call *call,
                                                 sage_reference_sizes *sizes) {
  return guarded([&]() -> Status {
    SAGE_RETURN_IF_ERROR(refuseEntries(program->problem, "sizes"));
    ReferenceOperands operands;
    SAGE_RETURN_IF_ERROR(prepareReference(*program, *call, CallUse::Shapes, operands));
    int64_t keys = operands.extents.keys;
    *sizes = {operands.queryMap.groups, operands.keyMap.groups, operands.queryBlocks(),
              (keys + valueOrderGroup - 1) / valueOrderGroup * valueOrderGroup};
    return {};
  });
}

extern "C" sage_status *sage_reference_run(const sage_program *program, const sage_call *call,
                                           const sage_reference_options *options,
                                           const sage_reference_intermediates *intermediates) {
  return guarded([&]() -> Status {
    sage_reference_intermediates wanted =
        intermediates ? *intermediates : sage_reference_intermediates{};
    if (isAnyWanted(wanted))
      SAGE_RETURN_IF_ERROR(refuseEntries(program->problem, "intermediates"));
    return runEntries(*program, *call, options ? *options : sage_reference_options{}, wanted);
  });
}

extern "C" sage_status *sage_exact_run(const sage_problem *problem, const sage_call *call,
                                       double *output, double *lse,
                                       const sage_reference_options *options) {
  return guarded([&]() -> Status {
    return exactAttention(*problem, *call, options ? *options : sage_reference_options{}, output,
                          lse);
  });
}
