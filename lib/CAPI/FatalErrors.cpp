// Fatal errors of LLVM, caught by a jump out of its frames as LLVM's own CrashRecoveryContext does
// it. That one also takes the process's signals, which belong to the program that loaded this
// library.

#include "FatalErrors.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/PrettyStackTrace.h"
#include "llvm/Support/raw_ostream.h"

#include <csetjmp>
#include <cstring>
#include <mutex>
#include <new>

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

/// Nothing with a destructor may live here: the jump would skip it.
bool runWithPoint(RecoveryPoint &point, llvm::function_ref<void()> body) {
  if (setjmp(point.buffer) != 0)
    return false;
  recoveryPoint = &point;
  body();
  return true;
}

} // namespace

std::optional<std::string> sage::runRecoverably(llvm::function_ref<void()> body) {
  HandlerScope handlers;
  RecoveryPoint point;
  std::memset(point.reason, 0, sizeof(point.reason));
  // Entries of the frames that a jump skips are on a list of the thread.
  const void *stackState = llvm::SavePrettyStackState();
  bool finished = false;
  try {
    finished = runWithPoint(point, body);
  } catch (const std::bad_alloc &) {
    std::strncpy(point.reason, "out of memory", sizeof(point.reason) - 1);
  }
  recoveryPoint = nullptr;
  if (finished)
    return std::nullopt;
  llvm::RestorePrettyStackState(stackState);
  return std::string(point.reason);
}
