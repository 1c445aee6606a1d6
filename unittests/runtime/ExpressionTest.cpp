//===- ExpressionTest.cpp - the manifest's integer expressions ------------===//
#include "Expression.h"

#include <gtest/gtest.h>

using namespace sage::runtime;

namespace {

int64_t valueOf(const char *json, int64_t nq = 0, int64_t nk = 0) {
  Expression expression;
  Status status = Expression::parseText(json, callSymbols, expression);
  EXPECT_TRUE(status.ok()) << status.message();
  SymbolValues symbols{};
  symbols[size_t(Symbol::Nq)] = nq;
  symbols[size_t(Symbol::Nk)] = nk;
  int64_t result = -1;
  status = expression.evaluate(symbols, result);
  EXPECT_TRUE(status.ok()) << status.message();
  return result;
}

std::string parseError(const std::string &json) {
  Expression expression;
  return Expression::parseText(json, callSymbols, expression).message();
}

std::string evaluationError(const char *json) {
  Expression expression;
  EXPECT_TRUE(Expression::parseText(json, callSymbols, expression).ok());
  int64_t result;
  return expression.evaluate(SymbolValues{}, result).message();
}

} // namespace

TEST(Expression, Operators) {
  EXPECT_EQ(valueOf("7"), 7);
  EXPECT_EQ(valueOf("\"Nq\"", 5), 5);
  EXPECT_EQ(valueOf(R"(["add",3,4])"), 7);
  EXPECT_EQ(valueOf(R"(["sub",3,4])"), -1);
  EXPECT_EQ(valueOf(R"(["mul",-3,4])"), -12);
  EXPECT_EQ(valueOf(R"(["mod",-3,4])"), 1);
  EXPECT_EQ(valueOf(R"(["floordiv",-3,4])"), -1);
  EXPECT_EQ(valueOf(R"(["ceildiv",-3,4])"), 0);
  EXPECT_EQ(valueOf(R"(["floordiv",-4,4])"), -1);
  EXPECT_EQ(valueOf(R"(["ceildiv",5,4])"), 2);
  EXPECT_EQ(valueOf(R"(["min",3,4])"), 3);
  EXPECT_EQ(valueOf(R"(["max",3,4])"), 4);
  EXPECT_EQ(valueOf(R"(["mod",-9223372036854775808,3])"), 1);
  EXPECT_EQ(valueOf(R"(["sub",["mul","Nq",10],["ceildiv","Nk",2]])", 4, 5), 37);
}

TEST(Expression, RefusesWhatItDoesNotKnow) {
  EXPECT_NE(parseError(R"(["pow",1,2])").find("unknown operator 'pow'"), std::string::npos);
  EXPECT_NE(parseError("\"M\"").find("unknown symbol 'M'"), std::string::npos);
  EXPECT_NE(parseError("\"n\"").find("unknown symbol 'n'"), std::string::npos);
  for (const char *json : {"1.5", "true", "null", "{}", "[]", R"(["add",1])", R"(["add",1,2,3])",
                           R"([1,2,3])", "1e400", "9223372036854775808", "\"", ""})
    EXPECT_NE(parseError(json), "") << json;
}

TEST(Expression, ReportsOverflowAndDivision) {
  EXPECT_NE(evaluationError(R"(["mul",4611686018427387904,2])").find("overflow"),
            std::string::npos);
  EXPECT_NE(evaluationError(R"(["add",9223372036854775807,1])").find("overflow"),
            std::string::npos);
  EXPECT_NE(evaluationError(R"(["sub",-9223372036854775808,1])").find("overflow"),
            std::string::npos);
  EXPECT_NE(evaluationError(R"(["floordiv",1,0])").find("divides by 0"), std::string::npos);
  EXPECT_NE(evaluationError(R"(["mod",1,-1])").find("divides by -1"), std::string::npos);
}

TEST(Expression, BoundsNesting) {
  for (bool right : {false, true})
    for (size_t depth : {31, 32, 40, 100000}) {
      std::string json;
      for (size_t i = 0; i < depth; ++i)
        json += right ? "[\"add\",1," : "[\"add\",";
      json += "1";
      for (size_t i = 0; i < depth; ++i)
        json += right ? "]" : ",1]";
      EXPECT_EQ(parseError(json) == "", depth < Expression::stackLimit) << depth;
      if (depth < Expression::stackLimit) {
        EXPECT_EQ(valueOf(json.c_str()), int64_t(depth) + 1);
      }
    }
}

TEST(Expression, PrintsItself) {
  const char *json = R"(["add",["mul",["floordiv","Nq",16],8],["mod","Nq",8]])";
  Expression expression;
  ASSERT_TRUE(Expression::parseText(json, callSymbols, expression).ok());
  EXPECT_EQ(expression.json(), json);
  EXPECT_EQ(expression.symbols(), setOf(Symbol::Nq));
}
