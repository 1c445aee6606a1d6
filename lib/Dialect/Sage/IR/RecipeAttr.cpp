// `#sage.recipe`: the table of named recipes, the syntax (a name and what differs from it), rules
// R1 to R9.

#include "mlir/IR/DialectImplementation.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace sage;

namespace {
struct RecipeRow {
  StringLiteral name;
  ScoreType qk;
  Granularity granularity;
  Smoothing smooth;
  PvType pv;
  Accumulation accumulation;
  InnerType inner;
  int64_t interval;
  RowSum rowSum;
  Rotation rotate = Rotation::None;
  ScoreRange range = ScoreRange::Full;
};
} // namespace

// The order matters to printing: of equally near names the first is chosen.
static constexpr RecipeRow namedRecipes[] = {
    {"sage2-8b", ScoreType::Int8, Granularity::PerThread, Smoothing::Key, PvType::E4M3,
     Accumulation::TwoLevel, InnerType::F32, 0, RowSum::Quantized},
    {"sage2-4b", ScoreType::Int4, Granularity::PerThread, Smoothing::Query | Smoothing::Key,
     PvType::E4M3, Accumulation::TwoLevel, InnerType::F32, 0, RowSum::Quantized},
    {"sage1", ScoreType::Int8, Granularity::PerBlock, Smoothing::Key, PvType::F16,
     Accumulation::Single, InnerType::F32, 0, RowSum::Float},
    {"sage2pp", ScoreType::Int8, Granularity::PerThread, Smoothing::Key, PvType::E4M3,
     Accumulation::TwoLevel, InnerType::F16, 64, RowSum::Float},
    {"sage-8b", ScoreType::Int8, Granularity::PerThread, Smoothing::Key, PvType::E4M3,
     Accumulation::TwoLevel, InnerType::F32, 0, RowSum::Quantized, Rotation::Hadamard},
    {"sage-4b", ScoreType::Int4, Granularity::PerThread, Smoothing::Query | Smoothing::Key,
     PvType::E4M3, Accumulation::TwoLevel, InnerType::F32, 0, RowSum::Quantized, Rotation::Hadamard,
     ScoreRange::Clipped},
    {"f16", ScoreType::F16, Granularity::PerTensor, Smoothing::None, PvType::F16,
     Accumulation::Single, InnerType::F32, 0, RowSum::Float},
};

static const RecipeRow *findRow(StringRef name) {
  for (const RecipeRow &row : namedRecipes)
    if (row.name == name)
      return &row;
  return nullptr;
}

static unsigned countDifferences(const RecipeRow &row, RecipeAttr recipe) {
  return (row.qk != recipe.getQk()) + (row.granularity != recipe.getGranularity()) +
         (row.smooth != recipe.getSmooth()) + (row.pv != recipe.getPv()) +
         (row.accumulation != recipe.getAccumulation()) + (row.inner != recipe.getInner()) +
         (row.interval != recipe.getInterval()) + (row.rowSum != recipe.getRowSum()) +
         (row.rotate != recipe.getRotate()) + (row.range != recipe.getRange());
}

RecipeAttr RecipeAttr::getNamed(MLIRContext *context, StringRef name) {
  const RecipeRow *row = findRow(name);
  if (!row)
    return {};
  return get(context, row->qk, row->granularity, row->smooth, row->pv, row->accumulation,
             row->inner, row->interval, row->rowSum, row->rotate, row->range);
}

std::string RecipeAttr::listNames() {
  SmallVector<StringRef> names;
  for (const RecipeRow &row : namedRecipes)
    names.push_back(row.name);
  return llvm::join(names, ", ");
}

std::optional<StringRef> RecipeAttr::getName() const {
  for (const RecipeRow &row : namedRecipes)
    if (countDifferences(row, *this) == 0)
      return row.name;
  return std::nullopt;
}

float RecipeAttr::getScoreRange() const {
  switch (getQk()) {
  case ScoreType::Int8:
    return 127.0f;
  case ScoreType::Int4:
    return 7.0f;
  case ScoreType::E4M3:
    return 448.0f;
  case ScoreType::F16:
    return 0.0f;
  }
  llvm_unreachable("unknown score type");
}

