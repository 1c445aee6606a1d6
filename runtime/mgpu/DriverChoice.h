//===- DriverChoice.h - what this library runs on ----------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_MGPU_DRIVERCHOICE_H
#define SAGE_RUNTIME_MGPU_DRIVERCHOICE_H

#include <cstdint>
#include <string>

namespace sage::runtime {

struct DriverChoice {
  std::string path; ///< empty: the driver's usual name
  int32_t device = 0;
};

/// Of the calling thread.
DriverChoice getDriverChoice();

} // namespace sage::runtime

#endif
