//===- Report.h - what the suites found -------------------------*- C++ -*-===//
#ifndef SAGE_GPU_TEST_REPORT_H
#define SAGE_GPU_TEST_REPORT_H

#include "Device.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sage::gpu {

struct Result {
  std::string suite, name;
  bool passed = false;
  std::string reason; ///< why not; empty if passed
  /// Numbers, in the order they were added; infinite ones become text.
  nlohmann::ordered_json figures = nlohmann::ordered_json::object();

  void set(const std::string &figure, double value);
  void fail(const std::string &why);
};

class Report {
public:
  /// Names what runs now: if the process is told to end (a kernel hangs), it says so.
  static void begin(const std::string &name);
  /// From now on results are also written to that file every few seconds, not complete: they
  /// outlive a process that is ended for want of time.
  void keepIn(const std::string &path) { kept = path; }
  /// Failures are printed as they come.
  void add(Result result);
  void describeDevice(const Device &device);
  bool allPassed() const;
  size_t size() const { return results.size(); }

  void printTable() const;
  nlohmann::ordered_json toJson(bool complete = true) const;

private:
  void keep();

  std::string kept;
  std::chrono::steady_clock::time_point lastKept;
  std::vector<Result> results;
  nlohmann::ordered_json deviceInfo = nlohmann::ordered_json::object();
};

} // namespace sage::gpu

#endif
