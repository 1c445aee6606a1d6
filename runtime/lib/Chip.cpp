//===- Chip.cpp - sm_90a and the devices that run it ----------------------===//
#include "Chip.h"

namespace sage::runtime {

Status Chip::parse(const std::string &name, Chip &result) {
  auto isDigit = [](char c) { return c >= '0' && c <= '9'; };
  size_t end = 3;
  while (end < name.size() && isDigit(name[end]))
    ++end;
  bool plausible = name.rfind("sm_", 0) == 0 && end >= 5 && end <= 6;
  std::string suffix = plausible ? name.substr(end) : "";
  if (!plausible || (!suffix.empty() && suffix != "a" && suffix != "f"))
    return invalidArtifact("target.chip must look like sm_89 or sm_90a, but "
                           "got '",
                           name.substr(0, 20), "'");
  int number = std::stoi(name.substr(3, end - 3));
  result.name = name;
  result.capability = {number / 10, number % 10};
  result.scope = suffix == "a" ? Scope::Exact : suffix == "f" ? Scope::Family : Scope::AndLater;
  return {};
}

Status Chip::checkRunsOn(ComputeCapability device) const {
  bool sameMajor = device.major == capability.major;
  bool runs = false;
  switch (scope) {
  case Scope::Exact:
    runs = sameMajor && device.minor == capability.minor;
    break;
  case Scope::Family:
    runs = sameMajor && device.minor >= capability.minor;
    break;
  case Scope::AndLater:
    runs = device.major > capability.major || cubinRunsOn(device);
    break;
  }
  if (runs)
    return {};
  return failure(SAGE_WRONG_DEVICE, "the artifact is for ", name,
                 ", but the device has compute capability ", device.major, ".", device.minor)
      .withRemedy(text("compile for the device's chip: sage-compile "
                       "--chip=sm_",
                       device.major, device.minor, device.major >= 9 ? "a" : ""));
}

bool Chip::cubinRunsOn(ComputeCapability device) const {
  return device.major == capability.major &&
         (scope == Scope::Exact ? device.minor == capability.minor
                                : device.minor >= capability.minor);
}

} // namespace sage::runtime
