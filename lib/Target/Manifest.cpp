// The manifest of a host program as JSON (docs/Artifact.md).

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Target/Artifact.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace sage;

namespace json = llvm::json;

namespace {

/// Prints `value` on one line where that fits, otherwise one element a line: people read manifests
/// too.
void printReadably(llvm::raw_ostream &os, const json::Value &value, unsigned indent = 0) {
  constexpr size_t lineLength = 110;
  std::string flat = llvm::formatv("{0}", value);
  const json::Array *array = value.getAsArray();
  const json::Object *object = value.getAsObject();
  if (flat.size() + indent <= lineLength || (!array && !object)) {
    os << flat;
    return;
  }
  os << (array ? "[" : "{");
  const char *separator = "\n";
  auto startElement = [&] {
    os << separator;
    os.indent(indent + 1);
    separator = ",\n";
  };
  if (array) {
    for (const json::Value &element : *array) {
      startElement();
      printReadably(os, element, indent + 1);
    }
  } else {
    for (const auto &[key, element] : *object) {
      startElement();
      os << json::Value(key) << ": ";
      printReadably(os, element, indent + 1);
    }
  }
  os << (array ? "]" : "}");
}

json::Value getExpression(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return tile::ProgramOp::getSymbolNames()[symbol.getPosition()];
  if (isa<AffineDimExpr>(expr))
    return "n";
  auto binary = cast<AffineBinaryOpExpr>(expr);
  StringRef name;
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    name = "add";
    break;
  case AffineExprKind::Mul:
    name = "mul";
    break;
  case AffineExprKind::Mod:
    name = "mod";
    break;
  case AffineExprKind::FloorDiv:
    name = "floordiv";
    break;
  default:
    name = "ceildiv";
    break;
  }
  return json::Array{name, getExpression(binary.getLHS()), getExpression(binary.getRHS())};
}

/// The least of the results.
json::Value getMinimum(AffineMap map) {
  json::Value least = getExpression(map.getResult(0));
  for (AffineExpr expr : map.getResults().drop_front())
    least = json::Array{"min", std::move(least), getExpression(expr)};
  return least;
}

json::Array getExpressions(AffineMap map) {
  json::Array array;
  for (AffineExpr expr : map.getResults())
    array.push_back(getExpression(expr));
  return array;
}

std::string print(Attribute attribute) {
  std::string text;
  llvm::raw_string_ostream(text) << attribute;
  return text;
}

