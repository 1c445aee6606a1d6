// V as the attention kernel reads it: centred, quantized or copied; channel-major, tokens in
// storage order.

#include "Preparation.h"
#include "QuantizeRows.h"

using namespace mlir;
using namespace sage;

namespace {

/// Tokens and channels that a warp takes through its registers at once: a lane holds what becomes
/// one word of eight channels (of 8-bit elements), from four tokens.
constexpr int64_t groupTokens = 16, groupChannels = 64, wordTokens = 4, laneChannels = 8;
/// Most groups of an item: two for each warp.
constexpr int64_t mostGroups = 2 * preparationWarps;

/// A thread block takes a key tile, some panels of 64 channels of it. Lanes turn the elements of
/// four tokens to words of neighbouring positions; shared memory, channel-major, joins the words to
/// whole rows. Row 8·i + j of a panel holds channel 8·j + i: the lanes of one store, which have
/// neighbouring j, then differ in the bits that swizzling mixes, and no two banks are the same.
class ValueOperand final : public PreparationPart {
public:
  ValueOperand(ProgramBuilder &program, KernelBuilder &b, Statistics *statistics)
      : program(program), problem(program.getProblem()), tileTokens(problem.getKeyTile()),
        panelTokens(std::min(tileTokens & -tileTokens, 128 / problem.getValueBytes())),
        panels(countPanels()), b(b), space(program, b, Side::Key, tileTokens),
        input(program, b, "value", problem.valueHeadDim, Symbol::ValueB, Symbol::ValueAlign),
        statistics(statistics) {
    addBuffers();
  }

  AffineExpr getItemsOfHead() override { return space.getTilesOfHead(tileTokens) * getParts(); }
  void emit(Value headRow, Value item) override;

private:
  int64_t countPanels() const;
  /// Items that share a key tile.
  int64_t getParts() const { return problem.getPaddedValueHeadDim() / groupChannels / panels; }
  int64_t getTokenPanels() const { return tileTokens / panelTokens; }
  void addBuffers();
  tile::FragmentType getGroup(Type elementType, bool isTransposed);
  int64_t getToken(int64_t position) const;
  AffineExpr getPosition(AffineExpr token);
  Value loadGroup(const TokenTile &tile, Value token, Value column);
  Value quantize(Value x, const TokenTile &tile, Value token, Value column);
  void fill(const TokenTile &tile, Value firstColumn);
  void drain(const TokenTile &tile, Value firstColumn);

