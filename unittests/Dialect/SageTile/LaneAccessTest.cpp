// What distribution makes of loads and stores accesses the elements that the interpreter does, for
// random layouts, limits and alignments; nibbles are packed as it packs them.

#include "LaneSimulator.h"

#include "sage/Dialect/SageTile/Interpreter/Interpreter.h"
#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"

#include "gtest/gtest.h"

#include <random>

using namespace mlir;
using namespace sage::tile;

namespace {

std::string print(Attribute attribute) {
  std::string text;
  llvm::raw_string_ostream(text) << attribute;
  return text;
}

/// A kernel that loads one fragment and stores it elsewhere.
struct Case {
  std::string text;
  int64_t elementBytes, rowStride, limit, columnLimit;
  bool isAligned;
  /// Of the source, where it is not known to be 1.
  std::optional<int64_t> columnStride;
};

class LaneAccessTest : public testing::TestWithParam<int> {
protected:
  LaneAccessTest() : random(GetParam()) {
    DialectRegistry registry;
    registerSageTileDialect(registry);
    registry.insert<arith::ArithDialect, gpu::GPUDialect, scf::SCFDialect>();
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }

  int64_t draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }
  bool flip() { return draw(0, 1); }

  LayoutAttr drawLayout(StringRef type, int64_t &rows, int64_t &columns, StringRef &unit) {
    int64_t warps = flip() ? 4 : 1;
    unit = warps == 4 ? "warpgroup" : "warp";
    rows = 16 * warps;
    columns = 32 * draw(1, 4);
    if (type == "i8" && flip())
      return LayoutAttr::operandA8(&context, warps, columns);
    if (flip())
      return LayoutAttr::accumulator(&context, warps, columns);
    unit = "warp";
    rows = 16;
    columns = 32 << draw(0, 2);
    return LayoutAttr::rowMajor(&context, rows, columns, type == "f32" ? 4 : 8);
  }

  std::string drawOptions(int64_t columns, int64_t quantum) {
    std::string text;
    if (flip())
      text += " limit(%rows)";
    if (draw(0, 3) == 0)
      text += " column_limit(%columns)";
    text += " aligned(%wide)";
    if (flip())
      text += " columns(" +
              std::to_string(std::min(columns, quantum * draw(1, columns / quantum))) + ")";
    return text;
  }

