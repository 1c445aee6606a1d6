//===- Exports.cpp - the shared library's own source ----------------------===//
// The library is SageMgpuCore, whole; exports.map lists what it exports.
//===----------------------------------------------------------------------===//
#include "sage_mgpu.h"
