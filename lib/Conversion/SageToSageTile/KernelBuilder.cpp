// Writes one kernel: its parameters together with the launch arguments that feed them, and its
// body.

#include "KernelBuilder.h"

using namespace mlir;
using namespace sage;

KernelBuilder::KernelBuilder(Location loc, OpBuilder &builder, StringRef name, tile::Unit unit,
                             int64_t units)
    : ImplicitLocOpBuilder(loc, builder) {
  kernel =
      tile::KernelOp::create(*this, getStringAttr(name), TypeAttr::get(getFunctionType({}, {})),
                             tile::UnitAttr::get(getContext(), unit), getI32IntegerAttr(units),
                             /*arg_attrs=*/nullptr, /*res_attrs=*/nullptr);
  setInsertionPointToStart(&kernel.getBody().emplaceBlock());
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

BlockArgument KernelBuilder::addParameter(Type type, ArrayRef<NamedAttribute> attributes) {
  Block &entry = kernel.getBody().front();
  BlockArgument argument = entry.addArgument(type, getLoc());
  kernel.setFunctionType(getFunctionType(entry.getArgumentTypes(), {}));
  parameterAttributes.push_back(getDictionaryAttr(attributes));
  kernel.setAllArgAttrs(parameterAttributes);
  return argument;
}

BlockArgument KernelBuilder::addInput(Type type) {
  return addParameter(type, getNamedAttr(tile::KernelOp::inputAttrName, getUnitAttr()));
}

Value KernelBuilder::addTensor(StringRef name, Type elementType, int64_t channels, Symbol first) {
  constexpr int64_t dynamic = ShapedType::kDynamic;
  auto layout = StridedLayoutAttr::get(getContext(), 0, {dynamic, dynamic, dynamic, 1});
  auto type = MemRefType::get({dynamic, dynamic, dynamic, channels}, elementType, layout);
  Value &result = memories[{getStringAttr(name), type}];
  if (result)
    return result;
  launchArguments.push_back(tile::PointerArgAttr::get(getContext(), name));
  for (unsigned i = 0; i < 3; ++i) {
    AffineExpr stride = mlir::getAffineSymbolExpr(static_cast<unsigned>(first) + i, getContext());
    launchArguments.push_back(
        tile::IntegerArgAttr::get(getContext(), getI64Type(), getSymbolMap(stride)));
  }
  return result = addInput(type);
}

Value KernelBuilder::addStrided(StringRef name, Type elementType, ArrayRef<Symbol> strides) {
  SmallVector<int64_t> dynamic(strides.size(), ShapedType::kDynamic);
  launchArguments.push_back(tile::PointerArgAttr::get(getContext(), name));
  for (Symbol stride : strides)
    launchArguments.push_back(tile::IntegerArgAttr::get(
        getContext(), getI64Type(), getSymbolMap(getSymbol(getContext(), stride))));
  return addInput(
      MemRefType::get(dynamic, elementType, StridedLayoutAttr::get(getContext(), 0, dynamic)));
}

Value KernelBuilder::addBuffer(StringRef name, MemRefType type) {
  Value &result = memories[{getStringAttr(name), type}];
  if (result)
    return result;
  launchArguments.push_back(tile::PointerArgAttr::get(getContext(), name));
  return result = addParameter(type);
}

Value KernelBuilder::addRows(StringRef name, Type elementType, AffineExpr rowStride) {
  constexpr int64_t dynamic = ShapedType::kDynamic;
  auto layout = StridedLayoutAttr::get(getContext(), 0, {dynamic, 1});
  launchArguments.push_back(tile::PointerArgAttr::get(getContext(), name));
  launchArguments.push_back(
      tile::IntegerArgAttr::get(getContext(), getI64Type(), getSymbolMap(rowStride)));
  return addParameter(MemRefType::get({dynamic, dynamic}, elementType, layout));
}

Value KernelBuilder::addInteger(AffineExpr value) {
  Value &result = integers[value];
  if (result)
    return result;
  launchArguments.push_back(
      tile::IntegerArgAttr::get(getContext(), getI32Type(), getSymbolMap(value)));
  BlockArgument argument = addParameter(getI32Type());
  // Above everything that may use it.
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(argument.getOwner());
  result = arith::IndexCastOp::create(*this, getIndexType(), argument);
  return result;
}

Value KernelBuilder::addAlignment(Symbol symbol) {
  Value alignment = addInteger(getSymbol(getContext(), symbol));
  return arith::CmpIOp::create(*this, arith::CmpIPredicate::uge, alignment, index(16));
}

Value KernelBuilder::addScale(double factor) {
  launchArguments.push_back(tile::ScaleArgAttr::get(getContext(), getF64FloatAttr(factor)));
  return addParameter(getF32Type());
}

Value KernelBuilder::addTensorMap(tile::TensorMapArgAttr description) {
  launchArguments.push_back(description);
  ArrayRef<int64_t> box = description.getBox();
  return addParameter(tile::TensorMapType::get(
      getContext(), {box[1], box[0]}, description.getElementType(), description.getSwizzle()));
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value KernelBuilder::f32(float value) {
  return arith::ConstantOp::create(*this, getF32FloatAttr(value));
}

Value KernelBuilder::toI32(Value index) {
  return arith::IndexCastOp::create(*this, getI32Type(), index);
}

Value KernelBuilder::getScale(Value magnitude, float range, bool inverse) {
  Value finite = arith::CmpFOp::create(*this, arith::CmpFPredicate::OLT, magnitude, f32(INFINITY));
  Value isZero = arith::CmpFOp::create(*this, arith::CmpFPredicate::OEQ, magnitude, f32(0.0f));
  Value quotient = inverse ? arith::DivFOp::create(*this, f32(range), magnitude)
                           : arith::DivFOp::create(*this, magnitude, f32(range));
  Value some = arith::SelectOp::create(*this, finite, quotient, f32(NAN));
  return arith::SelectOp::create(*this, isZero, f32(inverse ? 0.0f : 1.0f), some);
}

std::pair<Value, Value> KernelBuilder::divide(Value a, Value b) {
  // 32-bit division: the 64-bit one is a call of a hundred instructions on a GPU.
  Value dividend = toI32(a), divisor = toI32(b);
  Value quotient = arith::DivUIOp::create(*this, dividend, divisor);
  Value remainder =
      arith::SubIOp::create(*this, dividend, arith::MulIOp::create(*this, quotient, divisor));
  return {arith::IndexCastOp::create(*this, getIndexType(), quotient),
          arith::IndexCastOp::create(*this, getIndexType(), remainder)};
}

Value KernelBuilder::ceilDivide(Value a, int64_t b) {
  return divide(add(a, index(b - 1)), index(b)).first;
}

void KernelBuilder::awaitGrid(bool overlaps) {
  if (overlaps)
    tile::GridWaitOp::create(*this);
}

void KernelBuilder::releaseGrid(bool overlaps) {
  if (overlaps)
    tile::GridReleaseOp::create(*this);
}

void KernelBuilder::when(Value condition, llvm::function_ref<void()> body) {
  if (!condition)
    return body();
  auto branch = scf::IfOp::create(*this, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(branch.thenBlock());
  body();
}

void KernelBuilder::choose(Value condition, llvm::function_ref<void()> body,
                           llvm::function_ref<void()> otherwise) {
  auto branch = scf::IfOp::create(*this, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(branch.thenBlock());
  body();
  setInsertionPointToStart(branch.elseBlock());
  otherwise();
}

//===----------------------------------------------------------------------===//
// Fragments
//===----------------------------------------------------------------------===//

Value KernelBuilder::map(tile::FragmentType result, ValueRange inputs, ArrayRef<AffineMap> maps,
                         llvm::function_ref<Value(ValueRange)> body, bool positions) {
  ArrayAttr mapsAttr = maps.empty() ? ArrayAttr() : getAffineMapArrayAttr(maps);
  auto op =
      tile::MapOp::create(*this, result, inputs, mapsAttr, positions ? getUnitAttr() : UnitAttr());
  SmallVector<Type> types;
  if (positions)
    types.append(2, getI32Type());
  for (Value input : inputs)
    types.push_back(cast<tile::FragmentType>(input.getType()).getElementType());
  OpBuilder::InsertionGuard guard(*this);
  Block *block =
      createBlock(&op.getBody(), {}, types, SmallVector<Location>(types.size(), getLoc()));
  tile::YieldOp::create(*this, body(block->getArguments()));
  return op.getResult();
}

static AffineMapAttr getMapAttr(AffineMap map) {
  return map ? AffineMapAttr::get(map) : AffineMapAttr();
}

Value KernelBuilder::load(tile::FragmentType type, Value source, ValueRange indices,
                          const Access &access) {
  return tile::LoadOp::create(
      *this, type, source, indices, access.limit, access.columnLimit, access.aligned,
      access.columns ? getI64IntegerAttr(access.columns) : IntegerAttr(), getMapAttr(access.map));
}

void KernelBuilder::store(Value value, Value target, ValueRange indices, const Access &access) {
  tile::StoreOp::create(
      *this, value, target, indices, access.limit, access.columnLimit, access.aligned,
      access.columns ? getI64IntegerAttr(access.columns) : IntegerAttr(), getMapAttr(access.map));
}

Value KernelBuilder::reduce(tile::ReduceKind kind, Value source, tile::FragmentType result,
                            AffineMap map) {
  return tile::ReduceOp::create(*this, result, kind, source, getMapAttr(map));
}

Value KernelBuilder::convert(Value source, tile::FragmentType type, AffineMap order) {
  return tile::ConvertOp::create(*this, type, source, getMapAttr(order));
}
