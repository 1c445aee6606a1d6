// V as the attention kernel reads it: centred, quantized or copied; channel-major, tokens in
// storage order.

#include "Preparation.h"

using namespace mlir;
using namespace sage;

namespace {

/// Most tokens that go through shared memory at once.
constexpr int64_t maxPanelTokens = 128;

/// A thread block takes a panel of channels of one key tile through shared memory, from which it is
/// read channel-major.
class ValueOperand {
public:
  explicit ValueOperand(ProgramBuilder &program)
      : program(program), problem(program.getProblem()), tileTokens(problem.getKeyTile()),
        panelTokens(std::min(tileTokens & -tileTokens, maxPanelTokens)),
        b(program.startKernel("quantize_value", tile::Unit::Warp, warpsPerBlock)),
        space(program, b, Side::Key, tileTokens),
        input(program, b, "value", problem.valueHeadDim, Symbol::ValueB, Symbol::ValueAlign) {}

  void build();

private:
  void fill(const TokenTile &tile, Value column, int64_t firstToken);
  void drain(const TokenTile &tile, Value column, int64_t firstToken);

  ProgramBuilder &program;
  const Problem &problem;
  const int64_t tileTokens, panelTokens;
  KernelBuilder b;
  TokenSpace space;
  CallerTensor input;
  Value inverses, means, quantized, shared;
};

/// Quantizes the warp's tokens of a panel of tokens into shared memory (Spec N2, N5).
void ValueOperand::fill(const TokenTile &tile, Value column, int64_t firstToken) {
  int64_t rows = panelTokens / warpsPerBlock;
  Value offset = b.add(b.mul(tile::UnitIdOp::create(b), rows), b.index(firstToken));
  auto inputType = getRowMajor(b, rows, panelColumns, problem.elementType, /*vectorLength=*/8);
  Value x = input.load(inputType, tile, offset, column);
  if (problem.recipe.quantizesValue()) {
    auto type = inputType.withElementType(b.getF32Type());
    x = b.convert(x, type);
    if (means)
      x = subtractMean(b, x, means, tile.entryHead, column,
                       b.sub(tile.tokens, b.add(tile.first, offset)));
    auto inverseType = tile::FragmentType::get(b.getContext(), {1, panelColumns}, b.getF32Type(),
                                               type.getLayout().dropRows());
    x = b.map(type, {x, b.load(inverseType, inverses, {tile.entryHead, column})},
              [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
    x = b.convert(x, type.withElementType(problem.getValueType()));
  }
  b.store(x, shared, {offset, b.index(0)});
}

/// Stores the warp's channels of a panel of tokens (Spec N6).
void ValueOperand::drain(const TokenTile &tile, Value column, int64_t firstToken) {
  int64_t channels = panelColumns / warpsPerBlock;
  Value channel = b.mul(tile::UnitIdOp::create(b), channels);
  auto outputType =
      getRowMajor(b, channels, panelTokens, problem.getValueType(), 16 / problem.getValueBytes());
  AffineExpr token =
      problem.geometry.getValueOrderMap().getResult(0).replaceDims({b.getAffineDimExpr(1)});
  AffineMap transposed = AffineMap::get(2, 0, {token, b.getAffineDimExpr(0)}, b.getContext());
  Value y = b.load(outputType, shared, {b.index(firstToken), channel}, {}, transposed);
  Value row = b.add(b.mul(tile.headRow, problem.getPaddedValueHeadDim()), b.add(column, channel));
  Value position = b.add(b.add(tile.paddedFirst, tile.first), b.index(firstToken));
  b.store(y, quantized, {row, position});
}

void ValueOperand::build() {
  int64_t paddedChannels = problem.getPaddedValueHeadDim(), panels = paddedChannels / panelColumns;
  program.addWorkspace(buffer::value, program.getKeyHeads() * program.getPaddedKeys() *
                                          (paddedChannels * problem.getValueBytes()));
  if (problem.recipe.quantizesValue())
    inverses = b.addBuffer(buffer::valueInverse, getTable(b, paddedChannels));
  if (problem.recipe.smoothsValue())
    means = b.addBuffer(buffer::valueMean, getTable(b, paddedChannels));
  quantized = b.addRows(buffer::value, problem.getValueType(), program.getPaddedKeys());
  shared =
      tile::AllocOp::create(b, tile::SharedType::get(b.getContext(), {tileTokens, panelColumns},
                                                     problem.getValueType(), 0));

  auto [tileIndex, panel] = b.divide(tile::BlockIdOp::create(b), b.index(panels));
  Value column = b.mul(panel, panelColumns);
  TokenTile tile = space.decode(tileIndex, tileTokens);
  b.when(tile.exists, [&] {
    for (int64_t token = 0; token < tileTokens; token += panelTokens)
      fill(tile, column, token);
    tile::SyncOp::create(b);
    for (int64_t token = 0; token < tileTokens; token += panelTokens)
      drain(tile, column, token);
  });
  program.launch(b, space.getTiles(tileTokens) * panels);
}

} // namespace

void sage::addValueOperand(ProgramBuilder &program) { ValueOperand(program).build(); }
