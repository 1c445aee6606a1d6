//===- Bundle.cpp - the folder of artifacts and cases ---------------------===//
#include "Bundle.h"

#include "Npy.h"

#include <algorithm>
#include <filesystem>
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

/// The shape of the case whose tensors are in files.
std::string readShape(const std::string &prefix, Shape &shape) {
  evaluation::NpyArray query, key, value;
  for (auto [suffix, array] : {std::pair("-q.npy", &query), {"-k.npy", &key}, {"-v.npy", &value}}) {
    if (std::string wrong = evaluation::readNpy(prefix + suffix, *array); !wrong.empty())
      return wrong;
    if (array->type != "<f2" || array->shape.size() != 4)
      return "'" + prefix + suffix + "' must hold float16 of rank 4, but holds " + array->type +
             " of rank " + std::to_string(array->shape.size()) +
             "; write B×H×N×D, as `python -m evaluation.activations` does";
  }
  bool fits = query.shape[0] == key.shape[0] && query.shape[3] == key.shape[3] &&
              std::equal(key.shape.begin(), key.shape.begin() + 3, value.shape.begin()) &&
              key.shape[1] > 0 && query.shape[1] % key.shape[1] == 0;
  if (!fits)
    return "the shapes of " + prefix +
           "-{q,k,v}.npy do not fit together: they must be B×Hq×Nq×D, "
           "B×Hkv×Nk×D and B×Hkv×Nk×Dv, with Hkv a divisor of Hq";
  shape = {query.shape[0], query.shape[1], key.shape[1], query.shape[2], key.shape[2]};
  return "";
}

} // namespace

std::string Bundle::takeFiles(const std::string &files) {
  constexpr std::string_view suffix = "-q.npy";
  correctness.clear(), accuracy.clear(), faults.clear(), timing.clear(), stress.clear();
  std::error_code error;
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(files, error)) {
    std::string name = entry.path().filename().string();
    if (name.size() > suffix.size() && name.substr(name.size() - suffix.size()) == suffix)
      names.push_back(name.substr(0, name.size() - suffix.size()));
  }
  if (names.empty())
    return "'" + files +
           "' must be a folder with NAME-q.npy, NAME-k.npy and NAME-v.npy, but has "
           "none; `python -m evaluation.activations` writes them";
  std::sort(names.begin(), names.end());
  for (const std::string &name : names) {
    Case entry;
    entry.name = name;
    entry.files = files + "/" + name;
    entry.view = "head_major";
    entry.quick = true;
    for (const auto &[artifact, bundled] : artifacts)
      entry.artifacts.push_back(artifact);
    if (std::string wrong = readShape(entry.files, entry.shape); !wrong.empty())
      return wrong;
    correctness.push_back(std::move(entry));
  }
  return "";
}

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