  static std::string getMemory(const std::string &type, bool isContiguous = true) {
    return "memref<?x?x" + type + ", strided<[?, " + (isContiguous ? "1" : "?") + "]>>";
  }
  static std::string getKernel(const std::string &type, const std::string &source, StringRef unit,
                               const std::string &body) {
    return "gpu.module @m {\nsage_tile.kernel @k(%x: " + source + ", %y: " + getMemory(type) +
           ", %n: i32, %m: i32, %a: i32) attributes {unit = #sage_tile.unit<" + unit.str() +
           R"(>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %wide = arith.cmpi ne, %a, %zero : i32
  %rows = arith.index_cast %n : i32 to index
  %columns = arith.index_cast %m : i32 to index
)" + body + R"(
  sage_tile.return
}
}
)";
  }

  Case drawCase() {
    static constexpr const char *types[] = {"f32", "f16", "i8", "i1"};
    std::string type = types[draw(0, 3)];
    int64_t rows, columns;
    StringRef unit;
    LayoutAttr layout = drawLayout(type, rows, columns, unit);
    Case result;
    result.elementBytes = type == "f32" ? 4 : type == "f16" ? 2 : 1;
    result.isAligned = flip();
    int64_t longer = std::max(rows, columns);
    result.rowStride = result.isAligned ? llvm::alignTo(longer, 16) : longer + draw(0, 7);
    result.limit = draw(0, longer + 1);
    result.columnLimit = draw(0, longer + 1);
    // Heads are multiples of 8; other numbers of columns split accesses further.
    int64_t quantum = flip() ? 8 : 1;
    std::string fragment = "!sage_tile.fragment<" + std::to_string(rows) + "x" +
                           std::to_string(columns) + "x" + type + ", " + print(layout) + ">";
    // A source whose last dimension is broadcast or strided is read element by element.
    if (draw(0, 3) == 0)
      result.columnStride = draw(0, 2);
    std::string source = getMemory(type, !result.columnStride), memory = getMemory(type);
    std::string transposed = draw(0, 3) == 0 ? " map affine_map<(r, c) -> (c, r)>" : "";
    std::string body = "  %v = sage_tile.load %x[%c0, %c0]" + drawOptions(columns, quantum) +
                       transposed + " : " + source + " to " + fragment +
                       "\n  sage_tile.store %v, %y[%c0, %c0]" + drawOptions(columns, quantum) +
                       transposed + " : " + fragment + " to " + memory;
    result.text = getKernel(type, source, unit, body);
    return result;
  }

  /// Finite numbers; truth values are 0 and 1.
  std::vector<uint8_t> drawMemory(const Case &example) {
    int64_t longest = 128;
    std::vector<uint8_t> bytes((example.rowStride + 2) * longest * example.elementBytes);
    bool isBoolean = StringRef(example.text).contains("xi1");
    for (size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = uint8_t(draw(0, isBoolean ? 1 : example.elementBytes == 1 ? 255 : 0x3B));
    return bytes;
  }

  /// Runs the example's kernel as it is and distributed, and compares what it stores.
  void compare(const Case &example) {
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(example.text, &context);
    ASSERT_TRUE(module) << example.text;
    auto findKernel = [&] {
      KernelOp kernel;
      module->walk([&](KernelOp op) { kernel = op; });
      return kernel;
    };
    std::vector<uint8_t> source = drawMemory(example);
    std::vector<uint8_t> expected(source.size(), 0xAA), actual(source.size(), 0xAA);
    auto getBuffer = [](std::vector<uint8_t> &bytes) {
      return DeviceBuffer{reinterpret_cast<char *>(bytes.data()), int64_t(bytes.size())};
    };
    std::vector<LaunchArgument> arguments{LaunchArgument::get(getBuffer(source)),
                                          LaunchArgument::get(example.rowStride)};
    if (example.columnStride)
      arguments.push_back(LaunchArgument::get(*example.columnStride));
    arguments.push_back(LaunchArgument::get(getBuffer(expected)));
    for (int64_t value :
         {example.rowStride, example.limit, example.columnLimit, int64_t(example.isAligned)})
      arguments.push_back(LaunchArgument::get(value));
    ASSERT_TRUE(succeeded(interpretKernel(findKernel(), arguments, 1))) << example.text;

    PassManager manager(&context);
    manager.nest<gpu::GPUModuleOp>().nest<KernelOp>().addPass(createDistribute());
    ASSERT_TRUE(succeeded(manager.run(*module))) << example.text;
    auto getArgument = [&](std::vector<uint8_t> &bytes, int64_t columnStride) {
      return LaneArgument{
          bytes.data(), int64_t(bytes.size()), {example.rowStride, columnStride}, 0};
    };
    auto getInteger = [](int64_t value) { return LaneArgument{nullptr, 0, {}, uint64_t(value)}; };
    LaneSimulator simulator(findKernel(),
                            {getArgument(source, example.columnStride.value_or(1)),
                             getArgument(actual, 1), getInteger(example.limit),
                             getInteger(example.columnLimit), getInteger(example.isAligned)});
    ASSERT_TRUE(simulator.run()) << simulator.getError() << "\n" << example.text;
    EXPECT_EQ(actual, expected) << example.text;
  }

  MLIRContext context;
  std::mt19937 random;
};

TEST_P(LaneAccessTest, DistributionAccessesWhatTheInterpreterDoes) {
  for (int i = 0; i < 40; ++i)
    compare(drawCase());
}

TEST_P(LaneAccessTest, NibblesArePackedInPlace) {
  Case example{"", 1, 256, 16, 128, true, std::nullopt};
  int64_t columns = 64 << draw(0, 1);
  auto getFragment = [&](int64_t width, int64_t vectorLength) {
    return "!sage_tile.fragment<16x" + std::to_string(width) + "xi8, " +
           print(LayoutAttr::rowMajor(&context, 16, width, vectorLength)) + ">";
  };
  int64_t length = flip() ? 8 : 16;
  std::string bytes = getFragment(columns, length), nibbles = getFragment(columns / 2, length / 2);
  std::string body = "  %v = sage_tile.load %x[%c0, %c0] : " + getMemory("i8") + " to " + bytes +
                     "\n  %p = sage_tile.pack_nibbles %v : " + bytes + " to " + nibbles +
                     "\n  sage_tile.store %p, %y[%c0, %c0] : " + nibbles + " to " + getMemory("i8");
  example.text = getKernel("i8", getMemory("i8"), "warp", body);
  compare(example);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LaneAccessTest, testing::Range(1, 11));

} // namespace
