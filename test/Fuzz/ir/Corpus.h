// Modules to start from: the lit suite's, cut at their separators, and every level of generated
// attentions.

#ifndef SAGE_TEST_FUZZ_IR_CORPUS_H
#define SAGE_TEST_FUZZ_IR_CORPUS_H

#include "Random.h"

#include "mlir/IR/DialectRegistry.h"

#include <string>
#include <vector>

namespace sage::fuzz {

struct Corpus {
  std::vector<std::string> modules;
  /// Those that verify; of these, those with a sage_tile.kernel, and others with ops of the sage
  /// dialect.
  std::vector<size_t> valid, kernels, attentions;
  /// Balanced `#...<...>` and `!...<...>` of all modules, and words: what the mutator splices.
  std::vector<std::string> pieces, words;
};

/// Reads the `.mlir` files below `folder`, and adds the levels of `generated` attentions.
Corpus makeCorpus(const mlir::DialectRegistry &registry, const std::string &folder,
                  unsigned generated);

/// A module with an attention: any recipe, mask, layout, shape; `hostile` ones mostly do not
/// verify.
std::string randomAttention(Random &random, bool hostile);
/// A chip that exists, or rarely not.
std::string randomChip(Random &random);
std::string randomRecipeName(Random &random);

} // namespace sage::fuzz

#endif
