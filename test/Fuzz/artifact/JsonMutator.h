// Mutations of a manifest.

#ifndef SAGE_TEST_FUZZ_ARTIFACT_JSONMUTATOR_H
#define SAGE_TEST_FUZZ_ARTIFACT_JSONMUTATOR_H

#include "Random.h"

#include <nlohmann/json.hpp>

namespace sage::fuzz {

/// One to three values of `json` are removed, doubled, exchanged, nested, or replaced by boundary
/// values.
void mutateJson(Random &random, nlohmann::json &json);

} // namespace sage::fuzz

#endif
