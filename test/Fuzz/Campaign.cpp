#include "Campaign.h"

#include "Worker.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>

namespace sage::fuzz {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool readFile(const std::string &path, std::string &bytes) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  bytes = content.str();
  return bool(file);
}

/// The line of a worker's log that says what happened; findings with the same one are alike.
std::string signatureOf(const std::string &log, const std::string &fallback) {
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);)
    for (const char *mark : {"finding:", "ERROR: AddressSanitizer", "WARNING: ThreadSanitizer",
                             "runtime error:", "Assertion", "LLVM ERROR"})
      if (line.find(mark) != std::string::npos)
        return line.substr(0, 200);
  // A plain crash: the innermost frame of Sage.
  std::istringstream frames(log);
  for (std::string line; std::getline(frames, line);)
    if (size_t at = line.find("sage::"); at != std::string::npos)
      return fallback + " in " + line.substr(at, 160);
  return fallback;
}

struct Findings {
  std::map<std::string, int> bySignature;
  uint64_t total = 0;
};

void store(const Options &options, const char *name, const char *extension, const Outcome &outcome,
           Findings &findings) {
  std::string path = options.folder + "/" + name + "-" + std::to_string(options.seed) + "-" +
                     std::to_string(outcome.index) + extension;
  if (!(std::ofstream(path, std::ios::binary) << outcome.input))
    std::cerr << name << ": cannot write '" << path << "'\n";
  std::ofstream(path + ".log", std::ios::binary) << outcome.reason << "\n" << outcome.log;
  std::string signature = signatureOf(outcome.log, outcome.reason);
  ++findings.total;
  if (++findings.bySignature[signature] == 1)
    std::cerr << name << ": " << outcome.reason << ": " << signature << "\n  input: " << path
              << "\n";
}

int reproduce(const Options &options, const char *name, Target &target) {
  int wrong = 0;
  for (const std::string &path : options.reproduce) {
    std::string input;
    if (!readFile(path, input)) {
      std::cerr << name << ": cannot read '" << path << "'\n";
      return 2;
    }
    Worker worker(target, options.watchdog, /*logs=*/false);
    Outcome outcome = worker.runOne(input);
    std::cout << path << ": " << (outcome.reason.empty() ? "no finding" : outcome.reason) << "\n";
    wrong |= !outcome.reason.empty();
  }
  return wrong;
}

void report(const Options &options, const char *name, const Target &target, const Worker &worker,
            uint64_t cases, double seconds, const Findings &findings) {
  std::cout << name << ": seed " << options.seed << ", " << cases << " cases in "
            << int64_t(seconds * 10) / 10.0 << " s (" << int64_t(double(cases) / seconds) << "/s)";
  for (size_t i = 0; i < target.counters.size(); ++i)
    std::cout << (i == 0 ? ": " : ", ") << worker.counter(i) << " " << target.counters[i];
  std::cout << "; " << findings.total << " findings of " << findings.bySignature.size()
            << " kinds\n";
  for (const auto &[signature, times] : findings.bySignature)
    std::cout << "  " << times << " x " << signature << "\n";
}

int search(const Options &options, const char *name, const char *extension, Target &target) {
  std::error_code failed;
  std::filesystem::create_directories(options.folder, failed);
  if (failed) {
    std::cerr << name << ": cannot make the folder '" << options.folder
              << "' for findings: " << failed.message() << "\n";
    return 2;
  }
  std::cerr << name << ": seed " << options.seed << ", cases " << options.first << " to "
            << options.first + options.count - 1 << "\n";
  Worker worker(target, options.watchdog, /*logs=*/true);
  Findings findings;
  double start = now(), nextReport = start + 10;
  uint64_t index = options.first, end = options.first + options.count;
  auto stops = [&](uint64_t at) {
    double t = now();
    if (t >= nextReport) {
      nextReport = t + 10;
      std::cerr << name << ": " << at - options.first << " cases, "
                << uint64_t(double(at - options.first) / (t - start)) << "/s, " << findings.total
                << " findings\n";
    }
    return options.seconds > 0 && t - start >= options.seconds;
  };
  while (index < end && findings.total < options.maxFindings && !stops(index)) {
    Outcome outcome = worker.runMany(options.seed, index, end, stops);
    index = outcome.index;
    if (outcome.reason.empty())
      continue;
    store(options, name, extension, outcome, findings);
    ++index;
  }
  report(options, name, target, worker, index - options.first, now() - start, findings);
  return findings.total != 0;
}

/// The value of `argument` if it is `--name=value`, else null.
const char *valueOf(const char *argument, const char *name) {
  size_t length = std::strlen(name);
  bool matches = std::strncmp(argument, name, length) == 0 && argument[length] == '=';
  return matches ? argument + length + 1 : nullptr;
}

bool parseOption(const char *argument, Options &options, const std::vector<OwnOption> &own) {
  if (const char *value = valueOf(argument, "--seed"))
    options.seed = std::strtoull(value, nullptr, 0);
  else if (const char *value = valueOf(argument, "--first"))
    options.first = std::strtoull(value, nullptr, 0);
  else if (const char *value = valueOf(argument, "--count"))
    options.count = std::strtoull(value, nullptr, 0);
  else if (const char *value = valueOf(argument, "--seconds"))
    options.seconds = std::strtod(value, nullptr);
  else if (const char *value = valueOf(argument, "--watchdog"))
    options.watchdog = std::strtod(value, nullptr);
  else if (const char *value = valueOf(argument, "--max-findings"))
    options.maxFindings = std::strtoull(value, nullptr, 0);
  else if (const char *value = valueOf(argument, "--out"))
    options.folder = value;
  else if (const char *value = valueOf(argument, "--reproduce"))
    options.reproduce.push_back(value);
  else {
    for (const OwnOption &option : own)
      if (const char *value = valueOf(argument, option.name)) {
        *option.value = value;
        return true;
      }
    // Files after --reproduce=FILE.
    if (argument[0] == '-' || options.reproduce.empty())
      return false;
    options.reproduce.push_back(argument);
  }
  return true;
}

} // namespace

int runCampaign(int argc, char **argv, const char *name, const char *extension,
                const std::vector<OwnOption> &own, Target *(*makeTarget)()) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    if (parseOption(argv[i], options, own))
      continue;
    std::cerr << "usage: " << name << " [options]\n"
              << "  --seed=N --first=N --count=N   cases to run (1, 0, 1000)\n"
              << "  --seconds=S                    stop after S seconds\n"
              << "  --watchdog=S                   a case that takes longer is a finding (10)\n"
              << "  --max-findings=N               stop after N findings (20)\n"
              << "  --out=FOLDER                   where findings are written (.)\n"
              << "  --reproduce=FILE [FILE ...]    run these inputs instead\n";
    for (const OwnOption &option : own)
      std::cerr << "  " << option.name << "=" << option.help << "\n";
    return 2;
  }
  std::unique_ptr<Target> target(makeTarget());
  if (!target)
    return 2;
  return options.reproduce.empty() ? search(options, name, extension, *target)
                                   : reproduce(options, name, *target);
}

} // namespace sage::fuzz
