// The embedded chips and schedules: every file parses, and every chip runs what it should.

#include "sage/Schedule/ScheduleLookup.h"

#include "mlir/AsmParser/AsmParser.h"
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
  ScheduleQuery query(TargetAttr target, int64_t headDim, StringRef recipe) {
    return {target, headDim, headDim, RecipeAttr::getNamed(&context, recipe)};
  }
  ScheduleAttr schedule(TargetAttr target, int64_t headDim, StringRef recipe) {
    return lookupSchedule(query(target, headDim, recipe), [&] { return report(); })
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
    for (int64_t headDim : {40, 64, 96, 128, 192, 256})
      for (const char *recipe :
           {"sage2-8b", "sage2-4b", "sage1", "sage2pp", "sage-8b", "sage-4b", "f16"}) {
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
  EXPECT_FALSE(schedule(target("sm_89"), 264, "sage2-8b"));
  EXPECT_NE(messages.find("must be one of the scheduled 64, 128, 192, 256 on sm_89, but got 264"),
            std::string::npos)
      << messages;
}

TEST_F(ScheduleLookupTest, MissingFileIsReported) {
  EXPECT_TRUE(failed(lookupSchedule(
      query(target("sm_89"), 128, "sage1"), [&] { return report(); }, "absent.mlir")));
  EXPECT_NE(messages.find("schedule file must be readable, but got 'absent.mlir'"),
            std::string::npos)
      << messages;
}

TEST_F(ScheduleLookupTest, SharedMemoryAndThreadsOfTheHopperRow) {
  ScheduleAttr row = schedule(target("sm_90a"), 128, "sage2-8b");
  EXPECT_EQ(row.getThreads(), 512);
  EXPECT_EQ(row.getBlockRows(), 192);
  // Q; three stages of K, of V with eight rows of ones, of scales; barriers. Two slots of Q where
  // persistent blocks copy it.
  EXPECT_EQ(row.getSharedBytes(RecipeAttr::getNamed(&context, "sage2-8b")),
            192 * 128 + 3 * (128 * 128 + 128 * 136 + 16) + 512);
  ScheduleAttr copying = schedule(target("sm_90a"), 128, "sage2-4b");
  RecipeAttr smooth = RecipeAttr::getNamed(&context, "sage2-4b");
  ASSERT_TRUE(copying.getPersistent());
  EXPECT_FALSE(copying.quantizesQueryOf(smooth));
  EXPECT_EQ(copying.getSharedBytes(smooth),
            2 * 192 * 128 + 2 * (128 * 128 + 128 * 136 + 16 + 128 * 4) + 512);
}

TEST_F(ScheduleLookupTest, GeometryFollowsTheRowUnlessItIsGiven) {
  ScheduleQuery wanted = query(target("sm_90a"), 256, "sage2-8b");
  ScheduleAttr row = schedule(wanted.target, 256, "sage2-8b");
  EXPECT_EQ(wanted.getGeometry(row).getKeyTile(), row.getKeyTile());
  EXPECT_EQ(wanted.getGeometry(row).getQueryBlock(), 128);
  wanted.geometry = GeometryAttr::getDefault(wanted.recipe, Family::Wgmma, 128, 96);
  EXPECT_EQ(wanted.getGeometry(row), wanted.geometry);
  EXPECT_TRUE(failed(lookupSchedule(wanted, [&] { return report(); })));
  EXPECT_NE(messages.find("key_tile must be the geometry's"), std::string::npos) << messages;
}

TEST_F(ScheduleLookupTest, TheLargerHeadDimDecides) {
  ScheduleQuery wanted = query(target("sm_90a"), 192, "sage2-8b");
  wanted.valueHeadDim = 128;
  FailureOr<ScheduleAttr> row = lookupSchedule(wanted, [&] { return report(); });
  ASSERT_TRUE(succeeded(row)) << messages;
  EXPECT_EQ(row->getHeadDim(), 192);
}

TEST_F(ScheduleLookupTest, SmoothQueriesNeedBlocksOfWholeTiles) {
  ScheduleAttr row = schedule(target("sm_90a"), 128, "sage2-4b");
  RecipeAttr recipe = RecipeAttr::getNamed(&context, "sage2-4b");
  auto conflict = row.findConflict(
      recipe, GeometryAttr::getDefault(recipe, Family::Wgmma, 128, row.getKeyTile()));
  ASSERT_TRUE(conflict);
  EXPECT_EQ(*conflict, "schedule rows of a thread block must divide the geometry's query_block "
                       "under smooth q, but got 192 and 128");
}

TEST_F(ScheduleLookupTest, RowsWithoutRegistersForIntervalsAreRefused) {
  ScheduleAttr row = schedule(target("sm_90a"), 128, "sage2-8b");
  ASSERT_TRUE(row);
  ASSERT_FALSE(row.getIntervals());
  auto parse = [&](StringRef text) { return cast<RecipeAttr>(parseAttribute(text, &context)); };
  auto conflict = [&](RecipeAttr recipe) {
    return row.findConflict(
        recipe, GeometryAttr::getDefault(recipe, Family::Wgmma, 192, row.getKeyTile(), 128));
  };
  EXPECT_EQ(conflict(parse("#sage.recipe<\"sage2-8b\", interval = 64>")),
            "schedule must have intervals = true for an interval of 64 in tiles of 128 keys with "
            "inner = f32, but got false");
  EXPECT_FALSE(conflict(parse("#sage.recipe<\"sage2-8b\", interval = 128>")));
  row = schedule(target("sm_90a"), 128, "sage2pp");
  ASSERT_FALSE(row.getIntervals());
  EXPECT_FALSE(conflict(parse("#sage.recipe<\"sage2pp\", interval = 64>")));
}

TEST_F(ScheduleLookupTest, FloatSumsAreConvertedExactly) {
  ScheduleAttr row = schedule(target("sm_90a"), 128, "sage2-8b");
  ASSERT_EQ(row.getConversion(), Conversion::Magic);
  RecipeAttr recipe = RecipeAttr::getNamed(&context, "sage2pp");
  EXPECT_EQ(row.findConflict(recipe, GeometryAttr::getDefault(recipe, Family::Wgmma, 192,
                                                              row.getKeyTile(), 128)),
            "schedule with conversion = magic must have row_sum = quantized, but got float");
  EXPECT_EQ(schedule(target("sm_90a"), 128, "sage2pp").getConversion(), Conversion::Convert);
}

TEST_F(ScheduleLookupTest, LongTilesAreNotForSixteenBitProbabilities) {
  ScheduleAttr row = schedule(target("sm_90a"), 64, "sage2-8b");
  ASSERT_EQ(row.getKeyTile(), 192);
  ASSERT_FALSE(row.getScoreTerms());
  RecipeAttr recipe = RecipeAttr::getNamed(&context, "sage1");
  EXPECT_EQ(row.findConflict(recipe, GeometryAttr::getDefault(recipe, Family::Wgmma, 192, 192, 64)),
            "schedule must have score_terms = true or a key_tile of at most 128 for a 16-bit pv of "
            "quantized scores, but got 192");
  EXPECT_EQ(schedule(target("sm_90a"), 64, "sage1").getKeyTile(), 128);
}

TEST_F(ScheduleLookupTest, RowsWithoutRegistersForMasksAreRefused) {
  ScheduleAttr row = schedule(target("sm_90a"), 128, "sage2-8b");
  ASSERT_FALSE(row.getMasks());
  RecipeAttr recipe = RecipeAttr::getNamed(&context, "sage2-8b");
  GeometryAttr geometry =
      GeometryAttr::getDefault(recipe, Family::Wgmma, 192, row.getKeyTile(), 128);
  EXPECT_FALSE(row.findConflict(recipe, geometry));
  EXPECT_EQ(row.findConflict(recipe, geometry, {/*terms=*/false, /*mask=*/true, /*window=*/false}),
            "schedule must have masks = true for a mask, but got false");
}

TEST_F(ScheduleLookupTest, RowsWithoutRegistersForScoreTermsOrWindowsAreRefused) {
  ScheduleAttr row = schedule(target("sm_89"), 64, "sage2-8b");
  ScheduleAttr lean = ScheduleAttr::get(
      &context, row.getFamily(), row.getCopy(), row.getHeadDim(), row.getUnits(),
      row.getRowsPerUnit(), row.getKeyTile(), row.getStages(), row.getValueChunks(),
      row.getExpChunks(), row.getConversion(), row.getProducerRegisters(),
      row.getConsumerRegisters(), /*scoreTerms=*/false, row.getLateConversions(),
      /*intervals=*/true, /*masks=*/true, /*windows=*/false, /*fenceProducts=*/false,
      /*persistent=*/false, /*quantizesQuery=*/false);
  RecipeAttr plain = RecipeAttr::getNamed(&context, "sage2-8b");
  GeometryAttr geometry = GeometryAttr::getDefault(plain, Family::MmaSync);
  EXPECT_FALSE(lean.findConflict(plain, geometry));
  EXPECT_TRUE(
      lean.findConflict(plain, geometry, {/*terms=*/true, /*mask=*/false, /*window=*/false}));
  RecipeAttr smooth = RecipeAttr::getNamed(&context, "sage2-4b");
  EXPECT_FALSE(lean.findConflict(smooth, geometry));
  ScheduleAttr wide = ScheduleAttr::get(&context, Family::Wgmma, Copy::Tma, 64, 3, 64,
                                        /*keyTile=*/192, 2, 1, 0, Conversion::Convert, 32, 160,
                                        /*scoreTerms=*/false, true, true, true, true, false, false,
                                        /*quantizesQuery=*/false);
  EXPECT_TRUE(wide.findConflict(smooth, GeometryAttr::getDefault(smooth, Family::Wgmma, 192, 192)));
  EXPECT_FALSE(wide.findConflict(plain, GeometryAttr::getDefault(plain, Family::Wgmma, 192, 192)));
  EXPECT_FALSE(
      row.findConflict(plain, geometry, {/*terms=*/true, /*mask=*/false, /*window=*/false}));
  EXPECT_TRUE(
      lean.findConflict(plain, geometry, {/*terms=*/false, /*mask=*/true, /*window=*/true}));
  EXPECT_FALSE(
      row.findConflict(plain, geometry, {/*terms=*/false, /*mask=*/true, /*window=*/true}));
}
