// Random attentions as text.

#include "Corpus.h"

namespace sage::fuzz {
namespace {

/// An extent: mostly small or dynamic, sometimes at a boundary.
std::string extent(Random &random, bool hostile) {
  if (random.oneIn(2))
    return "?";
  if (hostile && random.oneIn(4)) {
    int64_t value = random.pick(boundaryIntegers);
    return std::to_string(value < 0 ? -(value + 1) : value);
  }
  return std::to_string(random.pick({0, 1, 2, 3, 4, 5, 16, 63, 64, 65, 100, 128, 129, 1000, 8192}));
}

std::string headDim(Random &random, bool hostile) {
  if (hostile && random.oneIn(3))
    return extent(random, true);
  if (random.oneIn(16))
    return "?";
  return std::to_string(random.pick({128, 128, 64, 64, 256, 192, 96, 80, 72, 40, 32, 16, 8, 1}));
}

std::string recipe(Random &random, bool hostile) {
  std::string text = "#sage.recipe<\"" + randomRecipeName(random) + "\"";
  auto differ = [&](const char *name, std::initializer_list<const char *> values) {
    if (random.oneIn(hostile ? 5 : 12))
      text += std::string(", ") + name + " = " + random.pick(values);
  };
  differ("qk", {"int8", "int4", "e4m3", "f16"});
  differ("granularity", {"per_tensor", "per_block", "per_warp", "per_thread", "per_token"});
  differ("smooth", {"none", "q", "k", "v", "q|k", "k|v", "q|k|v"});
  differ("pv", {"e4m3", "e5m2", "f16"});
  differ("accumulation", {"single", "two_level"});
  differ("inner", {"f32", "f16"});
  differ("interval", {"0", "32", "64", "128", "-32", "9223372036854775807"});
  differ("row_sum", {"float", "quantized"});
  differ("rotate", {"none", "hadamard"});
  differ("range", {"full", "clipped"});
  return text + ">";
}

std::string groupMap(Random &random) {
  return "affine_map<(n) -> (" +
         random.pick<std::string>(
             {"n", "n floordiv 16", "n floordiv 32", "n floordiv 64", "n floordiv 128", "0",
              "(n floordiv 16) * 8 + n mod 8", "(n floordiv 64) * 4 + (n mod 8) floordiv 2",
              "n mod 65536", "n * 4611686018427387904", "n floordiv 9223372036854775807",
              "(n mod 65535) mod 65536 + n mod 3", "n ceildiv 2", "-n", "n + 1099511627776"}) +
         ")>";
}

std::string keyParts(Random &random) {
  if (random.oneIn(2))
    return "";
  return ", key_parts = affine_map<" +
         random.pick<std::string>({"()[b, hq, hkv, nq, nk] -> (132 floordiv (b * hq * (nq ceildiv "
                                   "128)), nk floordiv 64)",
                                   "() -> (3)", "() -> (0)", "() -> (9223372036854775807)",
                                   "()[b] -> (b floordiv 0)", "()[b, hq] -> (b mod (hq - 1))",
                                   "(n) -> (n)", "() -> ()", "()[b, h, k, q, n, x] -> (x)"}) +
         ">";
}

std::string geometry(Random &random) {
  auto number = [&](std::initializer_list<const char *> usual) {
    return random.oneIn(4) ? std::to_string(random.pick(boundaryIntegers))
                           : std::string(random.pick(usual));
  };
  return "#sage.geometry<query_block = " + number({"128", "64", "192", "16"}) +
         ", key_tile = " + number({"64", "128", "32", "96"}) +
         ", query_groups = " + groupMap(random) + ", key_groups = " + groupMap(random) +
         ", value_order = affine_map<(p) -> (" +
         random.pick<std::string>({"p",
                                   "(p floordiv 16) * 16 + (p mod 4) floordiv 2 * 8 + ((p mod "
                                   "16) floordiv 4) * 2 + p mod 2",
                                   "p + 16", "0", "p * 2",
                                   "(p floordiv 16) * 16 + 15 - p mod 16"}) +
         ")>" + keyParts(random) + ">";
}

std::string mask(Random &random, bool hostile) {
  std::string kind =
      random.pick<std::string>({"none", "none", "causal_top_left", "causal_bottom_right",
                                "window_top_left", "window_bottom_right"});
  std::string text = ", mask = #sage.mask<" + kind + ">";
  auto bound = [&](const char *name) {
    int64_t value =
        hostile && random.oneIn(2) ? random.pick(boundaryIntegers) : int64_t(random.below(300));
    text += std::string(", ") + name + " = " + std::to_string(value) + " : i64";
  };
  bool windowed = kind.compare(0, 6, "window") == 0;
  if (windowed || random.oneIn(6))
    bound("window_left");
  if (windowed && random.oneIn(2))
    bound("window_right");
  if (random.oneIn(10))
    bound("sink_tokens");
  if (random.oneIn(10))
    text += ", softcap = " + random.pick<std::string>({"50.0", "0.0", "0x7F800000", "1.0e-38"}) +
            " : f32";
  return text;
}

std::string attributes(Random &random, bool hostile) {
  std::string text = "{recipe = " + recipe(random, hostile);
  text += mask(random, hostile);
  if (random.oneIn(3))
    text +=
        ", layout = #sage.layout<" + random.pick<std::string>({"head_major", "token_major"}) + ">";
  if (random.oneIn(3))
    text += ", scale = " +
            (hostile ? random.pick<std::string>(
                           {"0.0", "-1.0", "0x7FC00000", "0x7F800000", "1e-45", "3.4e38", "0.5"})
                     : random.pick<std::string>({"0.125", "1.0", "0.08838834764"})) +
            " : f32";
  if (random.oneIn(hostile ? 3 : 10))
    text += ", geometry = " + geometry(random);
  return text + "}";
}

/// Extents and types of one attention, and its text.
class Generator {
public:
  Generator(Random &random, bool hostile);
  std::string run();

private:
  std::string type(const std::string &heads, const std::string &tokens, const std::string &dim) {
    return container + "<" + batch + "x" + (tokenMajor ? tokens : heads) + "x" +
           (tokenMajor ? heads : tokens) + "x" + dim + "x" + element + ">";
  }
  void addOperand(const std::string &name, const std::string &type) {
    operands += ", %" + name + ": " + type;
    masks += "\n      " + name + "(%" + name + " : " + type + ")";
  }
  void addMasks();
  std::string biasType();

