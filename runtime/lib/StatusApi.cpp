//===- StatusApi.cpp - the C API of statuses and the version --------------===//
#include "Status.h"

#define SAGE_TEXT_OF(value) #value
#define SAGE_VERSION_TEXT(major, minor, patch)                                                     \
  SAGE_TEXT_OF(major) "." SAGE_TEXT_OF(minor) "." SAGE_TEXT_OF(patch)

extern "C" const char *sage_runtime_version(void) {
  return SAGE_VERSION_TEXT(SAGE_RUNTIME_VERSION_MAJOR, SAGE_RUNTIME_VERSION_MINOR,
                           SAGE_RUNTIME_VERSION_PATCH);
}

extern "C" sage_status_code sage_status_get_code(const sage_status *status) {
  return status ? status->code : SAGE_OK;
}

extern "C" const char *sage_status_get_message(const sage_status *status) {
  return status ? status->message.c_str() : "";
}

extern "C" const char *sage_status_get_remedy(const sage_status *status) {
  return status ? status->remedy.c_str() : "";
}

extern "C" void sage_status_destroy(sage_status *status) {
  // The status for exhausted memory is static: it is the one with that code.
  if (status && status->code != SAGE_OUT_OF_MEMORY)
    delete status;
}
