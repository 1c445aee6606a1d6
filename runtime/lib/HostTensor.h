//===- HostTensor.h - strided 16-bit tensors in host memory -----*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_HOSTTENSOR_H
#define SAGE_RUNTIME_LIB_HOSTTENSOR_H

#include "sage/runtime/sage.h"

#include <vector>

namespace sage::runtime {

/// Widens to float32 (exact): dense B×H×N×D.
std::vector<float> loadTensor(const sage_tensor &tensor, int32_t threads);

/// The first channel of a token.
inline uint16_t *tokenAt(const sage_tensor &tensor, int64_t batch, int64_t head, int64_t token) {
  return static_cast<uint16_t *>(tensor.data) + batch * tensor.strides[0] +
         head * tensor.strides[1] + token * tensor.strides[2];
}

uint16_t encodeElement(sage_element_type type, float value);
float decodeElement(sage_element_type type, uint16_t bits);

} // namespace sage::runtime

#endif
