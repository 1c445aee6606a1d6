// `#sage.schedule`, `#sage.target` and `#sage.rates`: rules S1 to S13, T1 and T2, and what they
// rule out.

#include "mlir/IR/Diagnostics.h"
#include "sage/Dialect/Sage/IR/Panels.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace sage;

static constexpr int64_t threadsPerWarpgroup = 128;
static constexpr int64_t registersPerMultiprocessor = 65536;

int64_t ScheduleAttr::getThreads() const {
  int64_t threadsPerUnit = getFamily() == Family::Wgmma ? threadsPerWarpgroup : 32;
  return getUnits() * threadsPerUnit + (isWarpSpecialized() ? threadsPerWarpgroup : 0);
}

bool ScheduleAttr::quantizesQueryOf(RecipeAttr recipe) const {
  if (!getQuantizesQuery() || !recipe.quantizesScores() || recipe.smoothsQuery())
    return false;
  Granularity granularity = recipe.getGranularity();
  return granularity != Granularity::PerTensor && granularity != Granularity::PerBlock;
}

/// Bytes of a tile that is split in panels; each starts at a multiple of 1024 (swizzles).
static int64_t getTileBytes(int64_t rows, ArrayRef<int64_t> panels) {
  int64_t bytes = 0;
  for (int64_t width : panels)
    bytes += llvm::alignTo(rows * width, 1024);
  return bytes;
}

int64_t ScheduleAttr::getSharedBytes(RecipeAttr recipe) const {
  int64_t scoreBytes = recipe.quantizesScores() ? 1 : 2;
  int64_t valueBytes = recipe.quantizesValue() ? 1 : 2;
  // Eight rows of ones beside V let the tensor core make the row sums.
  int64_t valueRows = getHeadDim() + (recipe.getRowSum() == RowSum::Quantized ? 8 : 0);
  SmallVector<int64_t> scorePanels = splitInPanels(getHeadDim() * scoreBytes);
  SmallVector<int64_t> valuePanels =
      splitInPanels(getKeyTile() * valueBytes, recipe.getInterval() * valueBytes);
  int64_t queryStages = getPersistent() && !quantizesQueryOf(recipe) ? 2 : 1;
  int64_t tiles = getTileBytes(queryStages * getBlockRows(), scorePanels) +
                  getTileBytes(getStages() * getKeyTile(), scorePanels) +
                  getTileBytes(getStages() * valueRows, valuePanels);
  // Per stage the scales of one tile, 16 bytes or one per token, and under smooth Q a row of dS.
  bool perToken = recipe.getGranularity() == Granularity::PerToken;
  int64_t scales =
      (perToken ? getKeyTile() * 4 : 16) + (recipe.smoothsQuery() ? getKeyTile() * 4 : 0);
  // 512 for barriers and the alignment of vectors.
  return tiles + getStages() * scales + 512;
}

