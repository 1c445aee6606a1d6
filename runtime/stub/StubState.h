//===- StubState.h - the stub driver's state --------------------*- C++ -*-===//
#ifndef SAGE_STUB_STUBSTATE_H
#define SAGE_STUB_STUBSTATE_H

#include "DriverApi.h"
#include "sage_stub.h"

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace sage::stub {

struct Parameter {
  unsigned bytes, alignment;
};
struct FunctionObject {
  std::string name;
  std::vector<Parameter> parameters;
  int sharedBytes = 0;
};
struct ModuleObject {
  std::map<std::string, FunctionObject> functions;
};

struct State {
  std::mutex mutex;
  std::atomic<bool> quiet{false};
  int devices = 1, major = 9, minor = 0;
  std::map<std::string, int> calls;
  std::map<std::string, std::pair<int, int>> failures; // name → (k, error)
  std::vector<sage_stub_launch> launches;
  std::set<void *> live; // modules, linkers, memory, streams, events
  int retainedContexts = 0;
};
State &state();
std::vector<void *> &contextStack(); // of this thread

/// Counts a call; the error that was planned for it, or success.
int enter(const char *function);
void addLive(void *object);
/// False if the object is unknown: used after it was destroyed, say.
bool removeLive(void *object);
bool isLive(void *object);

} // namespace sage::stub

#define SAGE_STUB_ENTER(name)                                                                      \
  if (int planned = sage::stub::enter(name))                                                       \
  return planned
#define SAGE_STUB_NEEDS_CONTEXT()                                                                  \
  if (sage::stub::contextStack().empty())                                                          \
  return cuda::ErrorInvalidContext

#endif
