//===- ParallelFor.h - independent tasks on all cores -----------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_PARALLELFOR_H
#define SAGE_RUNTIME_LIB_PARALLELFOR_H

#include <cstdint>
#include <functional>

namespace sage::runtime {

/// Runs task(0) … task(count-1) on `threads` threads (0: one per core). Tasks
/// must write to disjoint places: then the result does not depend on `threads`.
/// `progress(done)` may be empty; one thread calls it at a time. The first
/// exception of a task is thrown again here.
void parallelFor(int64_t count, int32_t threads, const std::function<void(int64_t)> &task,
                 const std::function<void(int64_t)> &progress = {});

} // namespace sage::runtime

#endif
