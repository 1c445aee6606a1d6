// Layouts: which lane and register hold which element of a fragment.

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/IR/AffineExpr.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace sage::tile {

/// Nothing where it overflows, too.
std::optional<int64_t> evaluate(AffineExpr expr, ArrayRef<int64_t> dims,
                                ArrayRef<int64_t> symbols) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return dims[dim.getPosition()];
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()];
  auto binary = cast<AffineBinaryOpExpr>(expr);
  std::optional<int64_t> lhs = evaluate(binary.getLHS(), dims, symbols);
  std::optional<int64_t> rhs = evaluate(binary.getRHS(), dims, symbols);
  if (!lhs || !rhs)
    return std::nullopt;
  AffineExprKind kind = expr.getKind();
  int64_t result;
  if (kind == AffineExprKind::Add)
    return llvm::AddOverflow(*lhs, *rhs, result) ? std::nullopt : std::optional(result);
  if (kind == AffineExprKind::Mul)
    return llvm::MulOverflow(*lhs, *rhs, result) ? std::nullopt : std::optional(result);
  if (*rhs <= 0)
    return std::nullopt;
  if (kind == AffineExprKind::FloorDiv)
    return llvm::divideFloorSigned(*lhs, *rhs);
  if (kind == AffineExprKind::CeilDiv)
    return llvm::divideCeilSigned(*lhs, *rhs);
  return llvm::mod(*lhs, *rhs);
}

//===----------------------------------------------------------------------===//
// Syntax
//===----------------------------------------------------------------------===//

static void printModes(AsmPrinter &printer, StringRef name, ArrayRef<LayoutMode> modes) {
  printer << name << " = [";
  llvm::interleaveComma(modes, printer, [&](LayoutMode mode) {
    printer << mode.size << ":(" << mode.row << ", " << mode.column << ")";
  });
  printer << "]";
}

void LayoutAttr::print(AsmPrinter &printer) const {
  printer << "<";
  if (!getWarp().empty()) {
    printModes(printer, "warp", getWarp());
    printer << ", ";
  }
  printModes(printer, "lane", getLane());
  printer << ", ";
  printModes(printer, "reg", getReg());
  printer << ">";
}

static ParseResult parseModes(AsmParser &parser, SmallVectorImpl<LayoutMode> &modes) {
  if (parser.parseEqual())
    return failure();
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&]() -> ParseResult {
    LayoutMode &mode = modes.emplace_back();
    return failure(parser.parseInteger(mode.size) || parser.parseColon() || parser.parseLParen() ||
                   parser.parseInteger(mode.row) || parser.parseComma() ||
                   parser.parseInteger(mode.column) || parser.parseRParen());
  });
}

Attribute LayoutAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<LayoutMode> warp, lane, reg;
  if (parser.parseLess())
    return {};
  if (succeeded(parser.parseOptionalKeyword("warp")) &&
      (parseModes(parser, warp) || parser.parseComma()))
    return {};
  if (parser.parseKeyword("lane") || parseModes(parser, lane) || parser.parseComma() ||
      parser.parseKeyword("reg") || parseModes(parser, reg) || parser.parseGreater())
    return {};
  return parser.getChecked<LayoutAttr>(loc, parser.getContext(), ArrayRef(warp), ArrayRef(lane),
                                       ArrayRef(reg));
}

/// Far above any fragment: layouts are checked element by element, and their arithmetic stays
/// inside 64 bits.
static constexpr int64_t maxWarps = 64, maxRegisters = 4096, maxStride = 1 << 20;

static int64_t countValues(ArrayRef<LayoutMode> modes) {
  int64_t count = 1;
  for (LayoutMode mode : modes)
    count *= mode.size;
  return count;
}

