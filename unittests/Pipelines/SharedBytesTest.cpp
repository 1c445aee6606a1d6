// The shared memory that a schedule is admitted for bounds what the kernel takes.

#include "sage/Pipelines/Pipelines.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Dialect/SageTile/IR/SageTile.h"
#include "gtest/gtest.h"

#include <ostream>

using namespace mlir;
using namespace sage;

namespace {

struct Case {
  const char *chip, *recipe;
  int64_t headDim, valueHeadDim;
};

std::ostream &operator<<(std::ostream &stream, const Case &c) {
  return stream << c.chip << " " << c.recipe << " " << c.headDim << "/" << c.valueHeadDim;
}

std::string printAttention(const Case &c) {
  auto type = [](int64_t dims) { return "tensor<?x?x?x" + std::to_string(dims) + "xf16>"; };
  std::string q = type(c.headDim), v = type(c.valueHeadDim);
  return "func.func @f(%q: " + q + ", %k: " + q + ", %v: " + v + ", %o: " + v + ") -> " + v +
         " {\n  %r = sage.attention ins(%q, %k, %v : " + q + ", " + q + ", " + v +
         ") outs(%o : " + v + ") {recipe = #sage.recipe<" + c.recipe +
         ">, mask = #sage.mask<causal_bottom_right>} -> " + v + "\n  return %r : " + v + "\n}\n";
}

struct SharedBytes : ::testing::TestWithParam<Case> {};

TEST_P(SharedBytes, OfTheScheduleBoundThoseOfTheKernel) {
  DialectRegistry registry;
  registerCompilerDialects(registry);
  MLIRContext context(registry);
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(printAttention(GetParam()), ParserConfig(&context));
  ASSERT_TRUE(module);
  PipelineOptions options;
  options.chip = GetParam().chip;
  PassManager manager(&context);
  buildSageToNVVMPipeline(manager, options);
  ASSERT_TRUE(succeeded(manager.run(*module)));

  auto programs = module->getOps<tile::ProgramOp>();
  ASSERT_FALSE(programs.empty());
  DictionaryAttr problem = (*programs.begin()).getProblem();
  auto schedule = problem.getAs<ScheduleAttr>("schedule");
  auto recipe = problem.getAs<RecipeAttr>("recipe");
  auto target = problem.getAs<TargetAttr>("target");
  ASSERT_TRUE(schedule && recipe && target);
  int64_t bytes = -1;
  module->walk([&](LLVM::LLVMFuncOp function) {
    if (function.getSymName() == "attention")
      bytes = function->getAttrOfType<IntegerAttr>("sage.shared_bytes").getInt();
  });
  ASSERT_GT(bytes, 0);
  EXPECT_LE(bytes, schedule.getSharedBytes(recipe));
  EXPECT_LE(schedule.getSharedBytes(recipe), target.getSharedBytes());
}

INSTANTIATE_TEST_SUITE_P(
    Schedules, SharedBytes,
    ::testing::Values(Case{"sm_80", "\"sage1\"", 64, 64}, Case{"sm_80", "\"f16\"", 192, 192},
                      Case{"sm_86", "\"f16\"", 256, 256}, Case{"sm_86", "\"sage1\"", 192, 128},
                      Case{"sm_89", "\"sage2-4b\"", 256, 256},
                      Case{"sm_89", "\"sage2-8b\", interval = 32", 128, 128},
                      Case{"sm_89", "\"sage2-4b\", granularity = per_token", 128, 128},
                      Case{"sm_90a", "\"sage2-8b\"", 128, 128},
                      Case{"sm_90a", "\"sage2-8b\", interval = 32", 128, 128},
                      Case{"sm_90a", "\"sage2-4b\"", 64, 64}, Case{"sm_90a", "\"f16\"", 256, 256},
                      Case{"sm_90a", "\"sage2-8b\", granularity = per_token, smooth = q|k|v", 128,
                           128},
                      Case{"sm_120a", "\"sage2-8b\"", 256, 256},
                      Case{"sm_120a", "\"sage2pp\"", 40, 40}));

} // namespace