  ProgramBuilder &program;
  const Problem &problem;
  /// Tokens of a row in shared memory; panels of channels of an item.
  const int64_t tileTokens, panelTokens, panels;
  KernelBuilder &b;
  TokenSpace space;
  CallerTensor input;
  Statistics *statistics;
  Value inverses, means, quantized, shared;
};

/// The most that divide the channels and give no more than `mostGroups`.
int64_t ValueOperand::countPanels() const {
  int64_t all = problem.getPaddedValueHeadDim() / groupChannels, count = 1;
  for (int64_t i = 2; i <= all; ++i)
    if (all % i == 0 && i * (tileTokens / groupTokens) <= mostGroups)
      count = i;
  return count;
}

void ValueOperand::addBuffers() {
  int64_t channels = problem.getPaddedValueHeadDim();
  program.addWorkspace(buffer::value, program.getKeyHeads() * program.getPaddedKeys() *
                                          (channels * problem.getValueBytes()));
  if (problem.recipe.quantizesValue())
    inverses = b.addBuffer(buffer::valueInverse, b.getTable(channels));
  if (problem.recipe.smoothsValue())
    means = b.addBuffer(buffer::valueMean, b.getTable(channels));
  quantized = b.addRows(buffer::value, problem.getValueType(), program.getPaddedKeys());
  int64_t rows = panels * getTokenPanels() * groupChannels;
  shared = tile::AllocOp::create(b, tile::SharedType::get(b.getContext(), {rows, panelTokens},
                                                          problem.getValueType(),
                                                          panelTokens * problem.getValueBytes()));
}

/// The token of a group that `position` holds.
int64_t ValueOperand::getToken(int64_t position) const {
  return *tile::evaluate(problem.geometry.getValueOrderMap().getResult(0), {position});
}

/// The position of a token of a group, bit by bit: a storage order permutes the bits (Spec N6).
AffineExpr ValueOperand::getPosition(AffineExpr token) {
  AffineExpr position = b.getAffineConstantExpr(0);
  for (int64_t bit = 1; bit < groupTokens; bit *= 2)
    position = position + token.floorDiv(getToken(bit)) % 2 * bit;
  return position;
}

/// Tokens × channels. A lane has eight channels of four tokens, those of one row together as they
/// are loaded or, transposed, those of one channel, by position.
tile::FragmentType ValueOperand::getGroup(Type elementType, bool isTransposed) {
  using Modes = SmallVector<tile::LayoutMode>;
  Modes words, channels{{laneChannels, 0, 1}}, lanes;
  for (int64_t bit = 1; bit < groupTokens; bit *= 2)
    (bit < wordTokens ? words : lanes).push_back({2, getToken(bit), 0});
  lanes.push_back({groupChannels / laneChannels, 0, laneChannels});
  Modes registers = isTransposed ? words : channels;
  llvm::append_range(registers, isTransposed ? channels : words);
  auto layout = tile::LayoutAttr::get(b.getContext(), ArrayRef<tile::LayoutMode>(),
                                      ArrayRef<tile::LayoutMode>(lanes),
                                      ArrayRef<tile::LayoutMode>(registers));
  return tile::FragmentType::get(b.getContext(), {groupTokens, groupChannels}, elementType, layout);
}

/// A group from token `token` of the tile and channel `column` on.
Value ValueOperand::loadGroup(const TokenTile &tile, Value token, Value column) {
  return input.load(getGroup(problem.elementType, /*isTransposed=*/false), tile, token, column);
}

/// Transposed (Spec N2, N5).
Value ValueOperand::quantize(Value x, const TokenTile &tile, Value token, Value column) {
  if (problem.recipe.quantizesValue()) {
    auto type = cast<tile::FragmentType>(x.getType()).withElementType(b.getF32Type());
    x = b.convert(x, type);
    if (means)
      x = subtractMean(b, x, loadMean(b, type, means, tile.entryHead, column),
                       b.sub(tile.tokens, b.add(tile.first, token)));
    auto inverseType = tile::FragmentType::get(b.getContext(), {1, groupChannels}, b.getF32Type(),
                                               type.getLayout().dropRows());
    x = b.map(type, {x, b.load(inverseType, inverses, {tile.entryHead, column})},
              [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
  }
  return b.convert(x, getGroup(problem.getValueType(), /*isTransposed=*/true));
}

/// The warps' groups of the tile, quantized, to shared memory.
void ValueOperand::fill(const TokenTile &tile, Value firstColumn) {
  int64_t tokenGroups = tileTokens / groupTokens, groups = tokenGroups * panels;
  Value unit = tile::UnitIdOp::create(b);
  struct Group {
    Value isThere, token, panel, column, elements;
  };
  SmallVector<Group> ofWarp;
  // Where warps have fewer groups, the last one is taken more than once.
  for (int64_t first = 0; first < groups; first += preparationWarps) {
    Value number = b.add(unit, b.index(first));
    Group group;
    if (first + preparationWarps > groups) {
      group.isThere = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, number, b.index(groups));
      number = arith::MinSIOp::create(b, number, b.index(groups - 1));
    }
    auto [panel, tokenGroup] = b.divide(number, b.index(tokenGroups));
    group.panel = panel;
    group.token = b.mul(tokenGroup, groupTokens);
    group.column = b.add(firstColumn, b.mul(panel, groupChannels));
    group.elements = loadGroup(tile, group.token, group.column);
    ofWarp.push_back(group);
  }
  if (statistics)
    statistics->await(tile.entryHead);
  AffineExpr channel = b.getAffineDimExpr(1);
  AffineMap transposed = AffineMap::get(
      2, 0,
      {channel % laneChannels * (groupChannels / laneChannels) + channel.floorDiv(laneChannels),
       getPosition(b.getAffineDimExpr(0))},
      b.getContext());
  for (const Group &group : ofWarp) {
    Value y = quantize(group.elements, tile, group.token, group.column);
    auto [tokenPanel, position] = b.divide(group.token, b.index(panelTokens));
    Value row = b.mul(b.add(b.mul(group.panel, getTokenPanels()), tokenPanel), groupChannels);
    b.when(group.isThere, [&] {
      b.store(y, shared, {row, b.mul(b.divide(position, b.index(groupTokens)).first, groupTokens)},
              {}, transposed);
    });
  }
}

/// Stores eight channels of each panel for each warp (Spec N6).
void ValueOperand::drain(const TokenTile &tile, Value firstColumn) {
  constexpr int64_t rows = groupChannels / preparationWarps;
  Value unit = tile::UnitIdOp::create(b);
  auto outputType =
      getRowMajor(b, rows, panelTokens, problem.getValueType(), 16 / problem.getValueBytes());
  AffineMap channels = AffineMap::get(
      2, 0, {b.getAffineDimExpr(0) * laneChannels, b.getAffineDimExpr(1)}, b.getContext());
  Value firstRow = b.add(b.mul(tile.headRow, problem.getPaddedValueHeadDim()), firstColumn);
  Value firstPosition = b.add(tile.paddedFirst, tile.first);
  for (int64_t panel = 0; panel < panels * getTokenPanels(); ++panel) {
    Value source = b.add(b.index(panel * groupChannels), b.mul(unit, rows));
    Value y = b.load(outputType, shared, {source, b.index(0)});
    int64_t channel = panel / getTokenPanels() * groupChannels;
    int64_t position = panel % getTokenPanels() * panelTokens;
    b.store(
        y, quantized,
        {b.add(b.add(firstRow, b.index(channel)), unit), b.add(firstPosition, b.index(position))},
        {}, channels);
  }
}

void ValueOperand::emit(Value headRow, Value item) {
  auto [number, part] = b.divide(item, b.index(getParts()));
  TokenTile tile = space.locate(headRow, number, tileTokens);
  Value column = b.mul(part, panels * groupChannels);
  b.when(tile.exists, [&] {
    fill(tile, column);
    tile::SyncOp::create(b);
    drain(tile, column);
  });
}

} // namespace

std::unique_ptr<PreparationPart> sage::createValueOperand(ProgramBuilder &program, KernelBuilder &b,
                                                          Statistics *statistics) {
  return std::make_unique<ValueOperand>(program, b, statistics);
}