LogicalResult LayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<LayoutMode> warp, ArrayRef<LayoutMode> lane,
                                 ArrayRef<LayoutMode> reg) {
  const std::pair<ArrayRef<LayoutMode>, int64_t> lists[] = {
      {warp, maxWarps}, {lane, 32}, {reg, maxRegisters}};
  for (auto [modes, most] : lists) {
    int64_t values = 1;
    for (LayoutMode mode : modes) {
      // One spelling per layout: types are compared by their attributes.
      if (mode.size < 2)
        return emitError() << "layout mode must have at least 2 values, but got " << mode.size;
      if (mode.row < 0 || mode.column < 0)
        return emitError() << "layout strides must not be negative, but got (" << mode.row << ", "
                           << mode.column << ")";
      if (mode.row > maxStride || mode.column > maxStride)
        return emitError() << "layout strides must be at most " << maxStride << ", but got ("
                           << mode.row << ", " << mode.column << ")";
      // Divided: the product may not fit.
      if (mode.size > most / values)
        return emitError() << "layout list must number at most " << most << " values";
      values *= mode.size;
    }
  }
  if (countValues(lane) != 32)
    return emitError() << "layout must number 32 lanes, but got " << countValues(lane);
  for (LayoutMode mode : reg)
    if (mode.isReplicated())
      return emitError() << "register mode must have a stride other than (0, 0)";
  return success();
}

//===----------------------------------------------------------------------===//
// Queries
//===----------------------------------------------------------------------===//

int64_t LayoutAttr::getNumRegisters() const { return countValues(getReg()); }
int64_t LayoutAttr::getNumWarps() const { return countValues(getWarp()); }

static void addDigits(ArrayRef<LayoutMode> modes, int64_t index,
                      std::pair<int64_t, int64_t> &position) {
  for (LayoutMode mode : modes) {
    int64_t digit = index % mode.size;
    index /= mode.size;
    position.first += digit * mode.row;
    position.second += digit * mode.column;
  }
}

std::pair<int64_t, int64_t> LayoutAttr::getPosition(int64_t warp, int64_t lane, int64_t reg) const {
  std::pair<int64_t, int64_t> position(0, 0);
  addDigits(getWarp(), warp, position);
  addDigits(getLane(), lane, position);
  addDigits(getReg(), reg, position);
  return position;
}

//===----------------------------------------------------------------------===//
// Construction
//===----------------------------------------------------------------------===//

static LayoutAttr build(MLIRContext *context, ArrayRef<LayoutMode> warp, ArrayRef<LayoutMode> lane,
                        ArrayRef<LayoutMode> reg) {
  auto significant = [](ArrayRef<LayoutMode> modes) {
    return llvm::filter_to_vector(modes, [](LayoutMode mode) { return mode.size > 1; });
  };
  SmallVector<LayoutMode> warpModes = significant(warp), laneModes = significant(lane),
                          regModes = significant(reg);
  return LayoutAttr::get(context, ArrayRef(warpModes), ArrayRef(laneModes), ArrayRef(regModes));
}

LayoutAttr LayoutAttr::accumulator(MLIRContext *context, int64_t warps, int64_t columns) {
  return build(context, {{warps, 16, 0}}, {{4, 0, 2}, {8, 1, 0}},
               {{2, 0, 1}, {2, 8, 0}, {columns / 8, 0, 8}});
}

LayoutAttr LayoutAttr::operandA8(MLIRContext *context, int64_t warps, int64_t depth) {
  return build(context, {{warps, 16, 0}}, {{4, 0, 4}, {8, 1, 0}},
               {{4, 0, 1}, {2, 8, 0}, {2, 0, 16}, {depth / 32, 0, 32}});
}

LayoutAttr LayoutAttr::accumulatorRow(MLIRContext *context, int64_t warps) {
  return build(context, {{warps, 16, 0}}, {{4, 0, 0}, {8, 1, 0}}, {{2, 8, 0}});
}

LayoutAttr LayoutAttr::accumulatorQuad(MLIRContext *context, int64_t warps) {
  return build(context, {{warps, 16, 0}}, {{4, 0, 1}, {8, 1, 0}}, {{2, 8, 0}});
}

