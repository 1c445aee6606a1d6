//===- TensorMap.cpp - tensor maps, encoded on the host -------------------===//
#include "TensorMap.h"

namespace sage::runtime {
namespace {

cuda::TensorMapDataType dataType(TensorMapDescription::Element element) {
  switch (element) {
  case TensorMapDescription::Element::U8:
    return cuda::TensorMapUint8;
  case TensorMapDescription::Element::F16:
    return cuda::TensorMapFloat16;
  case TensorMapDescription::Element::BF16:
    break;
  }
  return cuda::TensorMapBfloat16;
}

cuda::TensorMapSwizzle swizzleOf(uint32_t bytes) {
  switch (bytes) {
  case 32:
    return cuda::Swizzle32B;
  case 64:
    return cuda::Swizzle64B;
  case 128:
    return cuda::Swizzle128B;
  default:
    return cuda::SwizzleNone;
  }
}

} // namespace

Status encodeTensorMap(const DriverApi &api, const TensorMapDescription &description,
                       const SymbolValues &symbols, uint64_t address, cuda::TensorMap &map) {
  if (!api.tensorMapEncodeTiled)
    return failure(SAGE_UNSUPPORTED, "the CUDA driver lacks cuTensorMapEncodeTiled")
        .withRemedy("update the driver to CUDA 12 or later");
  std::array<uint64_t, tensorRankLimit> extents{}, strides{};
  std::array<uint32_t, tensorRankLimit> elementStrides{};
  for (uint32_t i = 0; i < description.rank; ++i) {
    int64_t extent;
    SAGE_RETURN_IF_ERROR(description.extents[i].evaluate(symbols, extent));
    if (extent < 1 || extent > (int64_t(1) << 32))
      return invalidArgument("a tensor map's extent must be 1 to 2^32, but is ", extent,
                             " for this shape");
    extents[i] = uint64_t(extent);
    elementStrides[i] = 1;
    if (i + 1 == description.rank)
      break;
    int64_t stride;
    SAGE_RETURN_IF_ERROR(description.strides[i].evaluate(symbols, stride));
    if (stride < 0 || stride % 16 != 0 || stride >= (int64_t(1) << 40))
      return invalidArgument("a tensor map's stride must be a multiple of 16 "
                             "bytes below 2^40, but is ",
                             stride, " for these tensors");
    strides[i] = uint64_t(stride);
  }
  return api.check(api.tensorMapEncodeTiled(&map, dataType(description.element), description.rank,
                                            reinterpret_cast<void *>(address), extents.data(),
                                            strides.data(), description.box.data(),
                                            elementStrides.data(), cuda::InterleaveNone,
                                            swizzleOf(description.swizzleBytes),
                                            cuda::L2Promotion256B, cuda::OobFillZero),
                   "cuTensorMapEncodeTiled");
}

} // namespace sage::runtime
