//===- Tensors.h - inputs and outputs of one run ----------------*- C++ -*-===//
#ifndef SAGE_RUN_TENSORS_H
#define SAGE_RUN_TENSORS_H

#include "Options.h"

#include <vector>

namespace sage::run {

/// Dense host tensors in the problem's layout.
struct Tensors {
  sage_problem problem{};
  int64_t batch = 0, queryHeads = 0, keyHeads = 0, queries = 0, keys = 0;
  std::vector<uint16_t> query, key, value;
  evaluation::MaskInputs operands;

  int64_t rows() const { return batch * queryHeads * queries; }
  int64_t outputElements() const { return rows() * problem.value_head_dim; }
  /// A call on tensors at these addresses, with the other operands here on the host.
  sage_call callOn(void *query, void *key, void *value, void *output, float *lse) const;
};

/// Random tensors, or those of the files, and the operands that the problem has. Returns an empty
/// text or an error.
std::string makeTensors(const sage_problem &problem, const Options &options, Tensors &tensors);

/// B×H×N×D float64, from the problem's layout.
std::vector<double> outputAsDouble(const Tensors &tensors, const std::vector<uint16_t> &output);
/// Writes O (B×H×N×D) and the LSE where the options ask for it.
std::string writeResults(const Tensors &tensors, const Options &options,
                         const std::vector<uint16_t> &output, const std::vector<float> &lse);

} // namespace sage::run

#endif
