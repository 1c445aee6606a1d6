//===- HostTensor.cpp - strided 16-bit tensors in host memory -------------===//
#include "HostTensor.h"

#include "FloatFormats.h"
#include "ParallelFor.h"

namespace sage::runtime {

uint16_t encodeElement(sage_element_type type, float value) {
  return type == SAGE_F16 ? floatToF16(value) : floatToBf16(value);
}

float decodeElement(sage_element_type type, uint16_t bits) {
  return type == SAGE_F16 ? f16ToFloat(bits) : bf16ToFloat(bits);
}

std::vector<float> loadTensor(const sage_tensor &tensor, int32_t threads) {
  auto [batch, heads, tokens, dims] = tensor.extents;
  std::vector<float> dense(size_t(batch * heads * tokens * dims));
  if (dense.empty())
    return dense;
  parallelFor(batch * heads, threads,
              [&, heads = heads, tokens = tokens, dims = dims](int64_t slice) {
                float *rows = dense.data() + slice * tokens * dims;
                for (int64_t n = 0; n < tokens; ++n) {
                  const uint16_t *bits = tokenAt(tensor, slice / heads, slice % heads, n);
                  for (int64_t d = 0; d < dims; ++d)
                    rows[n * dims + d] = decodeElement(tensor.element_type, bits[d]);
                }
              });
  return dense;
}

} // namespace sage::runtime
