//===- Bundle.cpp - the folder of artifacts and cases ---------------------===//
#include "Bundle.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace sage::gpu {
namespace {

using nlohmann::json;

void parseOperands(const json &from, evaluation::MaskChoice &operands) {
  if (from.contains("key_lengths"))
    operands.keyLengths = from.at("key_lengths").get<std::vector<int64_t>>();
  if (from.contains("sinks"))
    operands.sinks = from.at("sinks").get<std::vector<float>>();
  operands.biasAxes = from.value("bias_axes", operands.biasAxes);
  if (!from.contains("sequences"))
    return;
  operands.sequences.emplace();
  for (const json &lengths : from.at("sequences"))
    operands.sequences->push_back({lengths.at(0), lengths.at(1)});
}

/// Any missing or mistyped field throws; `Bundle::load` says which.
Case parseCase(const json &from) {
  Case result;
  result.name = from.at("name");
  result.artifacts = from.at("artifacts").get<std::vector<std::string>>();
  auto shape = from.at("shape").get<std::vector<int64_t>>();
  if (shape.size() != 5)
    throw std::runtime_error("shape must have 5 extents: " + result.name);
  result.shape = {shape[0], shape[1], shape[2], shape[3], shape[4]};
  std::string distribution = from.at("distribution");
  if (!evaluation::parseInputDistribution(distribution, result.distribution))
    throw std::runtime_error("unknown distribution '" + distribution + "'");
  result.seed = from.value("seed", uint64_t(0));
  result.view = from.value("view", "head_major");
  result.edit = from.value("edit", "");
  parseOperands(from, result.operands);
  result.quick = from.value("quick", false);
  result.repeats = from.value("repeats", int64_t(1));
  return result;
}

std::vector<Case> parseCases(const json &from) {
  std::vector<Case> cases;
  for (const json &entry : from)
    cases.push_back(parseCase(entry));
  return cases;
}

void parseBundle(const json &from, Bundle &bundle) {
  if (from.at("version") != 1)
    throw std::runtime_error("version must be 1");
  for (const json &entry : from.at("artifacts")) {
    std::string name = entry.at("name");
    bundle.artifacts[name] = {name, entry.at("file"), entry.at("family"), entry.value("error", "")};
  }
  bundle.correctness = parseCases(from.at("correctness"));
  bundle.stress = parseCases(from.at("stress"));
  for (const json &entry : from.at("accuracy"))
    bundle.accuracy.push_back({parseCase(entry), entry.at("seeds").get<std::vector<uint64_t>>(),
                               entry.contains("relative_l1"), entry.value("relative_l1", 0.0),
                               entry.value("one_minus_cosine", 0.0), entry.value("model", false)});
  for (const json &entry : from.at("faults"))
    bundle.faults.push_back(
        {entry.at("kind"), entry.at("artifact"), parseCases(entry.at("cases"))});
  for (const json &entry : from.at("timing"))
    bundle.timing.push_back({parseCase(entry), entry.value("launches", int64_t(20))});
}

} // namespace

std::string Bundle::load(const std::string &path) {
  folder = path;
  std::string index = path + "/cases.json";
  std::ifstream stream(index);
  if (!stream)
    return "cannot read " + index + "; make_suite.py writes it";
  try {
    parseBundle(json::parse(stream), *this);
  } catch (const std::exception &error) {
    return index + ": " + error.what();
  }
  return "";
}

} // namespace sage::gpu
