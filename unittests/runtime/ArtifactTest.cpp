//===- ArtifactTest.cpp - the container, and every damage to it -----------===//
#include "SampleArtifact.h"
#include "sage/runtime/sage.hpp"

#include <gtest/gtest.h>

using namespace sage::test;

namespace {

std::string parseError(const std::string &text, sage_status_code *code = nullptr) {
  sage_artifact *artifact = nullptr;
  sage_status *status = sage_artifact_parse(text.data(), text.size(), &artifact);
  EXPECT_EQ(artifact == nullptr, status != nullptr);
  sage_artifact_destroy(artifact);
  return takeMessage(status, code);
}

} // namespace

TEST(Artifact, ParsesTheSample) {
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  EXPECT_EQ(artifact.chip(), "sm_90a");
  EXPECT_EQ(artifact.producer(), "test");
  EXPECT_EQ(artifact.checksum().size(), 16u);
  sage_program program = artifact.program();
  EXPECT_EQ(program.problem.head_dim, 64);
  EXPECT_EQ(program.problem.element_type, SAGE_BF16);
  EXPECT_EQ(program.problem.mask, SAGE_MASK_CAUSAL_BOTTOM_RIGHT);
  EXPECT_EQ(program.problem.scale, 0.25);
  EXPECT_STREQ(program.recipe.name, "sage2-8b");
  EXPECT_EQ(program.recipe.smooth_k, 1);
  EXPECT_EQ(program.recipe.accumulation, SAGE_TWO_LEVEL);
  EXPECT_EQ(program.geometry.key_tile, 128);
  EXPECT_STREQ(program.geometry.query_groups,
               R"(["add",["mul",["floordiv","n",16],8],["mod","n",8]])");
  auto kernels = artifact.kernels();
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_STREQ(kernels[1].name, "sage_attend");
  EXPECT_EQ(kernels[1].shared_bytes, 100000);
  EXPECT_EQ(kernels[1].block[0], 384);
  EXPECT_EQ(kernels[1].argument_count, 12);
}

TEST(Artifact, LoadsTheHandWrittenFile) {
  sage::Artifact artifact = sage::Artifact::load(std::string(SAGE_TEST_DATA) + "/sample.ptx");
  EXPECT_EQ(artifact.chip(), "sm_80");
  EXPECT_EQ(artifact.kernels().at(0).argument_count, 22);
  try {
    sage::Artifact::load("/nonexistent.ptx");
    FAIL();
  } catch (const sage::Error &error) {
    EXPECT_EQ(error.code(), SAGE_IO_ERROR);
  }
}

TEST(Artifact, RefusesEveryTruncation) {
  std::string text = sealed(sampleManifest());
  for (size_t size = 0; size < text.size(); ++size)
    ASSERT_NE(parseError(text.substr(0, size)), "") << size;
}

TEST(Artifact, RefusesEveryFlippedByte) {
  std::string text = sealed(sampleManifest());
  for (size_t i = 0; i < text.size(); ++i)
    for (int mask : {0x01, 0x20, 0x80, 0xff}) {
      std::string damaged = text;
      damaged[i] = char(damaged[i] ^ mask);
      ASSERT_NE(parseError(damaged), "") << "byte " << i;
    }
}

// With the right checksum, damage reaches the JSON and field readers.
TEST(Artifact, SurvivesDamagedManifests) {
  std::string manifest = sampleManifest().dump();
  for (size_t size = 0; size < manifest.size(); ++size)
    ASSERT_NE(parseError(sealedText(manifest.substr(0, size), samplePtx())), "");
  for (size_t i = 0; i < manifest.size(); ++i)
    for (int mask : {0x01, 0x04, 0x80}) {
      std::string damaged = manifest;
      damaged[i] = char(damaged[i] ^ mask);
      // Some flips give another valid number or text: no crash is the point.
      sage_status_code code;
      parseError(sealedText(damaged, samplePtx()), &code);
      ASSERT_TRUE(code == SAGE_OK || code == SAGE_INVALID_ARTIFACT) << i;
    }
}

TEST(Artifact, BoundsNestingAndSize) {
  for (char open : {'[', '{'})
    EXPECT_NE(parseError(sealedText(std::string(1000000, open), samplePtx())).find("nested"),
              std::string::npos);
  std::string wide = "{\"a\": \"" + std::string(5 << 20, 'x') + "\"}";
  EXPECT_NE(parseError(sealedText(wide, samplePtx())).find("at most"), std::string::npos);
}

TEST(Artifact, NamesWhatIsWrongWithTheContainer) {
  std::string text = sealed(sampleManifest());
  EXPECT_NE(parseError("").find("must begin with"), std::string::npos);
  std::string later = text;
  later[later.find('3')] = '4';
  EXPECT_NE(parseError(later).find("version must be 3, but got '4'"), std::string::npos);
  EXPECT_NE(parseError(text + "x").find("checksum"), std::string::npos);
  EXPECT_NE(parseError(sealedText("", samplePtx())).find("third line"), std::string::npos);
}
