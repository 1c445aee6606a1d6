//===- ReferenceApi.cpp - the C API of the CPU reference ------------------===//
#include "ApiBoundary.h"
#include "Reference.h"

namespace sage::runtime {

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
    sage_reference_options chosen = options ? *options : sage_reference_options{};
    ReferenceOperands operands;
    SAGE_RETURN_IF_ERROR(prepareReference(*program, *call, CallUse::Host, operands));
    SAGE_RETURN_IF_ERROR(quantizeOperands(
        *call, chosen.threads, intermediates ? *intermediates : sage_reference_intermediates{},
        operands));
    attend(operands, *call, chosen);
    return {};
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
