//===- ParallelFor.cpp - independent tasks on all cores -------------------===//
#include "ParallelFor.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace sage::runtime {

void parallelFor(int64_t count, int32_t threads, const std::function<void(int64_t)> &task,
                 const std::function<void(int64_t)> &progress) {
  std::atomic<int64_t> next{0};
  int64_t done = 0;
  std::exception_ptr error;
  std::mutex mutex;
  auto work = [&] {
    for (int64_t i; (i = next.fetch_add(1)) < count;) {
      try {
        task(i);
      } catch (...) {
        std::lock_guard<std::mutex> lock(mutex);
        if (!error)
          error = std::current_exception();
        next = count;
      }
      std::lock_guard<std::mutex> lock(mutex);
      ++done;
      if (progress)
        progress(done);
    }
  };

  int64_t workers = threads > 0 ? threads : std::thread::hardware_concurrency();
  workers = std::clamp<int64_t>(workers, 1, std::max<int64_t>(count, 1));
  std::vector<std::thread> pool;
  for (int64_t i = 1; i < workers; ++i) {
    // Fewer threads than asked for only cost time.
    try {
      pool.emplace_back(work);
    } catch (const std::system_error &) {
      break;
    }
  }
  work();
  for (std::thread &thread : pool)
    thread.join();
  if (error)
    std::rethrow_exception(error);
}

} // namespace sage::runtime
