//===- Report.cpp - what the suites found ---------------------------------===//
#include "Report.h"

#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <unistd.h>

namespace sage::gpu {
namespace {

std::string today() {
  std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d", std::gmtime(&now));
  return text;
}

std::string figuresOf(const Result &result) {
  std::string line;
  for (const auto &[name, value] : result.figures.items()) {
    char text[64];
    if (value.is_number_float())
      std::snprintf(text, sizeof(text), "%.4g", value.get<double>());
    line += (line.empty() ? "" : "  ") + name + " " +
            (value.is_number_float() ? std::string(text)
             : value.is_string()     ? value.get<std::string>()
                                     : value.dump());
  }
  return line;
}

void printLine(const Result &result) {
  std::printf("%-4s  %-11s %-58s %s%s%s\n", result.passed ? "ok" : "FAIL", result.suite.c_str(),
              result.name.c_str(), result.reason.c_str(), result.reason.empty() ? "" : "; ",
              figuresOf(result).c_str());
}

/// What a signal handler may read.
char current[256] = "the start";

void endBySignal(int) {
  constexpr char before[] = "\nFAIL  ended from outside (hung, or too slow) in ";
  // Results do not matter any more; the compiler wants them looked at.
  bool written = write(1, before, sizeof(before) - 1) > 0 &&
                 write(1, current, std::strlen(current)) > 0 && write(1, "\n", 1) > 0;
  _exit(written ? 3 : 4);
}

} // namespace

void Report::begin(const std::string &name) {
  std::snprintf(current, sizeof(current), "%s", name.c_str());
  std::signal(SIGTERM, endBySignal);
}

void Result::set(const std::string &figure, double value) {
  if (std::isfinite(value))
    figures[figure] = value;
  else
    figures[figure] = std::isnan(value) ? "nan" : "infinite";
}

void Result::fail(const std::string &why) {
  passed = false;
  reason += (reason.empty() ? "" : "; ") + why;
}

void Report::add(Result result) {
  if (!result.passed) {
    printLine(result);
    std::fflush(stdout);
  }
  results.push_back(std::move(result));
  keep();
}

/// In one step: who reads or ends the process sees the file before or after.
void Report::keep() {
  auto now = std::chrono::steady_clock::now();
  if (kept.empty() || (results.size() > 1 && now - lastKept < std::chrono::seconds(5)))
    return;
  lastKept = now;
  std::string part = kept + ".part";
  std::ofstream stream(part);
  stream << toJson(false).dump(1) << "\n" << std::flush;
  if (stream)
    std::rename(part.c_str(), kept.c_str());
}

void Report::describeDevice(const Device &device) {
  deviceInfo["name"] = device.info.name;
  deviceInfo["compute_capability"] =
      std::to_string(device.info.compute_major) + "." + std::to_string(device.info.compute_minor);
  deviceInfo["multiprocessors"] = device.info.multiprocessors;
  deviceInfo["driver_cuda_version"] = device.driver->version;
  deviceInfo["stub"] = device.isStub;
}

bool Report::allPassed() const {
  for (const Result &result : results)
    if (!result.passed)
      return false;
  return true;
}

void Report::printTable() const {
  struct Count {
    int passed = 0, failed = 0;
  };
  std::map<std::string, Count> counts;
  for (const Result &result : results) {
    Count &count = counts[result.suite];
    (result.passed ? count.passed : count.failed)++;
  }
  std::printf("\nFailures\n");
  for (const Result &result : results)
    if (!result.passed)
      printLine(result);
  if (allPassed())
    std::printf("none\n");
  std::printf("\nResults\n");
  for (const Result &result : results)
    if (result.passed && result.suite != "correctness")
      printLine(result);
  std::printf("\n%-12s %8s %8s\n", "suite", "passed", "failed");
  for (const auto &[suite, count] : counts)
    std::printf("%-12s %8d %8d\n", suite.c_str(), count.passed, count.failed);
}

nlohmann::ordered_json Report::toJson(bool complete) const {
  nlohmann::ordered_json json;
  json["version"] = 1;
  json["complete"] = complete;
  json["date"] = today();
  json["device"] = deviceInfo;
  json["runtime"] = sage_runtime_version();
  json["passed"] = allPassed();
  for (const Result &result : results) {
    nlohmann::ordered_json entry;
    entry["suite"] = result.suite;
    entry["name"] = result.name;
    entry["passed"] = result.passed;
    if (!result.reason.empty())
      entry["reason"] = result.reason;
    entry["figures"] = result.figures;
    json["results"].push_back(std::move(entry));
  }
  return json;
}

} // namespace sage::gpu
