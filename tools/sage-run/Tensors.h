//===- Tensors.h - inputs and outputs of one run ----------------*- C++ -*-===//
#ifndef SAGE_RUN_TENSORS_H
#define SAGE_RUN_TENSORS_H

#include "CallTensors.h"
#include "Options.h"

#include <vector>

namespace sage::run {

/// Random tensors, or those of the files, and the operands that the problem has. Returns an empty
/// text or an error.
std::string makeTensors(const sage_problem &problem, const Options &options,
                        gpu::HostInputs &tensors);

std::vector<double> outputAsDouble(const gpu::HostInputs &tensors,
                                   const std::vector<uint16_t> &output);
/// Writes O (B×H×N×D) and the LSE where the options ask for it.
std::string writeResults(const gpu::HostInputs &tensors, const Options &options,
                         const std::vector<uint16_t> &output, const std::vector<float> &lse);

} // namespace sage::run

#endif
