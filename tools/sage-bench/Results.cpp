//===- Results.cpp - figures, and the file that holds them ----------------===//
#include "Results.h"

#include <algorithm>
#include <ctime>
#include <fstream>

namespace sage::bench {
namespace {

using Json = nlohmann::ordered_json;

std::string today() {
  std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d", std::gmtime(&now));
  return text;
}

template <typename Number> Json orNull(const std::optional<Number> &value) {
  return value ? Json(*value) : Json();
}

Json toJson(const Row &row) {
  Json json = {{"provider", row.provider},
               {"name", row.name},
               {"scope", row.scope},
               {"recipe", row.recipe},
               {"chip", row.chip},
               {"element_type", row.elementType},
               {"mask", row.mask},
               {"head_dim", row.headDim},
               {"value_head_dim", row.valueHeadDim},
               {"shape", row.shape},
               {"tflops", row.teraflops},
               {"median_ms", row.median},
               {"p10_ms", row.p10},
               {"p90_ms", row.p90},
               {"sm_clock_mhz", row.megahertz ? Json(row.megahertz) : Json()},
               {"launches", row.launches},
               {"relative_l1", orNull(row.relativeL1)},
               {"code", row.code}};
  if (!row.error.empty())
    json["error"] = row.error;
  for (const KernelFigures &kernel : row.kernels)
    json["kernels"].push_back({{"name", kernel.name},
                               {"median_ms", kernel.milliseconds},
                               {"bytes", orNull(kernel.bytes)},
                               {"gb_s", orNull(kernel.gigabytesPerSecond())}});
  return json;
}

/// What comparisons need. Throws where something is missing or mistyped.
Row rowOf(const Json &json) {
  Row row;
  row.provider = json.at("provider");
  row.name = json.at("name");
  row.scope = json.at("scope");
  row.mask = json.at("mask");
  row.headDim = json.at("head_dim");
  row.shape = json.at("shape");
  row.teraflops = json.at("tflops");
  row.median = json.at("median_ms");
  row.p10 = json.at("p10_ms");
  row.p90 = json.at("p90_ms");
  if (json.contains("sm_clock_mhz") && !json.at("sm_clock_mhz").is_null())
    row.megahertz = json.at("sm_clock_mhz");
  row.error = json.value("error", "");
  return row;
}

bool isCausal(const Row &row) { return row.mask.rfind("causal", 0) == 0; }

} // namespace

std::optional<double> KernelFigures::gigabytesPerSecond() const {
  if (!bytes || milliseconds <= 0)
    return std::nullopt;
  return double(*bytes) / milliseconds * 1e-6;
}

bool Row::isSameAs(const Row &other) const {
  return provider == other.provider && name == other.name && scope == other.scope &&
         mask == other.mask && headDim == other.headDim && shape == other.shape;
}

bool Row::isComparableWith(const Row &other) const {
  // Both alignments are the same mask on a square.
  bool sameMask =
      mask == other.mask || (isCausal(*this) && isCausal(other) && shape[3] == shape[4]);
  return sameMask && headDim == other.headDim && shape == other.shape;
}

bool Results::allPassed() const {
  return std::all_of(rows.begin(), rows.end(), [](const Row &row) { return row.error.empty(); });
}

std::string Results::read(const std::string &path) {
  std::ifstream stream(path);
  if (!stream)
    return "'" + path + "' cannot be read; sage-bench --json=FILE writes such files";
  try {
    Json json = Json::parse(stream);
    if (json.at("version") != 1)
      return "'" + path + "' must have version 1, but has " + json.at("version").dump();
    device = json.at("device");
    for (const Json &row : json.at("rows"))
      rows.push_back(rowOf(row));
  } catch (const std::exception &error) {
    return "'" + path + "' is not a file of sage-bench --json: " + error.what();
  }
  return {};
}

std::string Results::write(const std::string &path) const {
  Json json = {{"version", 1},
               {"tool", "sage-bench"},
               {"date", today()},
               {"device", device},
               {"runtime", runtime},
               {"copy_gb_s", copyGigabytesPerSecond > 0 ? Json(copyGigabytesPerSecond) : Json()},
               {"rows", Json::array()}};
  for (const Row &row : rows)
    json["rows"].push_back(toJson(row));
  std::ofstream stream(path);
  stream << json.dump(1) << "\n";
  return stream.flush() ? "" : "'" + path + "' cannot be written";
}

std::string textOf(const CallShape &shape) {
  std::string text;
  for (int64_t extent : shape)
    text += (text.empty() ? "" : ",") + std::to_string(extent);
  return text;
}

} // namespace sage::bench
