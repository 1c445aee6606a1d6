//===- SmClock.h - the clock that a GPU holds -------------------*- C++ -*-===//
#ifndef SAGE_RUN_SMCLOCK_H
#define SAGE_RUN_SMCLOCK_H

#include <cstdint>
#include <string>

namespace sage::run {

/// The SM clock now, in MHz, from NVML; 0 where that is not to be had.
int32_t smClockMegahertz(const std::string &pciBusId);

} // namespace sage::run

#endif
