//===- Expression.h - integer expressions of the manifest -------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_EXPRESSION_H
#define SAGE_RUNTIME_LIB_EXPRESSION_H

#include "Status.h"

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

namespace sage::runtime {

/// The symbols of docs/Artifact.md, in the order of `symbolNames`.
enum class Symbol : uint8_t {
  B,
  Hq,
  Hkv,
  Nq,
  Nk,
  QueryB,
  QueryH,
  QueryN,
  KeyB,
  KeyH,
  KeyN,
  ValueB,
  ValueH,
  ValueN,
  OutputB,
  OutputH,
  OutputN,
  Step,
  S,
  QueryAlign,
  KeyAlign,
  ValueAlign,
  OutputAlign,
  BiasB,
  BiasH,
  BiasQ,
  BiasK,
  Parts,
  N
};
constexpr size_t symbolCount = 29;
extern const std::array<std::string_view, symbolCount> symbolNames;
using SymbolValues = std::array<int64_t, symbolCount>;
using SymbolSet = uint32_t; // bit i: symbol i

constexpr SymbolSet setOf(Symbol symbol) { return 1u << unsigned(symbol); }
/// What kernels in a repetition may name; others have no `step`. The size of the
/// workspace does not depend on how tensors are aligned. Maps of the geometry
/// name only `n`.
constexpr SymbolSet repeatSymbols = setOf(Symbol::N) - 1;
constexpr SymbolSet callSymbols = repeatSymbols & ~setOf(Symbol::Step);
constexpr SymbolSet workspaceSymbols =
    callSymbols & ~(setOf(Symbol::QueryAlign) | setOf(Symbol::KeyAlign) |
                    setOf(Symbol::ValueAlign) | setOf(Symbol::OutputAlign));
constexpr SymbolSet mapSymbols = setOf(Symbol::N);
/// What the number of parts of the key tiles depends on (Spec N18).
constexpr SymbolSet extentSymbols = setOf(Symbol::QueryB) - 1;

/// Kept in postfix order: a launch evaluates it on a fixed stack, without
/// allocating.
class Expression {
public:
  /// At most this many values wait on the stack of an evaluation.
  static constexpr size_t stackLimit = 32;

  Expression() = default;
  explicit Expression(int64_t constant) { steps.push_back({Kind::Constant, constant}); }

  static Status parse(const nlohmann::json &json, SymbolSet allowed, Expression &result);
  /// Of JSON text, as in sage_geometry.
  static Status parseText(std::string_view json, SymbolSet allowed, Expression &result);

  Status evaluate(const SymbolValues &symbols, int64_t &result) const;
  /// Of a map, in the one symbol `n`.
  Status evaluateAt(int64_t n, int64_t &result) const;

  SymbolSet symbols() const { return used; }
  std::string json() const;

private:
  enum class Kind : uint8_t { Constant, Symbol, Add, Sub, Mul, Mod, FloorDiv, CeilDiv, Min, Max };
  struct Step {
    Kind kind;
    int64_t value;
  };
  static Status apply(Kind kind, int64_t left, int64_t right, int64_t &result);
  Status append(const nlohmann::json &json, SymbolSet allowed, size_t depth);

  std::vector<Step> steps;
  SymbolSet used = 0;
};

} // namespace sage::runtime

#endif
