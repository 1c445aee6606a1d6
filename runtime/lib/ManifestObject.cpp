//===- ManifestObject.cpp - one JSON object, read strictly ----------------===//
#include "ManifestObject.h"

#include <algorithm>
#include <cmath>

namespace sage::runtime {

Status integerOf(const nlohmann::json &json, std::string_view name, int64_t &result) {
  bool fits = json.is_number_integer() &&
              !(json.is_number_unsigned() && json.get<uint64_t>() > uint64_t(INT64_MAX));
  if (!fits)
    return invalidArtifact(name, " must be a 64-bit integer, but got ", shortText(json));
  result = json.get<int64_t>();
  return {};
}

Status ManifestObject::wrongType(const char *name, const char *wanted,
                                 const nlohmann::json &got) const {
  return invalidArtifact(place, ".", name, " must be ", wanted, ", but got ", shortText(got));
}

Status ManifestObject::value(const char *name, const nlohmann::json *&result) {
  known.push_back(name);
  if (!json.is_object())
    return invalidArtifact(place, " must be an object, but got ", shortText(json));
  auto found = json.find(name);
  if (found == json.end())
    return invalidArtifact(place, ".", name, " is missing");
  result = &*found;
  return {};
}

Status ManifestObject::string(const char *name, std::string &result) {
  const nlohmann::json *field;
  SAGE_RETURN_IF_ERROR(value(name, field));
  if (!field->is_string())
    return wrongType(name, "a string", *field);
  result = field->get<std::string>();
  // C strings carry it on.
  if (result.find('\0') != std::string::npos)
    return wrongType(name, "a string without NUL", *field);
  return {};
}

Status ManifestObject::boolean(const char *name, int32_t &result) {
  const nlohmann::json *field;
  SAGE_RETURN_IF_ERROR(value(name, field));
  if (!field->is_boolean())
    return wrongType(name, "true or false", *field);
  result = field->get<bool>();
  return {};
}

Status ManifestObject::flag(const char *name, bool &result) {
  result = false;
  if (!json.contains(name))
    return {};
  int32_t given;
  SAGE_RETURN_IF_ERROR(boolean(name, given));
  result = given != 0;
  return {};
}

Status ManifestObject::integer(const char *name, int64_t &result) {
  const nlohmann::json *field;
  SAGE_RETURN_IF_ERROR(value(name, field));
  return integerOf(*field, text(place, ".", name), result);
}

Status ManifestObject::number(const char *name, double &result) {
  const nlohmann::json *field;
  SAGE_RETURN_IF_ERROR(value(name, field));
  if (!field->is_number() || !std::isfinite(field->get<double>()))
    return wrongType(name, "a finite number", *field);
  result = field->get<double>();
  return {};
}

Status ManifestObject::array(const char *name, size_t least, size_t most,
                             const nlohmann::json *&result) {
  SAGE_RETURN_IF_ERROR(value(name, result));
  if (!result->is_array())
    return wrongType(name, "an array", *result);
  if (result->size() < least || result->size() > most)
    return invalidArtifact(place, ".", name, " must have ", least,
                           least == most ? "" : text(" to ", most), " elements, but has ",
                           result->size());
  return {};
}

Status ManifestObject::expression(const char *name, SymbolSet allowed, Expression &result) {
  const nlohmann::json *field;
  SAGE_RETURN_IF_ERROR(value(name, field));
  return Expression::parse(*field, allowed, result).within(text(place, ".", name));
}

Status ManifestObject::indexOf(const char *name, std::initializer_list<const char *> names,
                               size_t &index) {
  std::string chosen;
  SAGE_RETURN_IF_ERROR(string(name, chosen));
  auto found = std::find(names.begin(), names.end(), chosen);
  if (found != names.end()) {
    index = size_t(found - names.begin());
    return {};
  }
  std::string accepted;
  for (const char *candidate : names)
    accepted += (accepted.empty() ? "" : ", ") + std::string(candidate);
  return invalidArtifact(place, ".", name, " must be one of ", accepted, ", but got '", chosen,
                         "'");
}

Status ManifestObject::finish() const {
  for (auto field = json.begin(); field != json.end(); ++field)
    if (std::find(known.begin(), known.end(), field.key()) == known.end())
      return invalidArtifact(place, " has the unknown field '", field.key(), "'");
  return {};
}

} // namespace sage::runtime