std::optional<std::string> ScheduleAttr::findConflict(RecipeAttr recipe, GeometryAttr geometry,
                                                      ScoreDemands demands) const {
  if (geometry.getKeyTile() != getKeyTile())
    return llvm::formatv("schedule key_tile must be the geometry's, but got {0} and {1}",
                         getKeyTile(), geometry.getKeyTile())
        .str();
  if (geometry.getQueryBlock() % getRowsPerUnit() != 0)
    return llvm::formatv("schedule rows_per_unit must divide the geometry's query_block, but got "
                         "{0} and {1}",
                         getRowsPerUnit(), geometry.getQueryBlock())
        .str();
  int64_t block = geometry.getQueryBlock(), rows = getBlockRows();
  if (recipe.smoothsQuery() && block % rows != 0)
    return llvm::formatv("schedule rows of a thread block must divide the geometry's query_block "
                         "under smooth q, but got {0} and {1}",
                         rows, block)
        .str();
  if (recipe.getGranularity() == Granularity::PerBlock && block % rows != 0 && rows % block != 0)
    return llvm::formatv("schedule rows of a thread block and the geometry's query_block must "
                         "divide one another under per_block scales, but got {0} and {1}",
                         rows, block)
        .str();
  if ((demands.terms || recipe.getGranularity() == Granularity::PerToken) && !getScoreTerms())
    return std::string("schedule must have score_terms = true for scales per token, a bias or a "
                       "soft cap, but got false");
  constexpr int64_t mostCorrectedKeys = 128;
  if (recipe.smoothsQuery() && !getScoreTerms() && getKeyTile() > mostCorrectedKeys)
    return llvm::formatv("schedule must have score_terms = true or a key_tile of at most {0} for "
                         "smooth q, but got {1}",
                         mostCorrectedKeys, getKeyTile())
        .str();
  // Its P takes twice the registers of an 8-bit one, beside what its scores are multiplied by.
  if (recipe.quantizesScores() && !recipe.quantizesValue() && !getScoreTerms() &&
      getKeyTile() > mostCorrectedKeys)
    return llvm::formatv("schedule must have score_terms = true or a key_tile of at most {0} for "
                         "a 16-bit pv of quantized scores, but got {1}",
                         mostCorrectedKeys, getKeyTile())
        .str();
  if (demands.mask && !getMasks())
    return std::string("schedule must have masks = true for a mask, but got false");
  if (demands.window && !getWindows())
    return std::string("schedule must have windows = true for a mask with window_left, but got "
                       "false");
  // Starting at 1.5 * 2^23 costs bits below 2^-1 of a score step: harmless at R = 127, not at 7.
  if (getConversion() == Conversion::Magic && recipe.getQk() != ScoreType::Int8)
    return llvm::formatv("schedule with conversion = magic must have qk = int8, but got {0}",
                         stringifyScoreType(recipe.getQk()))
        .str();
  // And the constant's rounding costs more of the LSE than the rest of a float sum does, up to
  // 1e-3; beside the rounding of P in a sum of P8 it is nothing.
  if (getConversion() == Conversion::Magic && recipe.getRowSum() != RowSum::Quantized)
    return std::string("schedule with conversion = magic must have row_sum = quantized, but got "
                       "float");
  if (recipe.getInterval() != 0 && getKeyTile() % recipe.getInterval() != 0)
    return llvm::formatv("schedule key_tile must be a multiple of the recipe's interval, but got "
                         "{0} and {1}",
                         getKeyTile(), recipe.getInterval())
        .str();
  bool sumsIntervals = recipe.getInterval() != 0 && recipe.getInterval() < getKeyTile() &&
                       recipe.getInner() == InnerType::F32;
  if (sumsIntervals && !getIntervals())
    return llvm::formatv("schedule must have intervals = true for an interval of {0} in tiles of "
                         "{1} keys with inner = f32, but got false",
                         recipe.getInterval(), getKeyTile())
        .str();
  return std::nullopt;
}

/// Registers: a specialized thread block redistributes what it was launched with, never more.
static LogicalResult verifyRegisters(function_ref<InFlightDiagnostic()> emitError, Family family,
                                     int64_t units, int64_t producer, int64_t consumer) {
  if (producer == 0 && consumer == 0)
    return success();
  auto inRange = [](int64_t count) { return count >= 24 && count <= 240 && count % 8 == 0; };
  if (family != Family::Wgmma || !inRange(producer) || !inRange(consumer))
    return emitError() << "schedule registers must both be 0 or, with wgmma, both be multiples of "
                          "8 from 24 to 240, but got "
                       << producer << " and " << consumer << " [S6]";
  int64_t groups = units + 1;
  int64_t atEntry = registersPerMultiprocessor / (groups * threadsPerWarpgroup) / 8 * 8;
  if (producer + units * consumer > groups * atEntry) {
    auto diagnostic = emitError() << "schedule registers must fit the " << groups * atEntry
                                  << " that " << groups << " warpgroups have at entry, but got "
                                  << producer + units * consumer << " [S6]";
    diagnostic.attachNote() << "setmaxnreg waits for ever when the sum is larger; lower "
                               "consumer_registers";
    return diagnostic;
  }
  return success();
}