LayoutAttr LayoutAttr::quad(MLIRContext *context, int64_t warps) {
  return build(context, {{warps, 0, 0}}, {{4, 0, 1}, {8, 0, 0}}, {});
}

LayoutAttr LayoutAttr::accumulatorColumn(MLIRContext *context, int64_t warps, int64_t columns) {
  return build(context, {{warps, 0, 0}}, {{4, 0, 2}, {8, 0, 0}}, {{2, 0, 1}, {columns / 8, 0, 8}});
}

LayoutAttr LayoutAttr::rowMajor(MLIRContext *context, int64_t rows, int64_t columns,
                                int64_t vectorLength) {
  SmallVector<LayoutMode> lane, reg;
  int64_t column = 1;
  for (; column < vectorLength; column *= 2)
    reg.push_back({2, 0, column});
  for (; column < columns && lane.size() < 5; column *= 2)
    lane.push_back({2, 0, column});
  for (; column < columns; column *= 2)
    reg.push_back({2, 0, column});
  int64_t row = 1;
  for (; row < rows && lane.size() < 5; row *= 2)
    lane.push_back({2, row, 0});
  for (; row < rows; row *= 2)
    reg.push_back({2, row, 0});
  lane.resize(5, {2, 0, 0});
  return LayoutAttr::get(context, ArrayRef<LayoutMode>(), ArrayRef(lane), ArrayRef(reg));
}

//===----------------------------------------------------------------------===//
// Projection
//===----------------------------------------------------------------------===//

using Position = std::pair<int64_t, int64_t>;

static std::optional<Position> apply(AffineMap map, Position position) {
  std::optional<int64_t> row = evaluate(map.getResult(0), {position.first, position.second});
  std::optional<int64_t> column = evaluate(map.getResult(1), {position.first, position.second});
  if (!row || !column)
    return std::nullopt;
  return Position(*row, *column);
}

/// Appends what `map` makes of `mode`, split into factors where only a part of it is seen.
static LogicalResult projectMode(AffineMap map, LayoutMode mode,
                                 SmallVectorImpl<LayoutMode> &result) {
  std::optional<Position> step = apply(map, {mode.row, mode.column});
  if (!step || step->first < 0 || step->second < 0)
    return failure();
  bool linear = true;
  for (int64_t i = 0; i < mode.size && linear; ++i)
    linear =
        apply(map, {i * mode.row, i * mode.column}) == Position(i * step->first, i * step->second);
  if (linear) {
    result.push_back({mode.size, step->first, step->second});
    return success();
  }
  int64_t factor = 2;
  while (factor < mode.size && mode.size % factor != 0)
    ++factor;
  if (factor >= mode.size)
    return failure();
  LayoutMode low{factor, mode.row, mode.column};
  LayoutMode high{mode.size / factor, mode.row * factor, mode.column * factor};
  return failure(failed(projectMode(map, low, result)) || failed(projectMode(map, high, result)));
}

/// Whether `expr` is a sum of multiples of dimensions and constants.
static bool isLinear(AffineExpr expr) {
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return true;
  if (expr.getKind() == AffineExprKind::Mul)
    return isLinear(binary.getLHS()) && isa<AffineConstantExpr>(binary.getRHS());
  return expr.getKind() == AffineExprKind::Add && isLinear(binary.getLHS()) &&
         isLinear(binary.getRHS());
}

/// Joins neighbouring modes that continue each other, so that equal layouts are spelled equally.
static void joinModes(SmallVectorImpl<LayoutMode> &modes) {
  SmallVector<LayoutMode> joined;
  for (LayoutMode mode : modes) {
    if (!joined.empty()) {
      LayoutMode &last = joined.back();
      if (!last.isReplicated() && mode.row == last.row * last.size &&
          mode.column == last.column * last.size) {
        last.size *= mode.size;
        continue;
      }
    }
    joined.push_back(mode);
  }
  modes.assign(joined.begin(), joined.end());
}

