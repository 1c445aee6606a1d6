//===- ManifestObject.h - one JSON object, read strictly --------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_MANIFESTOBJECT_H
#define SAGE_RUNTIME_LIB_MANIFESTOBJECT_H

#include "Expression.h"
#include "JsonText.h"

#include <initializer_list>
#include <string>
#include <vector>

namespace sage::runtime {

Status integerOf(const nlohmann::json &json, std::string_view name, int64_t &result);

/// Every getter refuses a missing field and a wrong type; `finish` refuses the
/// fields that no getter asked for.
class ManifestObject {
public:
  ManifestObject(const nlohmann::json &json, std::string place)
      : json(json), place(std::move(place)) {}

  Status value(const char *name, const nlohmann::json *&result);
  Status string(const char *name, std::string &result);
  Status boolean(const char *name, int32_t &result);
  /// A boolean that may be left out: false.
  Status flag(const char *name, bool &result);
  Status integer(const char *name, int64_t &result);
  Status number(const char *name, double &result);
  Status array(const char *name, size_t least, size_t most, const nlohmann::json *&result);
  Status expression(const char *name, SymbolSet allowed, Expression &result);
  /// The enumerator whose number is the index of the text in `names`.
  template <typename Enumeration>
  Status choice(const char *name, std::initializer_list<const char *> names, Enumeration &result) {
    size_t index = 0;
    SAGE_RETURN_IF_ERROR(indexOf(name, names, index));
    result = static_cast<Enumeration>(index);
    return {};
  }
  bool has(const char *name) const { return json.contains(name); }
  void optional(const char *name) { known.push_back(name); }
  Status finish() const;

private:
  Status indexOf(const char *name, std::initializer_list<const char *> names, size_t &index);
  Status wrongType(const char *name, const char *wanted, const nlohmann::json &got) const;

  const nlohmann::json &json;
  std::string place;
  std::vector<std::string_view> known;
};

} // namespace sage::runtime

#endif
