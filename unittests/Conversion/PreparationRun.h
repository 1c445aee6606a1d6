// Runs the preparation kernels of one attention in the interpreter, and the CPU reference.

#ifndef SAGE_UNITTESTS_CONVERSION_PREPARATIONRUN_H
#define SAGE_UNITTESTS_CONVERSION_PREPARATIONRUN_H

#include "InputDistribution.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "sage/runtime/sage.h"
#include "llvm/ADT/StringMap.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sage::test {

struct PreparationCase {
  const char *name, *recipe, *chip;
  int64_t batch, queryHeads, keyHeads, queries, keys, headDim, valueHeadDim;
  bool isTokenMajor = false, isBF16 = false;
  /// Puts a NaN or an infinity into one token of each of Q, K and V (P1).
  bool isPoisoned = false;
  /// Elements between the rows of the caller's tensors.
  int64_t rowPadding = 0;
  /// 0: the defaults of the geometry.
  int64_t queryBlock = 0, keyTile = 0;
  evaluation::InputDistribution inputs = evaluation::InputDistribution::Normal;
  /// One for each batch entry, or S + 1 for each side; empty where all entries are whole.
  std::vector<int32_t> keyLengths, queryOffsets, keyOffsets;

  bool isPacked() const { return !queryOffsets.empty(); }
  bool isRagged() const { return isPacked() || !keyLengths.empty(); }
};

/// The reference's intermediates, dense and without padding.
struct ReferenceResult {
  int64_t queryGroups, keyGroups;
  std::vector<float> queryMean, keyMean, valueMean, queryScales, keyScales, valueScales,
      scoreCorrection;
  std::vector<int8_t> query, key;
  std::vector<uint8_t> values;
};

class PreparationRun {
public:
  /// Reports what went wrong through GoogleTest; false then.
  bool prepare(const PreparationCase &tested);
  /// Likewise, on given inputs and without the reference.
  bool prepare(const PreparationCase &tested, std::vector<uint16_t> query,
               std::vector<uint16_t> key, std::vector<uint16_t> value);

  const std::vector<char> &find(const std::string &slice) const;
  float toFloat(uint16_t bits) const;
  /// K minus its mean, rounded to float32.
  float getCentredKey(int64_t head, int64_t token, int64_t channel) const;

  // Dense [B, H, N, D].
  std::vector<uint16_t> query, key, value;
  RecipeAttr recipe;
  ReferenceResult reference;
  int64_t paddedHeadDim, paddedValueHeadDim, paddedQueries, paddedKeys, querySlot, keyTile,
      queryBlock, queryBlocks, elementBytes, valueBytes;
  /// How 4-bit integers are stored.
  bool packsNibbles, storesFloats;

private:
  void makeInputs();
  bool compileAndInterpret();
  bool compile();
  bool attachSchedule(mlir::ModuleOp module);
  bool interpret();
  bool runReference();

  PreparationCase tested;
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  GeometryAttr geometry;
  llvm::StringMap<std::vector<char>> workspace;
};

} // namespace sage::test

#endif // SAGE_UNITTESTS_CONVERSION_PREPARATIONRUN_H
