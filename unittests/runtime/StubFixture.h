//===- StubFixture.h - tests on the stub driver -----------------*- C++ -*-===//
#ifndef SAGE_UNITTESTS_STUBFIXTURE_H
#define SAGE_UNITTESTS_STUBFIXTURE_H

#include "SampleArtifact.h"

#include "sage/runtime/sage.hpp"
#include "sage_stub.h"

#include <gtest/gtest.h>
#include <map>

namespace sage::test {

inline void *address(uint64_t value) { return reinterpret_cast<void *>(uintptr_t(value)); }

/// A call of the sample artifact on addresses that are never read.
inline sage_call sampleCall(int64_t batch, int64_t heads, int64_t queries, int64_t keys) {
  auto dense = [&](uint64_t data, int64_t tokens) {
    return sage_tensor_dense(address(data), SAGE_HEAD_MAJOR, SAGE_BF16, batch, heads, tokens, 64);
  };
  sage_call call{};
  call.query = dense(0x10000, queries);
  call.key = dense(0x20000, keys);
  call.value = dense(0x30000, keys);
  call.output = dense(0x40000, queries);
  call.lse = static_cast<float *>(address(0x50000));
  return call;
}

/// How often each of the driver's functions was called.
inline std::map<std::string, int> stubCalls() {
  std::map<std::string, int> calls;
  for (const char *const *name = sage_stub_functions(); *name; ++name)
    if (int count = sage_stub_calls(*name))
      calls[*name] = count;
  return calls;
}

/// A fresh stub, and no object left behind.
class StubTest : public testing::Test {
protected:
  void SetUp() override { sage_stub_reset(); }
  void TearDown() override {
    EXPECT_EQ(sage_stub_live_objects(), 0);
    EXPECT_EQ(sage_stub_context_depth(), 0);
  }
};

} // namespace sage::test

#endif
