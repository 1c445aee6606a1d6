// What the functions of a host program take.

#include "HostSignature.h"

#include <cmath>

using namespace mlir;
using namespace sage;

/// Any extents and strides; columns that lie side by side where `columns` is given.
static MemRefType getViewType(Type element, int64_t columns) {
  constexpr int64_t any = ShapedType::kDynamic;
  bool isDense = columns != any;
  auto layout =
      StridedLayoutAttr::get(element.getContext(), any, {any, any, any, isDense ? 1 : any});
  return MemRefType::get({any, any, any, columns}, element, layout);
}

static bool isSet(DictionaryAttr problem, StringRef name) {
  Attribute value = problem.get(name);
  auto flag = dyn_cast_or_null<BoolAttr>(value);
  return flag ? flag.getValue() : bool(value);
}

FailureOr<HostSignature> HostSignature::get(tile::ProgramOp program) {
  DictionaryAttr problem = program.getProblem();
  auto headDim = problem.getAs<IntegerAttr>("head_dim");
  auto element = problem.getAs<TypeAttr>("element_type");
  auto layout = problem.getAs<LayoutAttr>("layout");
  auto shape = problem.getAs<DenseI64ArrayAttr>("shape");
  if (!headDim || !element || !layout || !shape || shape.size() != 5)
    return program.emitOpError(
               "problem must have head_dim, element_type, layout and shape, but got ")
           << problem;
  auto valueHeadDim = problem.getAs<IntegerAttr>("value_head_dim");
  HostSignature signature;
  signature.layout = layout.getValue();
  signature.headDim = headDim.getInt();
  signature.shape = llvm::to_vector(shape.asArrayRef());
  auto geometry = problem.getAs<GeometryAttr>("geometry");
  if (geometry && geometry.getKeyParts() && !isSet(problem, "packed"))
    signature.geometryOfParts = geometry;
  auto scale = problem.getAs<FloatAttr>("scale");
  signature.scale = static_cast<float>(
      scale ? scale.getValueAsDouble() : 1 / std::sqrt(static_cast<double>(headDim.getInt())));

  constexpr int64_t any = ShapedType::kDynamic;
  Type i32 = IntegerType::get(program.getContext(), 32), f32 = Float32Type::get(i32.getContext());
  MemRefType keys = getViewType(element.getValue(), headDim.getInt());
  MemRefType values =
      getViewType(element.getValue(), valueHeadDim ? valueHeadDim.getInt() : headDim.getInt());
  SmallVector<HostTensor> &tensors = signature.tensors;
  tensors = {{"query", keys}, {"key", keys}, {"value", values}};
  if (auto bias = problem.getAs<TypeAttr>("bias"))
    tensors.push_back({"bias", getViewType(bias.getValue(), any)});
  if (isSet(problem, "key_lengths"))
    tensors.push_back({"key_lengths", MemRefType::get({any}, i32)});
  if (isSet(problem, "sinks"))
    tensors.push_back({"sinks", MemRefType::get({any}, f32)});
  if (isSet(problem, "packed")) {
    tensors.push_back({"query_offsets", MemRefType::get({any}, i32)});
    tensors.push_back({"key_offsets", MemRefType::get({any}, i32)});
  }
  tensors.push_back({"output", values, /*isOutput=*/true});
  if (isSet(problem, "lse"))
    tensors.push_back({"lse", MemRefType::get({any, any, any}, f32), /*isOutput=*/true});
  return signature;
}

SmallVector<Type> HostSignature::getTensorTypes() const {
  return llvm::map_to_vector(tensors, [](const HostTensor &tensor) -> Type { return tensor.type; });
}

std::optional<unsigned> HostSignature::find(StringRef name) const {
  for (auto [index, tensor] : llvm::enumerate(tensors))
    if (tensor.name == name)
      return index;
  return std::nullopt;
}
