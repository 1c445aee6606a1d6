#include "JsonMutator.h"

#include <vector>

using nlohmann::json;

namespace sage::fuzz {
namespace {

void collect(const json &value, const json::json_pointer &place,
             std::vector<json::json_pointer> &places) {
  places.push_back(place);
  if (value.is_object())
    for (auto field = value.begin(); field != value.end(); ++field)
      collect(*field, place / field.key(), places);
  if (value.is_array())
    for (size_t i = 0; i < value.size(); ++i)
      collect(value[i], place / i, places);
}

json nested(Random &random, json value) {
  for (size_t depth = 1 + random.below(60); depth > 0; --depth) {
    const char *name = random.pick<const char *>({"add", "mul", "sub", "max", "floordiv"});
    value = random.oneIn(8) ? json::array({value}) : json::array({name, value, random.below(4)});
  }
  return value;
}

json leaf(Random &random) {
  switch (random.below(8)) {
  case 0:
  case 1:
  case 2:
    return random.pick(boundaryIntegers);
  case 3:
    return random.pick<json>({nullptr, true, false, json::array(), json::object(), "", 1.5, -0.0,
                              1e308, 18446744073709551615u});
  case 4:
    return random.pick<json>({"B", "Hq", "Hkv", "Nq", "Nk", "query_n", "output_b", "n", "query",
                              "output", "lse", "key_int8", std::string("a\0b", 3),
                              std::string(5000, 'x')});
  case 5:
    return {random.pick<const char *>(
                {"add", "sub", "mul", "mod", "floordiv", "ceildiv", "min", "max", "pow"}),
            random.pick<json>({"Nk", "Nq", 7, 0}), random.pick(boundaryIntegers)};
  default:
    return random.pick<const char *>({"pointer", "i32", "i64", "f32", "tensor_map", "u8", "f16",
                                      "bf16", "sm_90a", "sm_80", "e4m3", "int8", "none"});
  }
}

void mutateOnce(Random &random, json &root) {
  std::vector<json::json_pointer> places;
  collect(root, json::json_pointer(), places);
  const auto &place = random.pick(places), &other = random.pick(places);
  json &value = root[place];
  switch (random.below(7)) {
  case 0:
    if (!place.empty() && root[place.parent_pointer()].is_object())
      root[place.parent_pointer()].erase(place.back());
    return;
  case 1:
    if (value.is_array() && !value.empty())
      for (size_t copies = random.oneIn(20) ? 300 : 1; copies > 0; --copies)
        value.push_back(json(value[random.below(value.size())]));
    return;
  case 2: {
    json copy = root[other];
    root[place] = std::move(copy);
    return;
  }
  case 3:
    value = nested(random, value);
    return;
  case 4:
    if (value.is_array() && !value.empty())
      value.erase(random.below(value.size()));
    return;
  default:
    value = leaf(random);
  }
}

} // namespace

void mutateJson(Random &random, json &json) {
  for (size_t changes = 1 + random.below(3); changes > 0; --changes)
    mutateOnce(random, json);
}

} // namespace sage::fuzz