LogicalResult ScheduleAttr::verify(function_ref<InFlightDiagnostic()> emitError, Family family,
                                   Copy copy, int64_t headDim, int64_t units, int64_t rowsPerUnit,
                                   int64_t keyTile, int64_t stages, int64_t valueChunks,
                                   int64_t expChunks, Conversion conversion,
                                   int64_t producerRegisters, int64_t consumerRegisters,
                                   bool scoreTerms, bool lateConversions, bool intervals,
                                   bool masks, bool windows, bool fenceProducts, bool persistent,
                                   bool quantizesQuery) {
  if (headDim < 32 || headDim > 256 || headDim % 32 != 0)
    return emitError() << "schedule head_dim must be a multiple of 32 up to 256, but got "
                       << headDim << " [S1]";
  int64_t maxUnits = family == Family::Wgmma ? 4 : 16;
  int64_t rows = family == Family::Wgmma ? 64 : 16;
  if (units < 1 || units > maxUnits || rowsPerUnit != rows)
    return emitError() << "schedule of " << stringifyFamily(family) << " must have 1 to "
                       << maxUnits << " units of " << rows << " rows, but got " << units << " of "
                       << rowsPerUnit << " [S2]";
  if (family == Family::Wgmma && copy != Copy::Tma)
    return emitError() << "schedule of wgmma must have copy = tma, but got " << stringifyCopy(copy)
                       << " [S3]";
  if (keyTile < 32 || keyTile > 256 || keyTile % 32 != 0 || stages < 1 || stages > 8)
    return emitError() << "schedule must have a key_tile that is a multiple of 32 up to 256 and 1 "
                          "to 8 stages, but got "
                       << keyTile << " and " << stages << " [S4]";
  if (valueChunks < 1 || headDim % valueChunks != 0 || (headDim / valueChunks) % 8 != 0)
    return emitError() << "schedule value_chunks must split the head dim into multiples of 8, but "
                          "got "
                       << valueChunks << " for " << headDim << " [S5]";
  if (expChunks < 0 || (expChunks > 0 && (keyTile / 8) % expChunks != 0))
    return emitError() << "schedule exp_chunks must be 0 or divide the key tile's columns of 8, "
                          "but got "
                       << expChunks << " for " << keyTile / 8 << " [S5]";
  if (fenceProducts && family == Family::Wgmma)
    return emitError() << "schedule of wgmma must have fence_products = false, but got true [S10]";
  if (persistent && producerRegisters == 0)
    return emitError() << "schedule with persistent = true must have a producer, but got "
                          "producer_registers = 0 [S12]";
  if (quantizesQuery && family != Family::Wgmma)
    return emitError() << "schedule with quantizes_query = true must be of wgmma, but got "
                       << stringifyFamily(family) << " [S13]";
  return verifyRegisters(emitError, family, units, producerRegisters, consumerRegisters);
}

std::optional<std::string> TargetAttr::findConflict(RecipeAttr recipe) const {
  bool usesE4M3 = recipe.quantizesValue() || recipe.getQk() == ScoreType::E4M3;
  if (usesE4M3 && !getE4m3Mma())
    return (Twine("recipe on ") + getChip() +
            " must have no 8-bit float product (the chip has none), but got qk = " +
            stringifyScoreType(recipe.getQk()) + " and pv = " + stringifyPvType(recipe.getPv()))
        .str();
  return std::nullopt;
}

LogicalResult TargetAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringRef chip,
                                 Family family, int64_t ptx, int64_t sharedBytes, bool e4m3Mma,
                                 bool int4Mma, StringRef schedules) {
  if (!chip.starts_with("sm_") || schedules.empty())
    return emitError() << "target must have a chip that starts with sm_ and a folder of schedules, "
                          "but got '"
                       << chip << "' and '" << schedules << "' [T1]";
  if (ptx < 80 || sharedBytes < 49152)
    return emitError() << "target must have PTX 80 or later and at least 49152 bytes of shared "
                          "memory, but got "
                       << ptx << " and " << sharedBytes << " [T1]";
  return success();
}

LogicalResult RatesAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringRef product,
                                int64_t multiprocessors, int64_t clockMhz, int64_t tensorF16,
                                int64_t tensorInt8, int64_t tensorInt4, int64_t tensorE4M3,
                                int64_t special, int64_t fma, int64_t alu, int64_t convert,
                                int64_t shared, int64_t latency, int64_t sharedBytes,
                                int64_t threads) {
  for (int64_t rate : {multiprocessors, clockMhz, tensorF16, tensorInt8, special, fma, alu, convert,
                       shared, sharedBytes, threads})
    if (rate < 1)
      return emitError() << "rates must be at least 1, but got " << rate << " [T2]";
  for (int64_t rate : {tensorInt4, tensorE4M3, latency})
    if (rate < 0)
      return emitError() << "rates of int4 and e4m3 products and the latency must not be negative, "
                            "but got "
                         << rate << " [T2]";
  if (product.empty())
    return emitError() << "rates must name a product, but got '' [T2]";
  return success();
}