std::string print(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

json::Object getRecipe(RecipeAttr recipe) {
  return json::Object{{"name", recipe.getName().value_or("custom")},
                      {"qk", stringifyEnum(recipe.getQk())},
                      {"granularity", stringifyEnum(recipe.getGranularity())},
                      {"smooth_q", recipe.smoothsQuery()},
                      {"smooth_k", recipe.smoothsKey()},
                      {"smooth_v", recipe.smoothsValue()},
                      {"pv", stringifyEnum(recipe.getPv())},
                      {"accumulation", stringifyEnum(recipe.getAccumulation())},
                      {"inner", stringifyEnum(recipe.getInner())},
                      {"interval", recipe.getInterval()},
                      {"row_sum", stringifyEnum(recipe.getRowSum())},
                      {"rotate", stringifyEnum(recipe.getRotate())},
                      {"range", stringifyEnum(recipe.getRange())}};
}

json::Object getGeometry(GeometryAttr geometry) {
  json::Object object{{"query_block", geometry.getQueryBlock()},
                      {"key_tile", geometry.getKeyTile()},
                      {"query_groups", getExpression(geometry.getQueryGroupMap().getResult(0))},
                      {"key_groups", getExpression(geometry.getKeyGroupMap().getResult(0))},
                      {"value_order", getExpression(geometry.getValueOrderMap().getResult(0))}};
  if (geometry.getKeyParts())
    object["key_parts"] = getMinimum(geometry.getKeyParts().getValue());
  return object;
}

/// An integer or a float of the problem, or null.
json::Value getOptional(DictionaryAttr problem, StringRef name) {
  if (auto integer = problem.getAs<IntegerAttr>(name))
    return integer.getInt();
  if (auto number = problem.getAs<FloatAttr>(name))
    return number.getValueAsDouble();
  return nullptr;
}

json::Object getProblem(DictionaryAttr problem) {
  json::Array shape;
  for (int64_t extent : problem.getAs<DenseI64ArrayAttr>("shape").asArrayRef())
    shape.push_back(extent);
  json::Value bias = nullptr;
  if (auto type = problem.getAs<TypeAttr>("bias"))
    bias = type.getValue().isInteger(1) ? std::string("bool") : print(type.getValue());
  int64_t headDim = problem.getAs<IntegerAttr>("head_dim").getInt();
  auto valueHeadDim = problem.getAs<IntegerAttr>("value_head_dim");
  return json::Object{{"head_dim", headDim},
                      {"value_head_dim", valueHeadDim ? valueHeadDim.getInt() : headDim},
                      {"element_type", print(problem.getAs<TypeAttr>("element_type").getValue())},
                      {"layout", stringifyEnum(problem.getAs<LayoutAttr>("layout").getValue())},
                      {"mask", stringifyEnum(problem.getAs<MaskAttr>("mask").getValue())},
                      {"window_left", getOptional(problem, "window_left")},
                      {"window_right", getOptional(problem, "window_right")},
                      {"sink_tokens", getOptional(problem, "sink_tokens")},
                      {"softcap", getOptional(problem, "softcap")},
                      {"bias", std::move(bias)},
                      {"key_lengths", problem.contains("key_lengths")},
                      {"sinks", problem.contains("sinks")},
                      {"packed", problem.contains("packed")},
                      {"scale", getOptional(problem, "scale")},
                      {"lse", problem.getAs<BoolAttr>("lse").getValue()},
                      {"shape", std::move(shape)}};
}

FailureOr<json::Object> getArgument(tile::LaunchOp launch, Attribute argument) {
  if (auto pointer = dyn_cast<tile::PointerArgAttr>(argument))
    return json::Object{{"kind", "pointer"}, {"buffer", pointer.getBuffer()}};
  if (auto integer = dyn_cast<tile::IntegerArgAttr>(argument))
    return json::Object{{"kind", print(integer.getType())},
                        {"value", getExpression(integer.getValue().getResult(0))}};
  if (auto scale = dyn_cast<tile::ScaleArgAttr>(argument))
    return json::Object{
        {"kind", "f32"}, {"symbol", "scale"}, {"factor", scale.getFactor().getValueAsDouble()}};
  auto map = dyn_cast<tile::TensorMapArgAttr>(argument);
  if (!map)
    return launch.emitOpError("argument must be a pointer, integer, scale or tensor map, but got ")
           << argument;
  Type type = map.getElementType();
  bool isByte = type.getIntOrFloatBitWidth() == 8;
  return json::Object{{"kind", "tensor_map"},
                      {"buffer", map.getBuffer()},
                      {"element", isByte ? std::string("u8") : print(type)},
                      {"extents", getExpressions(map.getExtents())},
                      {"strides", getExpressions(map.getStrides())},
                      {"box", json::Array(map.getBox())},
                      {"swizzle", map.getSwizzle()}};
}

FailureOr<json::Object> getKernel(tile::LaunchOp launch) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<LLVM::LLVMFuncOp>(
      launch->getParentOfType<tile::ProgramOp>()->getParentOp(), launch.getKernelAttr());
  if (!kernel) {
    InFlightDiagnostic diagnostic = launch.emitOpError("kernel must be at the NVVM level");
    diagnostic.attachNote() << "run sage-to-nvvm first";
    return diagnostic;
  }
  auto threads = kernel->getAttrOfType<DenseI32ArrayAttr>(NVVM::NVVMDialect::getMaxntidAttrName());
  auto shared = kernel->getAttrOfType<IntegerAttr>("sage.shared_bytes");
  if (!threads || threads.empty())
    return kernel.emitOpError("must have nvvm.maxntid, from which the launch takes its block size");
  json::Array block;
  for (int64_t i = 0; i < 3; ++i)
    block.push_back(i < threads.size() ? static_cast<int64_t>(threads[i]) : 1);
  json::Array arguments;
  for (Attribute attribute : launch.getArgs()) {
    FailureOr<json::Object> argument = getArgument(launch, attribute);
    if (failed(argument))
      return failure();
    arguments.push_back(std::move(*argument));
  }
  json::Object object{{"name", kernel.getSymName()},
                      {"grid", json::Array{getExpression(launch.getGrid().getResult(0)), 1, 1}},
                      {"block", std::move(block)},
                      {"shared_bytes", shared ? shared.getInt() : 0},
                      {"arguments", std::move(arguments)}};
  if (launch.getOverlaps())
    object["overlaps"] = true;
  if (kernel->hasAttr("sage.persistent"))
    object["persistent"] = true;
  return object;
}

/// Launches of `block` as objects; a repetition is an element that holds its own.
FailureOr<json::Array> getKernels(Block &block) {
  json::Array kernels;
  for (Operation &op : block) {
    if (auto launch = dyn_cast<tile::LaunchOp>(op)) {
      FailureOr<json::Object> kernel = getKernel(launch);
      if (failed(kernel))
        return failure();
      kernels.push_back(std::move(*kernel));
    } else if (auto repeat = dyn_cast<tile::RepeatOp>(op)) {
      FailureOr<json::Array> repeated = getKernels(repeat.getBody().front());
      if (failed(repeated))
        return failure();
      kernels.push_back(json::Object{{"repeat", getExpression(repeat.getCount().getResult(0))},
                                     {"kernels", std::move(*repeated)}});
    }
  }
  return kernels;
}

} // namespace

std::string sage::printExpression(AffineExpr expression) {
  return llvm::formatv("{0}", getExpression(expression)).str();
}

std::string sage::printMinimum(AffineMap map) {
  return llvm::formatv("{0}", getMinimum(map)).str();
}

FailureOr<std::string> sage::emitManifest(tile::ProgramOp program) {
  DictionaryAttr problem = program.getProblem();
  json::Array workspace;
  for (auto slice : program.getBody().getOps<tile::WorkspaceOp>())
    workspace.push_back(json::Object{{"name", slice.getName()},
                                     {"bytes", getExpression(slice.getBytes().getResult(0))}});
  FailureOr<json::Array> kernels = getKernels(program.getBody().front());
  if (failed(kernels))
    return failure();
  auto target = problem.getAs<TargetAttr>("target");
  json::Object manifest{{"producer", "sage " SAGE_VERSION},
                        {"target", json::Object{{"chip", target.getChip()}}},
                        {"problem", getProblem(problem)},
                        {"recipe", getRecipe(problem.getAs<RecipeAttr>("recipe"))},
                        {"geometry", getGeometry(problem.getAs<GeometryAttr>("geometry"))},
                        {"schedule", print(problem.get("schedule"))},
                        {"workspace", std::move(workspace)},
                        {"kernels", std::move(*kernels)}};
  std::string text;
  llvm::raw_string_ostream stream(text);
  printReadably(stream, json::Value(std::move(manifest)));
  return text;
}
