// Matrix products: at once, and in flight between issue and wait.

#include "Block.h"

using namespace mlir;

namespace sage::tile::interpreter {

/// A matrix as numbers of type T, [row][column].
template <typename T> struct Matrix {
  int64_t rows, columns;
  std::vector<T> values;
};

template <typename T> static Matrix<T> decodeTile(const SharedView &view) {
  Matrix<T> matrix{view.rows, view.tile->columns, {}};
  ElementKind kind = view.tile->kind;
  for (int64_t row = 0; row < view.rows; ++row)
    for (int64_t column = 0; column < matrix.columns; ++column) {
      const uint8_t *bytes = view.tile->getData(view.firstRow + row, column);
      matrix.values.push_back(isFloat(kind) ? static_cast<T>(decodeFloat(kind, bytes))
                                            : static_cast<T>(decodeInteger(kind, bytes)));
    }
  return matrix;
}

template <typename T> static Matrix<T> decodeFragment(const Fragment &fragment) {
  Matrix<T> matrix{fragment.rows, fragment.columns, {}};
  if (isFloat(fragment.kind))
    matrix.values.assign(fragment.numbers.begin(), fragment.numbers.end());
  else
    matrix.values.assign(fragment.integers.begin(), fragment.integers.end());
  return matrix;
}

/// Two signed 4-bit integers of every byte, the low half first.
static Matrix<uint32_t> unpackNibbles(const Matrix<uint32_t> &bytes) {
  Matrix<uint32_t> matrix{bytes.rows, bytes.columns * 2, {}};
  for (uint32_t byte : bytes.values)
    for (uint32_t nibble : {byte, byte >> 4})
      matrix.values.push_back(static_cast<uint32_t>(wrapInteger(nibble, 4)));
  return matrix;
}

/// sums[m][n] += Σ a[m][k]·b[n][k] over [begin, end); `b` transposed, so that the inner loop is
/// over neighbours.
template <typename T>
static void accumulate(const Matrix<T> &a, const std::vector<T> &bTransposed, int64_t n,
                       int64_t begin, int64_t end, std::vector<T> &sums) {
  for (int64_t row = 0; row < a.rows; ++row)
    for (int64_t k = begin; k < end; ++k) {
      T factor = a.values[row * a.columns + k];
      const T *b = bTransposed.data() + k * n;
      T *sum = sums.data() + row * n;
      for (int64_t column = 0; column < n; ++column)
        sum[column] += factor * b[column];
    }
}

template <typename T> static std::vector<T> transpose(const Matrix<T> &matrix) {
  std::vector<T> result(matrix.values.size());
  for (int64_t row = 0; row < matrix.rows; ++row)
    for (int64_t column = 0; column < matrix.columns; ++column)
      result[column * matrix.rows + row] = matrix.values[row * matrix.columns + column];
  return result;
}

/// Integers wrap modulo 2^32, as the instruction without satfinite does.
static void multiplyIntegers(const Matrix<uint32_t> &a, const Matrix<uint32_t> &b,
                             const Fragment &accumulator, Fragment &result) {
  std::vector<uint32_t> sums(accumulator.integers.begin(), accumulator.integers.end());
  accumulate(a, transpose(b), b.rows, 0, a.columns, sums);
  result.integers.assign(sums.begin(), sums.end());
}

static void multiplyFloats(const Matrix<double> &a, const Matrix<double> &b, int64_t atomDepth,
                           const Fragment &accumulator, Fragment &result) {
  std::vector<double> sums(accumulator.numbers.begin(), accumulator.numbers.end());
  std::vector<double> bTransposed = transpose(b);
  // A float16 accumulator is rounded by every instruction, a float32 one where it is read.
  int64_t depth = result.kind == ElementKind::F16 ? atomDepth : a.columns;
  for (int64_t begin = 0; begin < a.columns; begin += depth) {
    accumulate(a, bTransposed, b.rows, begin, std::min(begin + depth, a.columns), sums);
    for (size_t i = 0; i < sums.size(); ++i)
      sums[i] = result.numbers[i] = roundTo(result.kind, static_cast<float>(sums[i]));
  }
}

/// The product; adds the tiles that it reads to `product`, if there is one.
FragmentRef Block::multiply(Unit &unit, const Instruction &instruction, Product *product) {
  Operation *op = instruction.op;
  const Value &a = getOperand(unit, instruction, 0), &b = getOperand(unit, instruction, 1);
  const Fragment &accumulator = *getOperand(unit, instruction, 2).fragment;
  bool aIsShared = isa<SharedType>(op->getOperand(0).getType());
  SmallVector<SharedView, 2> reads{b.shared};
  if (aIsShared)
    reads.push_back(a.shared);
  for (const SharedView &view : reads)
    if (!recordRead(unit, op, view))
      return nullptr;
  if (product)
    product->reads = reads;

  bool isInt4 = isa<MmaOp>(op) ? cast<MmaOp>(op).getInt4() : cast<MmaAsyncOp>(op).getInt4();
  auto unpack = [&](Matrix<uint32_t> matrix) {
    return isInt4 ? unpackNibbles(matrix) : std::move(matrix);
  };
  auto result = std::make_shared<Fragment>(
      cast<FragmentType>(AsyncType::getArrived(op->getOperand(2).getType())));
  if (isFloat(result->kind))
    multiplyFloats(aIsShared ? decodeTile<double>(a.shared) : decodeFragment<double>(*a.fragment),
                   decodeTile<double>(b.shared), 32 / b.shared.tile->elementBytes, accumulator,
                   *result);
  else
    multiplyIntegers(
        unpack(aIsShared ? decodeTile<uint32_t>(a.shared) : decodeFragment<uint32_t>(*a.fragment)),
        unpack(decodeTile<uint32_t>(b.shared)), accumulator, *result);
  return result;
}

bool Block::runMma(Unit &unit, const Instruction &instruction) {
  FragmentRef result = multiply(unit, instruction, nullptr);
  getResult(unit, instruction).fragment = result;
  return result != nullptr;
}

/// The value is computed here, but nobody sees it before the wait; until then writes to the tiles
/// are errors.
bool Block::runMmaAsync(Unit &unit, const Instruction &instruction) {
  Product product{unit.numProducts++, instruction.op, {}};
  FragmentRef value = multiply(unit, instruction, &product);
  if (!value)
    return false;
  changeProductReads(product, +1);
  unit.products.push_back(product);
  Value &result = getResult(unit, instruction);
  result.fragment = std::move(value);
  result.product = product.number;
  return true;
}

bool Block::runWait(Unit &unit, const Instruction &instruction) {
  auto op = cast<WaitOp>(instruction.op);
  while (unit.products.size() > op.getPending()) {
    // The product has read its tiles only now.
    Product product = unit.products.front();
    unit.products.pop_front();
    changeProductReads(product, -1);
    for (const SharedView &view : product.reads)
      if (!recordRead(unit, product.op, view))
        return false;
  }
  const Value &source = getOperand(unit, instruction, 0);
  for (const Product &product : unit.products)
    if (product.number == source.product)
      return fail(op, "source must have completed, but is among the pending products", product.op,
                  "the product is issued here");
  getResult(unit, instruction).fragment = source.fragment;
  return true;
}

} // namespace sage::tile::interpreter
