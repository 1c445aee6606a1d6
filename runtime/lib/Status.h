//===- Status.h - success, or why not ---------------------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_STATUS_H
#define SAGE_RUNTIME_LIB_STATUS_H

#include "sage/runtime/sage.h"

#include <memory>
#include <sstream>
#include <string>
#include <utility>

struct sage_status {
  sage_status_code code;
  std::string message;
  std::string remedy;
};

namespace sage::runtime {

/// Success is a null pointer: a launch that works allocates nothing.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(sage_status_code code, std::string message, std::string remedy = {})
      : detail(new sage_status{code, std::move(message), std::move(remedy)}) {}

  bool ok() const { return !detail; }
  sage_status_code code() const { return detail ? detail->code : SAGE_OK; }
  const std::string &message() const {
    static const std::string none;
    return detail ? detail->message : none;
  }
  const std::string &remedy() const {
    static const std::string none;
    return detail ? detail->remedy : none;
  }

  /// The same failure, said of the thing that `prefix` names.
  Status within(const std::string &prefix) && {
    if (detail)
      detail->message = prefix + ": " + detail->message;
    return std::move(*this);
  }
  Status withRemedy(std::string remedy) && {
    if (detail)
      detail->remedy = std::move(remedy);
    return std::move(*this);
  }

  sage_status *release() { return detail.release(); }

private:
  std::unique_ptr<sage_status> detail;
};

/// Builds a message from its parts, and a failure from the message.
template <typename... Parts> std::string text(const Parts &...parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}
template <typename... Parts> Status failure(sage_status_code code, const Parts &...parts) {
  return Status(code, text(parts...));
}
template <typename... Parts> Status invalidArgument(const Parts &...parts) {
  return failure(SAGE_INVALID_ARGUMENT, parts...);
}
template <typename... Parts> Status invalidArtifact(const Parts &...parts) {
  return failure(SAGE_INVALID_ARTIFACT, parts...)
      .withRemedy("compile the artifact again with sage-compile");
}

} // namespace sage::runtime

#define SAGE_RETURN_IF_ERROR(expression)                                                           \
  do {                                                                                             \
    if (::sage::runtime::Status sageStatus = (expression); !sageStatus.ok())                       \
      return sageStatus;                                                                           \
  } while (false)

#endif