float RecipeAttr::getProbabilityRange() const {
  if (getPv() == PvType::F16)
    return 1.0f;
  // 64 tokens of 224 * 4.5 sum to 64512, below the largest f16 (R4).
  if (getInner() == InnerType::F16)
    return 224.0f;
  return getPv() == PvType::E4M3 ? 448.0f : 57344.0f;
}

float RecipeAttr::getValueRange() const {
  if (getPv() == PvType::F16)
    return 0.0f;
  if (getInner() == InnerType::F16)
    return 4.5f;
  return getPv() == PvType::E4M3 ? 448.0f : 57344.0f;
}

/// Parses one enumerator into `value`.
template <typename Enum> static ParseResult parseEnumerator(AsmParser &parser, Enum &value) {
  StringRef keyword;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<Enum> parsed = symbolizeEnum<Enum>(keyword);
  if (!parsed)
    return parser.emitError(location, "unknown value '") << keyword << "'";
  value = *parsed;
  return success();
}

/// Parses `none` or a set such as `q|k`.
static ParseResult parseSmoothing(AsmParser &parser, Smoothing &value) {
  value = Smoothing::None;
  do {
    Smoothing bit = Smoothing::None;
    if (parseEnumerator(parser, bit))
      return failure();
    value = value | bit;
  } while (succeeded(parser.parseOptionalVerticalBar()));
  return success();
}

static ParseResult parseOverride(AsmParser &parser, RecipeRow &row) {
  StringRef field;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseKeyword(&field) || parser.parseEqual())
    return failure();
  if (field == "qk")
    return parseEnumerator(parser, row.qk);
  if (field == "granularity")
    return parseEnumerator(parser, row.granularity);
  if (field == "smooth")
    return parseSmoothing(parser, row.smooth);
  if (field == "pv")
    return parseEnumerator(parser, row.pv);
  if (field == "accumulation")
    return parseEnumerator(parser, row.accumulation);
  if (field == "inner")
    return parseEnumerator(parser, row.inner);
  if (field == "interval")
    return parser.parseInteger(row.interval);
  if (field == "row_sum")
    return parseEnumerator(parser, row.rowSum);
  if (field == "rotate")
    return parseEnumerator(parser, row.rotate);
  if (field == "range")
    return parseEnumerator(parser, row.range);
  return parser.emitError(location, "recipe field must be qk, granularity, smooth, rotate, range, "
                                    "pv, accumulation, inner, interval or row_sum, but got '")
         << field << "'";
}

Attribute RecipeAttr::parse(AsmParser &parser, Type) {
  SMLoc location = parser.getCurrentLocation();
  std::string name;
  if (parser.parseLess())
    return {};
  SMLoc nameLocation = parser.getCurrentLocation();
  if (parser.parseString(&name))
    return {};
  const RecipeRow *base = findRow(name);
  if (!base) {
    parser.emitError(nameLocation, "recipe must be one of ")
        << listNames() << ", but got '" << name << "'";
    return {};
  }
  RecipeRow row = *base;
  while (succeeded(parser.parseOptionalComma()))
    if (parseOverride(parser, row))
      return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<RecipeAttr>(location, parser.getContext(), row.qk, row.granularity,
                                       row.smooth, row.pv, row.accumulation, row.inner,
                                       row.interval, row.rowSum, row.rotate, row.range);
}

void RecipeAttr::print(AsmPrinter &printer) const {
  const RecipeRow *nearest = &namedRecipes[0];
  for (const RecipeRow &row : namedRecipes)
    if (countDifferences(row, *this) < countDifferences(*nearest, *this))
      nearest = &row;
  printer << "<\"" << nearest->name << '"';
  if (getQk() != nearest->qk)
    printer << ", qk = " << stringifyScoreType(getQk());
  if (getGranularity() != nearest->granularity)
    printer << ", granularity = " << stringifyGranularity(getGranularity());
  if (getSmooth() != nearest->smooth)
    printer << ", smooth = " << stringifySmoothing(getSmooth());
  if (getRotate() != nearest->rotate)
    printer << ", rotate = " << stringifyRotation(getRotate());
  if (getRange() != nearest->range)
    printer << ", range = " << stringifyScoreRange(getRange());
  if (getPv() != nearest->pv)
    printer << ", pv = " << stringifyPvType(getPv());
  if (getAccumulation() != nearest->accumulation)
    printer << ", accumulation = " << stringifyAccumulation(getAccumulation());
  if (getInner() != nearest->inner)
    printer << ", inner = " << stringifyInnerType(getInner());
  if (getInterval() != nearest->interval)
    printer << ", interval = " << getInterval();
  if (getRowSum() != nearest->rowSum)
    printer << ", row_sum = " << stringifyRowSum(getRowSum());
  printer << '>';
}

