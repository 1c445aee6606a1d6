// The embedded chips and schedules: every file parses, and every chip runs what it should.

#include "sage/Schedule/ScheduleLookup.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "sage/Dialect/Sage/IR/SageDialect.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace sage;

namespace {
struct ScheduleLookupTest : ::testing::Test {
  MLIRContext context;
  std::string messages;
  ScopedDiagnosticHandler handler{&context, [this](Diagnostic &diagnostic) {
                                    messages += diagnostic.str() + "\n";
                                    for (Diagnostic &note : diagnostic.getNotes())
                                      messages += note.str() + "\n";
                                  }};
  ScheduleLookupTest() { context.loadDialect<SageDialect>(); }

  InFlightDiagnostic report() { return emitError(UnknownLoc::get(&context)); }
  TargetAttr target(StringRef chip) {
    return lookupTarget(&context, chip, [&] { return report(); }).value_or(TargetAttr());
  }
  ScheduleAttr schedule(TargetAttr target, int64_t headDim, StringRef recipe) {
    return lookupSchedule(target, headDim, RecipeAttr::getNamed(&context, recipe), GeometryAttr(),
                          [&] { return report(); })
        .value_or(ScheduleAttr());
  }
};
} // namespace

TEST_F(ScheduleLookupTest, EveryChipParsesUnderItsOwnName) {
  EXPECT_GE(listChips().size(), 5u);
  for (const std::string &chip : listChips()) {
    TargetAttr found = target(chip);
    ASSERT_TRUE(found) << chip << messages;
    EXPECT_EQ(found.getChip(), chip);
  }
}

TEST_F(ScheduleLookupTest, EveryChipHasAScheduleForEveryRecipeItRuns) {
  for (const std::string &chip : listChips())
    for (int64_t headDim : {64, 128})
      for (const char *recipe : {"sage2-8b", "sage2-4b", "sage1", "sage2pp", "f16"}) {
        TargetAttr found = target(chip);
        if (found.findConflict(RecipeAttr::getNamed(&context, recipe)))
          continue;
        EXPECT_TRUE(schedule(found, headDim, recipe))
            << chip << " " << headDim << " " << recipe << "\n"
            << messages;
      }
}

TEST_F(ScheduleLookupTest, RecipeAndChipPickTheRow) {
  TargetAttr hopper = target("sm_90a");
  EXPECT_EQ(schedule(hopper, 128, "sage2-8b").getFamily(), Family::Wgmma);
  EXPECT_EQ(schedule(target("sm_89"), 128, "sage2-8b").getFamily(), Family::MmaSync);
}

TEST_F(ScheduleLookupTest, ReportsWhatIsOnOffer) {
  EXPECT_FALSE(target("sm_70"));
  EXPECT_NE(messages.find("chip must be one of sm_120a, sm_80"), std::string::npos) << messages;
  EXPECT_FALSE(schedule(target("sm_89"), 96, "sage2-8b"));
  EXPECT_NE(messages.find("head dim must be one of the scheduled 64, 128"), std::string::npos)
      << messages;
}

TEST_F(ScheduleLookupTest, MissingFileIsReported) {
  EXPECT_TRUE(failed(lookupSchedule(
      target("sm_89"), 128, RecipeAttr::getNamed(&context, "sage1"), GeometryAttr(),
      [&] { return report(); }, "absent.mlir")));
  EXPECT_NE(messages.find("schedule file must be readable, but got 'absent.mlir'"),
            std::string::npos)
      << messages;
}

TEST_F(ScheduleLookupTest, SharedMemoryAndThreadsOfTheHopperRow) {
  ScheduleAttr row = schedule(target("sm_90a"), 128, "sage2-8b");
  EXPECT_EQ(row.getThreads(), 512);
  EXPECT_EQ(row.getBlockRows(), 192);
  // Q, two stages of K and of V with eight rows of ones, scales, barriers.
  EXPECT_EQ(row.getSharedBytes(RecipeAttr::getNamed(&context, "sage2-8b")),
            192 * 128 + 2 * (128 * 128 + 128 * 136 + 128 * 4) + 2048);
}
