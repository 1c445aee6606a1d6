//===- MaskOperands.h - bias, lengths, sinks and offsets of a call --------===//
#ifndef SAGE_RUNTIME_LIB_MASKOPERANDS_H
#define SAGE_RUNTIME_LIB_MASKOPERANDS_H

#include "CallCheck.h"

namespace sage::runtime {

/// Each is given exactly if the problem says so, and is what it says. Only the
/// call itself is read: what the pointers point to may be on a device.
Status checkMaskOperands(const sage_problem &problem, const sage_call &call, CallUse use,
                         const Extents &extents);

} // namespace sage::runtime

#endif
