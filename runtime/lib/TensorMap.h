//===- TensorMap.h - tensor maps, encoded on the host -----------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_TENSORMAP_H
#define SAGE_RUNTIME_LIB_TENSORMAP_H

#include "Artifact.h"
#include "DriverApi.h"

namespace sage::runtime {

/// Checks what PTX's tensor maps ask of extents and strides, so that the error
/// says more than "invalid value", and encodes. Allocates nothing on success.
Status encodeTensorMap(const DriverApi &api, const TensorMapDescription &description,
                       const SymbolValues &symbols, uint64_t address, cuda::TensorMap &map);

} // namespace sage::runtime

#endif
