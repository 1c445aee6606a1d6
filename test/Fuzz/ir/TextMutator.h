// Mutations of a module's text.

#ifndef SAGE_TEST_FUZZ_IR_TEXTMUTATOR_H
#define SAGE_TEST_FUZZ_IR_TEXTMUTATOR_H

#include "Corpus.h"

namespace sage::fuzz {

/// One to four changes of tokens: deleted, doubled, exchanged; numbers set to boundary values;
/// words, attributes, types and lines of other modules put in their places.
std::string mutateText(Random &random, const Corpus &corpus, const std::string &module);

} // namespace sage::fuzz

#endif
