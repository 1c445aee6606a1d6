#include "Worker.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace sage::fuzz {

/// Memory of parent and worker. What a worker was doing when it died is here.
struct Shared {
  static constexpr size_t inputLimit = size_t(8) << 20;
  static constexpr size_t counterLimit = 16;

  std::atomic<uint64_t> index; // the case that runs
  std::atomic<uint64_t> done;  // the first case that was not run
  std::atomic<bool> stop;
  std::atomic<uint64_t> inputBytes;
  std::atomic<uint64_t> counters[counterLimit];
  char input[inputLimit];
};

namespace {

constexpr int findingExit = 77;
/// A case that allocates more is one that a hostile input made large. Sanitizers reserve far more
/// address space.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr rlim_t addressSpaceLimit = RLIM_INFINITY;
#else
constexpr rlim_t addressSpaceLimit = rlim_t(6) << 30;
#endif

double wallSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// CPU time of a process: a loaded machine is no reason to call a case a hang.
double cpuSeconds(pid_t process) {
  clockid_t clock;
  timespec time;
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &time) != 0)
    return 0;
  return double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
}

std::string describe(int status) {
  if (WIFSIGNALED(status))
    return std::string("killed by ") + strsignal(WTERMSIG(status));
  if (WIFEXITED(status) && WEXITSTATUS(status) == findingExit)
    return "wrong result";
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
    return "exit status " + std::to_string(WEXITSTATUS(status));
  return {};
}

/// Watches one case after the other, as the worker moves on.
class Watchdog {
public:
  Watchdog(pid_t process, double limit) : process(process), limit(limit) {}

  bool expired(uint64_t index) {
    double cpu = cpuSeconds(process), wall = wallSeconds();
    if (index != current) {
      current = index;
      cpuStart = cpu;
      wallStart = wall;
    }
    // A worker that waits for something uses no CPU time.
    return cpu - cpuStart > limit || wall - wallStart > 20 * limit;
  }

private:
  pid_t process;
  double limit, cpuStart = 0, wallStart = wallSeconds();
  uint64_t current = UINT64_MAX;
};

} // namespace

void Target::count(size_t counter) {
  if (shared)
    shared->counters[counter].fetch_add(1, std::memory_order_relaxed);
}

Worker::Worker(Target &target, double watchdogSeconds, bool logs)
    : target(target), watchdog(watchdogSeconds) {
  void *memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    std::exit(2);
  }
  shared = new (memory) Shared{};
  target.shared = shared;
  if (logs)
    if (FILE *file = std::tmpfile())
      logFile = fileno(file);
}

Worker::~Worker() {
  target.shared = nullptr;
  munmap(shared, sizeof(Shared));
}

uint64_t Worker::counter(size_t index) const { return shared->counters[index]; }

void Worker::begin(uint64_t index, const std::string &input) {
  size_t bytes = std::min(input.size(), Shared::inputLimit);
  std::memcpy(shared->input, input.data(), bytes);
  shared->inputBytes = bytes;
  shared->index = index;
  // Only the log of the last case matters.
  if (logFile >= 0 && lseek(logFile, 0, SEEK_CUR) > 0 && ftruncate(logFile, 0) == 0)
    lseek(logFile, 0, SEEK_SET);
}

void Worker::work(uint64_t seed, uint64_t first, uint64_t end) {
  if (logFile >= 0)
    dup2(logFile, STDERR_FILENO);
  rlimit limit{addressSpaceLimit, addressSpaceLimit};
  setrlimit(RLIMIT_AS, &limit);
  rlimit noCore{0, 0};
  setrlimit(RLIMIT_CORE, &noCore);
  for (uint64_t index = first; index < end && !shared->stop; ++index) {
    begin(index, "");
    std::string input = target.generate(seed, index);
    begin(index, input);
    std::string wrong = target.run(input);
    if (!wrong.empty()) {
      std::fprintf(stderr, "finding: %s\n", wrong.c_str());
      _exit(findingExit);
    }
    shared->done = index + 1;
  }
  _exit(0);
}

Outcome Worker::watch(int child, const std::function<bool(uint64_t)> &stops) {
  Watchdog dog(child, watchdog);
  Outcome outcome;
  int status = 0, wait = 1;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (dog.expired(shared->index)) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      outcome.reason = "hang";
      break;
    }
    if (stops(shared->done))
      shared->stop = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(wait));
    wait = std::min(2 * wait, 50);
  }
  if (outcome.reason.empty())
    outcome.reason = describe(status);
  outcome.index = outcome.reason.empty() ? shared->done.load() : shared->index.load();
  if (!outcome.reason.empty()) {
    outcome.input.assign(shared->input, shared->inputBytes);
    outcome.log = takeLog();
  }
  return outcome;
}

std::string Worker::takeLog() {
  std::string log(size_t(1) << 16, '\0');
  ssize_t bytes = logFile < 0 ? 0 : pread(logFile, log.data(), log.size(), 0);
  log.resize(size_t(std::max<ssize_t>(bytes, 0)));
  return log;
}

Outcome Worker::runMany(uint64_t seed, uint64_t first, uint64_t end,
                        const std::function<bool(uint64_t)> &stops) {
  shared->stop = false;
  shared->done = shared->index = first;
  end = std::min(end, first + target.casesPerWorker);
  pid_t child = fork();
  if (child == 0)
    work(seed, first, end);
  return watch(child, stops);
}

Outcome Worker::runOne(const std::string &input) {
  shared->index = 0;
  pid_t child = fork();
  if (child == 0) {
    begin(0, input);
    std::string wrong = target.run(input);
    if (!wrong.empty())
      std::fprintf(stderr, "finding: %s\n", wrong.c_str());
    _exit(wrong.empty() ? 0 : findingExit);
  }
  return watch(child, [](uint64_t) { return false; });
}

} // namespace sage::fuzz
