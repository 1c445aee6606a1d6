// Arithmetic on fragments.

#include "Block.h"

#include <cmath>

using namespace mlir;

namespace sage::tile::interpreter {

static FragmentType getResultType(const Instruction &instruction) {
  return cast<FragmentType>(instruction.op->getResult(0).getType());
}

void Block::runSplat(Unit &unit, const Instruction &instruction) {
  auto fragment = std::make_shared<Fragment>(getResultType(instruction));
  Scalar value = getOperand(unit, instruction, 0).scalar;
  if (isFloat(fragment->kind))
    std::fill(fragment->numbers.begin(), fragment->numbers.end(), value.number);
  else
    std::fill(fragment->integers.begin(), fragment->integers.end(),
              static_cast<int32_t>(value.integer));
  getResult(unit, instruction).fragment = std::move(fragment);
}

//===----------------------------------------------------------------------===//
// map
//===----------------------------------------------------------------------===//

/// Elements that one pass over the body's steps computes.
static constexpr int64_t stripLength = 256;

static void loadStrip(const Fragment &input, const Gather &gather, int64_t begin, int64_t count,
                      Scalar *strip) {
  for (int64_t i = 0; i < count; ++i) {
    int64_t element = gather.empty() ? begin + i : gather[begin + i];
    if (isFloat(input.kind))
      strip[i].number = input.numbers[element];
    else
      strip[i].integer = input.integers[element];
  }
}

void Block::runMap(Unit &unit, const Instruction &instruction) {
  const auto &data = static_cast<const MapData &>(*instruction.data);
  auto result = std::make_shared<Fragment>(getResultType(instruction));
  std::vector<Scalar> registers(data.numRegisters * stripLength);
  auto getStrip = [&](int reg) { return registers.data() + reg * stripLength; };
  for (auto [reg, slot] : data.captured)
    std::fill_n(getStrip(reg), stripLength, unit.slots[slot].scalar);

  for (int64_t begin = 0; begin < result->size(); begin += stripLength) {
    int64_t count = std::min(stripLength, result->size() - begin);
    if (data.firstInput == 2)
      for (int64_t i = 0; i < count; ++i) {
        getStrip(0)[i].integer = (begin + i) / result->columns;
        getStrip(1)[i].integer = (begin + i) % result->columns;
      }
    for (auto [index, gather] : llvm::enumerate(data.gathers))
      loadStrip(*getOperand(unit, instruction, static_cast<int>(index)).fragment, gather, begin,
                count, getStrip(data.firstInput + static_cast<int>(index)));
    for (const MapData::Step &step : data.steps) {
      const Scalar *operands[3] = {};
      for (auto [index, reg] : llvm::enumerate(step.operands))
        operands[index] = getStrip(reg);
      step.op.apply(operands, getStrip(step.result), count);
    }
    const Scalar *strip = getStrip(data.result);
    for (int64_t i = 0; i < count; ++i) {
      if (isFloat(result->kind))
        result->numbers[begin + i] = strip[i].number;
      else
        result->integers[begin + i] = static_cast<int32_t>(strip[i].integer);
    }
  }
  getResult(unit, instruction).fragment = std::move(result);
}

//===----------------------------------------------------------------------===//
// reduce
//===----------------------------------------------------------------------===//

/// Combines `values` as a halving tree (Spec N1); an odd one out joins in the next round.
template <typename T, typename Combine>
static T reduceTree(std::vector<T> &values, Combine combine) {
  for (size_t count = values.size(); count > 1;) {
    size_t half = (count + 1) / 2;
    for (size_t i = 0; i + half < count; ++i)
      values[i] = combine(values[i], values[i + half]);
    count = half;
  }
  return values.front();
}

template <typename T, typename Combine>
static void reduceAll(const ReduceData &data, const std::vector<T> &source, std::vector<T> &result,
                      Combine combine) {
  std::vector<T> values;
  for (size_t element = 0; element < result.size(); ++element) {
    values.clear();
    for (int32_t i = data.first[element]; i < data.first[element + 1]; ++i)
      values.push_back(source[data.members[i]]);
    if (!values.empty())
      result[element] = reduceTree(values, combine);
  }
}

void Block::runReduce(Unit &unit, const Instruction &instruction) {
  const auto &data = static_cast<const ReduceData &>(*instruction.data);
  auto result = std::make_shared<Fragment>(getResultType(instruction));
  const Fragment &source = *getOperand(unit, instruction, 0).fragment;
  switch (cast<ReduceOp>(instruction.op).getKind()) {
  case ReduceKind::AddF:
    reduceAll(data, source.numbers, result->numbers,
              [&](float a, float b) { return roundTo(source.kind, a + b); });
    break;
  case ReduceKind::MaximumF:
    reduceAll(data, source.numbers, result->numbers,
              [](float a, float b) { return a != a || a > b ? a : b; });
    break;
  case ReduceKind::MaxSI:
    reduceAll(data, source.integers, result->integers,
              [](int32_t a, int32_t b) { return std::max(a, b); });
    break;
  }
  getResult(unit, instruction).fragment = std::move(result);
}

//===----------------------------------------------------------------------===//
// convert, slice, concat
//===----------------------------------------------------------------------===//

/// Nearest even, saturating at ±127; NaN becomes 0.
static int32_t roundToInt8(float value) {
  if (value != value)
    return 0;
  return static_cast<int32_t>(std::nearbyint(std::min(std::max(value, -127.0f), 127.0f)));
}

void Block::runConvert(Unit &unit, const Instruction &instruction) {
  const Gather &gather = static_cast<const GatherData &>(*instruction.data).gather;
  auto result = std::make_shared<Fragment>(getResultType(instruction));
  const Fragment &source = *getOperand(unit, instruction, 0).fragment;
  for (int64_t i = 0; i < result->size(); ++i) {
    int64_t element = gather.empty() ? i : gather[i];
    if (!isFloat(source.kind))
      result->integers[i] = source.integers[element];
    else if (isFloat(result->kind))
      result->numbers[i] = roundTo(result->kind, source.numbers[element]);
    else
      result->integers[i] = roundToInt8(source.numbers[element]);
  }
  getResult(unit, instruction).fragment = std::move(result);
}

/// Copies `columns` columns of all rows.
static void copyColumns(const Fragment &from, int64_t fromColumn, Fragment &to, int64_t toColumn,
                        int64_t columns) {
  for (int64_t row = 0; row < from.rows; ++row) {
    int64_t source = row * from.columns + fromColumn, target = row * to.columns + toColumn;
    if (isFloat(from.kind))
      std::copy_n(from.numbers.begin() + source, columns, to.numbers.begin() + target);
    else
      std::copy_n(from.integers.begin() + source, columns, to.integers.begin() + target);
  }
}

void Block::runHadamard(Unit &unit, const Instruction &instruction) {
  auto result = std::make_shared<Fragment>(*getOperand(unit, instruction, 0).fragment);
  int64_t block = cast<HadamardOp>(instruction.op).getBlock();
  for (int64_t distance = 1; distance < block; distance *= 2)
    for (int64_t first = 0; first < result->size(); first += 2 * distance)
      for (int64_t i = first; i < first + distance; ++i) {
        float a = result->numbers[i], b = result->numbers[i + distance];
        result->numbers[i] = a + b;
        result->numbers[i + distance] = a - b;
      }
  getResult(unit, instruction).fragment = std::move(result);
}

void Block::runPackNibbles(Unit &unit, const Instruction &instruction) {
  const auto &data = static_cast<const GatherData &>(*instruction.data);
  const Fragment &source = *getOperand(unit, instruction, 0).fragment;
  auto result = std::make_shared<Fragment>(getResultType(instruction));
  for (int64_t i = 0; i < result->size(); ++i) {
    int32_t low = source.integers[data.gather[i]], high = source.integers[data.gather[i] + 1];
    result->integers[i] = static_cast<int32_t>(wrapInteger((high << 4) | (low & 15), 8));
  }
  getResult(unit, instruction).fragment = std::move(result);
}

void Block::runSlice(Unit &unit, const Instruction &instruction) {
  auto result = std::make_shared<Fragment>(getResultType(instruction));
  copyColumns(*getOperand(unit, instruction, 0).fragment, cast<SliceOp>(instruction.op).getColumn(),
              *result, 0, result->columns);
  getResult(unit, instruction).fragment = std::move(result);
}

void Block::runConcat(Unit &unit, const Instruction &instruction) {
  auto result = std::make_shared<Fragment>(getResultType(instruction));
  int64_t column = 0;
  for (int slot : instruction.operands) {
    const Fragment &source = *unit.slots[slot].fragment;
    copyColumns(source, 0, *result, column, source.columns);
    column += source.columns;
  }
  getResult(unit, instruction).fragment = std::move(result);
}

} // namespace sage::tile::interpreter