  Random &random;
  bool hostile, packed, tokenMajor;
  std::string attributeText, batch, keyHeads, queryHeads, queries, keys, dim, valueDim, element,
      container, operands, masks;
};

Generator::Generator(Random &random, bool hostile)
    : random(random), hostile(hostile), packed(random.oneIn(5)),
      attributeText(attributes(random, hostile)), batch(extent(random, hostile)),
      keyHeads(extent(random, hostile)), queryHeads(keyHeads), queries(extent(random, hostile)),
      keys(extent(random, hostile)), dim(headDim(random, hostile)),
      valueDim(random.oneIn(4) ? headDim(random, hostile) : dim),
      element(random.pick<std::string>({"f16", "f16", "bf16"})),
      container(hostile && random.oneIn(6) ? "memref" : "tensor") {
  tokenMajor = attributeText.find("token_major") != std::string::npos;
  if (packed && !random.oneIn(hostile ? 3 : 50))
    batch = random.pick<std::string>({"1", "1", "?"});
  if (hostile && random.oneIn(6))
    element = random.pick<std::string>({"f32", "i8", "f8E4M3FN", "index", "f64"});
  if (random.oneIn(3) && keyHeads != "?" && keyHeads.size() < 6)
    queryHeads = std::to_string(std::stoll(keyHeads) * random.pick({1, 2, 3, 8}));
  if (hostile && random.oneIn(5))
    queryHeads = extent(random, true);
}

/// Every extent may be 1, which repeats.
std::string Generator::biasType() {
  std::string text = container + "<";
  for (const std::string &extent : {batch, queryHeads, queries, keys})
    text += (random.oneIn(3) ? "1" : extent) + "x";
  if (hostile && random.oneIn(4))
    return text + random.pick<std::string>({"i8", "f64", "1xf32", "i32", "f8E4M3FN"}) + ">";
  return text + random.pick<std::string>({"i1", "f16", "bf16", "f32"}) + ">";
}

/// In the order of the op's assembly.
void Generator::addMasks() {
  auto vector = [&](const std::string &size, const char *type) {
    return container + "<" + (hostile && random.oneIn(6) ? extent(random, true) : size) + "x" +
           (hostile && random.oneIn(6) ? "i64" : type) + ">";
  };
  if (random.oneIn(4))
    addOperand("bias", biasType());
  if (!packed && random.oneIn(5))
    addOperand("key_lengths", vector(batch, "i32"));
  if (random.oneIn(6))
    addOperand("sinks", vector(queryHeads, "f32"));
  if (!packed)
    return;
  std::string sequences = random.pick<std::string>({"?", "1", "2", "5", "1000"});
  addOperand("query_offsets", vector(sequences, "i32"));
  if (!random.oneIn(hostile ? 4 : 50))
    addOperand("key_offsets", vector(sequences, "i32"));
}

std::string Generator::run() {
  std::string q = type(queryHeads, queries, dim), k = type(keyHeads, keys, dim),
              v = type(keyHeads, keys, valueDim), o = type(queryHeads, queries, valueDim),
              l = container + "<" + batch + "x" + queryHeads + "x" + queries + "xf32>";
  operands = "%q: " + q + ", %k: " + k + ", %v: " + v + ", %o: " + o;
  addMasks();
  bool lse = random.oneIn(2);
  std::string results = lse ? o + ", " + l : o;
  operands += lse ? ", %l: " + l : "";
  std::string op = "sage.attention ins(%q, %k, %v : " + q + ", " + k + ", " + v + ")" + masks +
                   "\n      outs(%o" + (lse ? ", %l : " : " : ") + results + ")\n      " +
                   attributeText;
  std::string head = "func.func @attention(" + operands + ")";
  if (container == "memref")
    return head + " {\n  " + op + "\n  return\n}\n";
  return head + " -> (" + results + ") {\n  %r" + (lse ? ":2" : "") + " = " + op + " -> " +
         results + "\n  return " + (lse ? "%r#0, %r#1" : "%r") + " : " + results + "\n}\n";
}

} // namespace

std::string randomChip(Random &random) {
  return random.pick<std::string>(
      {"sm_80", "sm_86", "sm_89", "sm_89", "sm_90a", "sm_90a", "sm_120a", "sm_120a", "sm_100a"});
}

std::string randomRecipeName(Random &random) {
  return random.pick<std::string>({"sage2-8b", "sage2-8b", "sage2-8b", "sage2-4b", "sage1",
                                   "sage2pp", "sage-8b", "sage-4b", "f16", "f16"});
}

std::string randomAttention(Random &random, bool hostile) {
  return Generator(random, hostile).run();
}

} // namespace sage::fuzz
