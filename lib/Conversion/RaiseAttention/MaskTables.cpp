// Masks that are tables: constant tensors, looked up by the indices of queries and keys.

#include "MaskFunction.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"

#include <cmath>
#include <map>

using namespace mlir;
using namespace sage::raising;

/// The elements of a constant tensor, those of a resource too.
static DenseElementsAttr getTable(mlir::Value tensor) {
  Attribute constant;
  if (!matchPattern(tensor, m_Constant(&constant)))
    return {};
  auto resource = dyn_cast<DenseResourceElementsAttr>(constant);
  if (!resource)
    return dyn_cast<DenseElementsAttr>(constant);
  // Booleans are packed in one and not in the other.
  AsmResourceBlob *blob = resource.getRawHandle().getBlob();
  bool isSplat;
  if (!blob || resource.getElementType().isInteger(1) ||
      !DenseElementsAttr::isValidRawBuffer(resource.getType(), blob->getData(), isSplat))
    return {};
  return DenseElementsAttr::getFromRawBuffer(resource.getType(), blob->getData());
}

static std::optional<SmallVector<double>> readNumbers(DenseElementsAttr table) {
  SmallVector<double> values;
  if (isa<FloatType>(table.getElementType())) {
    for (APFloat value : table.getValues<APFloat>())
      values.push_back(FloatAttr::get(table.getElementType(), value).getValueAsDouble());
  } else if (table.getElementType().isInteger()) {
    bool isBoolean = table.getElementType().isInteger(1);
    for (const APInt &value : table.getValues<APInt>())
      values.push_back(isBoolean ? double(value.getBoolValue()) : double(value.getSExtValue()));
  } else {
    return std::nullopt;
  }
  return values;
}

/// A table is linear in the indices, or constant along its diagonals, if all of its elements are.
std::optional<MaskEvaluator::Value> MaskEvaluator::evaluateTable(const Element &element) {
  constexpr int64_t largestTable = 1 << 20;
  DenseElementsAttr table = getTable(element.value);
  if (!element.isTensor() || !table || ShapedType::isDynamic(loops.queries) ||
      ShapedType::isDynamic(loops.keys) || loops.queries * loops.keys > largestTable ||
      loops.queries == 0 || loops.keys == 0)
    return std::nullopt;
  std::optional<SmallVector<double>> values = readNumbers(table);
  if (!values)
    return std::nullopt;
  SmallVector<Value> indices;
  for (AffineExpr expr : element.at) {
    std::optional<Value> index = getLinear(expr);
    if (!index)
      return std::nullopt;
    indices.push_back(*index);
  }
  ArrayRef<int64_t> shape = cast<RankedTensorType>(element.value.getType()).getShape();
  std::map<int64_t, double> diagonals;
  bool isLinear = true, isDiagonal = true;
  double first = 0, byQuery = 0, byKey = 0;
  for (int64_t i = 0; i < loops.queries; ++i)
    for (int64_t j = 0; j < loops.keys; ++j) {
      int64_t position = 0;
      for (auto [linear, extent] : llvm::zip_equal(indices, shape)) {
        int64_t index = linear.query * i + linear.key * j + linear.constant;
        if (index < 0 || index >= extent)
          return std::nullopt;
        position = position * extent + index;
      }
      double value = (*values)[position];
      if (i == 0 && j == 0)
        first = value;
      if (i == 0 && j == 1)
        byKey = value - first;
      if (i == 1 && j == 0)
        byQuery = value - first;
      isLinear &= value == first + i * byQuery + j * byKey;
      isDiagonal &= diagonals.try_emplace(j - i, value).first->second == value;
      if (!isLinear && !isDiagonal)
        return std::nullopt;
    }
  if (isDiagonal) {
    SmallVector<MaskFunction::Step> steps;
    for (auto [distance, value] : diagonals)
      steps.push_back({steps.empty() ? MaskFunction::unbounded : distance, value});
    return Value{0, 0, 0, MaskFunction(std::move(steps))};
  }
  auto isWhole = [](double x) { return x == std::floor(x) && std::abs(x) < 1e15; };
  if (!isLinear || !isWhole(first) || !isWhole(byQuery) || !isWhole(byKey))
    return std::nullopt;
  return Value{static_cast<int64_t>(byQuery), static_cast<int64_t>(byKey),
               static_cast<int64_t>(first), std::nullopt};
}