LogicalResult RecipeAttr::verify(function_ref<InFlightDiagnostic()> emitError, ScoreType qk,
                                 Granularity granularity, Smoothing smooth, PvType pv,
                                 Accumulation accumulation, InnerType inner, int64_t interval,
                                 RowSum rowSum, Rotation rotate, ScoreRange range) {
  bool twoLevel = accumulation == Accumulation::TwoLevel;
  if (qk == ScoreType::F16 && pv != PvType::F16)
    return emitError() << "recipe with qk = f16 must have pv = f16, but got " << stringifyPvType(pv)
                       << " [R1]";
  if (qk == ScoreType::F16 && (granularity != Granularity::PerTensor || smooth != Smoothing::None))
    return emitError() << "recipe with qk = f16 must have granularity = per_tensor and smooth = "
                          "none, but got "
                       << stringifyGranularity(granularity) << " and " << stringifySmoothing(smooth)
                       << " [R2]";
  if (interval < 0 || interval % 32 != 0 || (!twoLevel && interval != 0))
    return emitError() << "recipe interval must be 0 or, under two_level, a positive multiple of "
                          "32 tokens, but got "
                       << interval << " under " << stringifyAccumulation(accumulation) << " [R3]";
  if (inner == InnerType::F16 &&
      (!twoLevel || pv != PvType::E4M3 || interval < 1 || interval > 64)) {
    auto diagnostic = emitError() << "recipe with inner = f16 must have pv = e4m3, accumulation = "
                                     "two_level and an interval of 32 or 64, but got "
                                  << stringifyPvType(pv) << ", "
                                  << stringifyAccumulation(accumulation) << " and " << interval
                                  << " [R4]";
    diagnostic.attachNote() << "an f16 accumulator overflows past 64 tokens; use interval = 64";
    return diagnostic;
  }
  if (rowSum == RowSum::Quantized && (!twoLevel || pv == PvType::F16)) {
    auto diagnostic = emitError() << "recipe with row_sum = quantized must have an 8-bit pv and "
                                     "accumulation = two_level, but got "
                                  << stringifyPvType(pv) << " and "
                                  << stringifyAccumulation(accumulation) << " [R5]";
    diagnostic.attachNote() << "a row sum kept in the tensor core's 22 bits is biased; use "
                               "row_sum = float";
    return diagnostic;
  }
  if (rotate != Rotation::None && (qk == ScoreType::F16 || granularity == Granularity::PerTensor)) {
    auto diagnostic = emitError() << "recipe with rotate = " << stringifyRotation(rotate)
                                  << " must have a quantized qk and scales of less than a head, "
                                     "but got "
                                  << stringifyScoreType(qk) << " and "
                                  << stringifyGranularity(granularity) << " [R8]";
    diagnostic.attachNote() << "use granularity = per_thread";
    return diagnostic;
  }
  if (range == ScoreRange::Clipped && qk != ScoreType::Int4) {
    auto diagnostic = emitError() << "recipe with range = clipped must have qk = int4, but got "
                                  << stringifyScoreType(qk) << " [R9]";
    diagnostic.attachNote() << "8 bits round little; saturating costs more there than it gains";
    return diagnostic;
  }
  bool smoothsValue = bitEnumContainsAny(smooth, Smoothing::Value);
  if (pv == PvType::F16 && (twoLevel || smoothsValue))
    return emitError() << "recipe with pv = f16 must have accumulation = single and no smooth v, "
                          "but got "
                       << stringifyAccumulation(accumulation) << " and "
                       << stringifySmoothing(smooth) << " [R6]";
  return success();
}
