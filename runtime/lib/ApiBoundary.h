//===- ApiBoundary.h - no exception leaves the C API ------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_APIBOUNDARY_H
#define SAGE_RUNTIME_LIB_APIBOUNDARY_H

#include "Status.h"

#include <exception>
#include <new>
#include <stdexcept>

namespace sage::runtime {

/// Runs `body`, which returns a Status, and gives the C API's result.
template <typename Body> sage_status *guarded(Body body) {
  // A static one: there may be no memory for a message.
  static sage_status outOfMemory{SAGE_OUT_OF_MEMORY, "host memory is exhausted",
                                 "use smaller shapes"};
  try {
    return body().release();
  } catch (const std::bad_alloc &) {
    return &outOfMemory;
  } catch (const std::length_error &) {
    return &outOfMemory;
  } catch (const std::exception &error) {
    return Status(SAGE_UNSUPPORTED, error.what()).release();
  }
}

} // namespace sage::runtime

#endif
