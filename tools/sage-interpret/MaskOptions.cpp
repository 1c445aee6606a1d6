#include "MaskOptions.h"

namespace cl = llvm::cl;

namespace sage::interpret {

MaskOptions::MaskOptions(cl::OptionCategory &category)
    : keyLengths("key-lengths", cl::desc("N,N,…: keys of each batch entry; default: random"),
                 cl::cat(category)),
      sequences("sequences",
                cl::desc("Q:K,Q:K,…: lengths of the packed sequences; default: random"),
                cl::cat(category)),
      sinks("sinks", cl::desc("X,X,…: one for each query head; default: random"),
            cl::cat(category)),
      biasFile("bias-file", cl::desc("The bias, a .npy file; default: random"), cl::cat(category)) {
}

std::string MaskOptions::makeOperands(const sage_problem &problem,
                                      const evaluation::CallShape &shape,
                                      evaluation::MaskChoice choice, uint64_t seed,
                                      evaluation::MaskInputs &operands) const {
  std::string wrong;
  auto parse = [&](const cl::opt<std::string> &option, bool present, auto parseText, auto &target) {
    if (option.empty() || !wrong.empty())
      return;
    target.emplace();
    std::string wanted = parseText(option, *target);
    std::string name = ("--" + option.ArgStr).str();
    if (!present)
      wrong = name + ": the problem has no such operand";
    else if (!wanted.empty())
      wrong = name + " must be " + wanted + ", but got '" + option + "'";
  };
  parse(keyLengths, problem.key_lengths, evaluation::parseLengths, choice.keyLengths);
  parse(sequences, problem.packed, evaluation::parseSequences, choice.sequences);
  parse(sinks, problem.sinks, evaluation::parseSinks, choice.sinks);
  choice.biasFile = biasFile;
  if (wrong.empty() && !biasFile.empty() && !problem.has_bias)
    wrong = "--bias-file: the problem has no such operand";
  return wrong.empty() ? evaluation::makeMaskInputs(problem, shape, choice, seed, operands) : wrong;
}

} // namespace sage::interpret
