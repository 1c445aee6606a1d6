//===- Exports.cpp - the shared library's own source ----------------------===//
// The library is SageRuntimeCore, whole; sage.h marks what it exports.
//===----------------------------------------------------------------------===//
#include "sage/runtime/sage.h"