LayoutAttr LayoutAttr::project(AffineMap map) const {
  if (map.getNumDims() != 2 || map.getNumSymbols() != 0 || map.getNumResults() != 2 ||
      apply(map, {0, 0}) != Position(0, 0))
    return {};
  SmallVector<LayoutMode> lists[3];
  ArrayRef<LayoutMode> originals[3] = {getWarp(), getLane(), getReg()};
  for (int i = 0; i < 3; ++i)
    for (LayoutMode mode : originals[i])
      if (failed(projectMode(map, mode, lists[i])))
        return {};

  // Linear in every mode alone is not enough: (c + r) floordiv 2, say, carries between modes.
  auto joint =
      LayoutAttr::get(getContext(), ArrayRef(lists[0]), ArrayRef(lists[1]), ArrayRef<LayoutMode>());
  int64_t warps = llvm::all_of(map.getResults(), isLinear) ? 0 : getNumWarps();
  for (int64_t warp = 0; warp < warps; ++warp)
    for (int64_t lane = 0; lane < 32; ++lane) {
      Position base = joint.getPosition(warp, lane, 0);
      for (int64_t reg = 0, count = getNumRegisters(); reg < count; ++reg) {
        Position expected = base;
        addDigits(lists[2], reg, expected);
        if (apply(map, getPosition(warp, lane, reg)) != expected)
          return {};
      }
    }
  llvm::erase_if(lists[2], [](LayoutMode mode) { return mode.isReplicated(); });
  for (int i = 0; i < 3; ++i)
    if (lists[i].size() > originals[i].size())
      joinModes(lists[i]);
  return LayoutAttr::get(getContext(), ArrayRef(lists[0]), ArrayRef(lists[1]), ArrayRef(lists[2]));
}

LayoutAttr LayoutAttr::dropRows() const {
  MLIRContext *context = getContext();
  return project(AffineMap::get(
      2, 0, {getAffineConstantExpr(0, context), getAffineDimExpr(1, context)}, context));
}

LayoutAttr LayoutAttr::dropColumns() const {
  MLIRContext *context = getContext();
  return project(AffineMap::get(
      2, 0, {getAffineDimExpr(0, context), getAffineConstantExpr(0, context)}, context));
}

bool isLaneLocal(FragmentType to, AffineMap map, FragmentType from) {
  LayoutAttr target = to.getLayout(), source = from.getLayout();
  if (target.getNumWarps() != source.getNumWarps())
    return false;
  if (target == source && map.isIdentity())
    return true;
  // This is much of what verification takes: digits of register numbers are added up once.
  auto getRegisters = [](LayoutAttr layout) {
    return llvm::map_to_vector(llvm::seq(layout.getNumRegisters()),
                               [&](int64_t reg) { return layout.getPosition(0, 0, reg); });
  };
  SmallVector<Position> sourceRegisters = getRegisters(source),
                        targetRegisters = getRegisters(target);
  llvm::BitVector held(from.getRows() * from.getColumns());
  for (int64_t warp = 0, warps = target.getNumWarps(); warp < warps; ++warp)
    for (int64_t lane = 0; lane < 32; ++lane) {
      held.reset();
      Position first = source.getPosition(warp, lane, 0);
      for (Position reg : sourceRegisters)
        held.set((first.first + reg.first) * from.getColumns() + first.second + reg.second);
      first = target.getPosition(warp, lane, 0);
      for (Position reg : targetRegisters) {
        std::optional<Position> position =
            apply(map, {first.first + reg.first, first.second + reg.second});
        if (!position || position->first < 0 || position->first >= from.getRows() ||
            position->second < 0 || position->second >= from.getColumns() ||
            !held.test(position->first * from.getColumns() + position->second))
          return false;
      }
    }
  return true;
}

} // namespace sage::tile
