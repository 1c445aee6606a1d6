// Fatal errors of LLVM, caught by a jump out of its frames as LLVM's own CrashRecoveryContext does
// it. That one also takes the process's signals, which belong to the program that loaded this
// library, and uses the frames that it jumped out of again: objects in them that are on lists of
// the process (every llvm::Timer is on one) are written to by other threads. Here they stay.

#include "FatalErrors.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/PrettyStackTrace.h"
#include "llvm/Support/raw_ostream.h"

#include <csetjmp>
#include <cstring>
#include <mutex>
#include <new>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace sage;

namespace {

/// Where a thread goes on. The text has its place already: there may be no memory for it.
struct RecoveryPoint {
  std::jmp_buf buffer;
  char reason[2048];
};

thread_local RecoveryPoint *recoveryPoint = nullptr;

void handleFatalError(void *, const char *reason, bool) {
  if (RecoveryPoint *point = recoveryPoint) {
    std::strncpy(point->reason, reason ? reason : "", sizeof(point->reason) - 1);
    std::longjmp(point->buffer, 1);
  }
  // Of another user of LLVM, on another thread: what LLVM does without a handler. It exits after
  // this.
  llvm::errs() << "LLVM ERROR: " << (reason ? reason : "") << "\n";
}

/// LLVM has one handler for the process: it is there while any compilation is.
class HandlerScope {
public:
  HandlerScope() {
    std::lock_guard<std::mutex> lock(mutex);
    if (count++ != 0)
      return;
    llvm::install_fatal_error_handler(handleFatalError);
    llvm::install_bad_alloc_error_handler(handleFatalError);
  }
  ~HandlerScope() {
    std::lock_guard<std::mutex> lock(mutex);
    if (--count != 0)
      return;
    llvm::remove_fatal_error_handler();
    llvm::remove_bad_alloc_error_handler();
  }

private:
  static std::mutex mutex;
  static int count;
};

std::mutex HandlerScope::mutex;
int HandlerScope::count = 0;

/// Memory for the frames of one thread, with a page below that ends the process where they
/// overflow.
class Stack {
public:
  Stack() {
    void *block = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (block == MAP_FAILED)
      return;
    memory = block;
    mprotect(memory, sysconf(_SC_PAGESIZE), PROT_NONE);
  }
  ~Stack() {
    if (memory)
      munmap(memory, size);
  }

  void *get() const { return memory; }
  /// Never unmapped and never used again. Only pages that were touched take memory.
  void leak() { memory = nullptr; }

  /// What Linux gives the first thread of a process.
  static constexpr size_t size = size_t(8) << 20;

private:
  void *memory = nullptr;
};

struct Run {
  llvm::function_ref<void()> body;
  RecoveryPoint point = {};
  bool finished = false;
};

/// Nothing with a destructor may live here: the jump would skip it.
void runWithPoint(Run &run) {
  if (setjmp(run.point.buffer) != 0)
    return;
  recoveryPoint = &run.point;
  run.body();
  run.finished = true;
}

void *runThread(void *argument) {
  Run &run = *static_cast<Run *>(argument);
  // Entries of the frames that a jump skips are on a list of the thread.
  const void *stackState = llvm::SavePrettyStackState();
  try {
    runWithPoint(run);
  } catch (const std::bad_alloc &) {
    std::strncpy(run.point.reason, "out of memory", sizeof(run.point.reason) - 1);
  }
  recoveryPoint = nullptr;
  llvm::RestorePrettyStackState(stackState);
  return nullptr;
}

/// 0, or an error of the system.
int startThread(pthread_t &thread, const Stack &stack, Run &run) {
  pthread_attr_t attributes;
  if (int error = pthread_attr_init(&attributes))
    return error;
  int error = pthread_attr_setstack(&attributes, stack.get(), Stack::size);
  if (!error)
    error = pthread_create(&thread, &attributes, runThread, &run);
  pthread_attr_destroy(&attributes);
  return error;
}

} // namespace

std::optional<std::string> sage::runRecoverably(llvm::function_ref<void()> body) {
  HandlerScope handlers;
  Stack stack;
  if (!stack.get())
    return "out of memory";
  Run run{body};
  pthread_t thread;
  if (int error = startThread(thread, stack, run))
    return std::string("no thread could be started: ") + std::strerror(error);
  pthread_join(thread, nullptr);
  if (run.finished)
    return std::nullopt;
  stack.leak();
  return std::string(run.point.reason);
}
