//===- StubModules.cpp - modules, linking, launches -----------------------===//
#include "StubState.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace sage::stub;
namespace cuda = sage::runtime::cuda;

#define EXPORT SAGE_STUB_API cuda::Result

namespace {

/// What the stub's linker puts before the PTX in place of assembling it.
constexpr const char *cubinMagic = "STUBCUBIN\n";
/// PTX with this in it fails to assemble, with a log.
constexpr const char *errorMarker = "stub-jit-error";

struct LinkObject {
  std::string text;
  char *log = nullptr;
  size_t logBytes = 0;
};

unsigned bytesOfType(const std::string &type) {
  if (type == "b8" || type == "u8" || type == "s8")
    return 1;
  if (type == "b16" || type == "u16" || type == "s16" || type == "f16")
    return 2;
  return type == "b64" || type == "u64" || type == "s64" || type == "f64" ? 8 : 4;
}

/// `.param .align 64 .b8 map[128]` or `.param .u64 .ptr .global x`.
Parameter parseParameter(const std::string &text) {
  Parameter parameter{0, 0};
  size_t align = text.find(".align");
  // `.ptr .align` speaks of the pointee.
  if (align != std::string::npos && align < text.find(".ptr"))
    parameter.alignment = unsigned(std::atoi(text.c_str() + align + 6));
  for (const char *type :
       {"b8", "u8", "s8", "b16", "u16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64"})
    if (text.find(std::string(".") + type + " ") != std::string::npos)
      parameter.bytes = bytesOfType(type);
  if (parameter.alignment == 0)
    parameter.alignment = parameter.bytes;
  size_t bracket = text.find('[');
  if (bracket != std::string::npos)
    parameter.bytes *= unsigned(std::atoi(text.c_str() + bracket + 1));
  return parameter;
}

void parseEntries(const std::string &ptx, ModuleObject &module) {
  for (size_t at = ptx.find(".entry"); at != std::string::npos; at = ptx.find(".entry", at + 1)) {
    size_t name = ptx.find_first_not_of(" \t", at + 6);
    size_t open = ptx.find('(', name);
    size_t close = ptx.find(')', open);
    // Cut off behind `.entry`, its name or its parameters.
    if (name == std::string::npos || open == std::string::npos || close == std::string::npos)
      break;
    FunctionObject function;
    function.name = ptx.substr(name, ptx.find_first_of("( \t\n", name) - name);
    std::string list = ptx.substr(open + 1, close - open - 1);
    for (size_t begin = list.find(".param"); begin != std::string::npos;) {
      size_t end = list.find(',', begin);
      function.parameters.push_back(parseParameter(list.substr(begin, end - begin)));
      begin = end == std::string::npos ? end : list.find(".param", end);
    }
    module.functions[function.name] = function;
  }
}

void findLog(unsigned count, cuda::JitOption *options, void **values, char *&log, size_t &bytes) {
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == cuda::JitErrorLogBuffer)
      log = static_cast<char *>(values[i]);
    if (options[i] == cuda::JitErrorLogBufferSizeBytes)
      bytes = size_t(reinterpret_cast<uintptr_t>(values[i]));
  }
}

cuda::Result assemble(const std::string &text, char *log, size_t bytes) {
  if (text.find(errorMarker) == std::string::npos)
    return cuda::Success;
  if (log)
    std::snprintf(log, bytes, "ptxas: line 7: no such instruction");
  return cuda::ErrorInvalidPtx;
}

} // namespace

extern "C" {

EXPORT cuModuleLoadDataEx(cuda::Module *module, const void *image, unsigned count,
                          cuda::JitOption *options, void **values) {
  SAGE_STUB_ENTER("cuModuleLoadDataEx");
  SAGE_STUB_NEEDS_CONTEXT();
  std::string text = static_cast<const char *>(image);
  if (text.rfind(cubinMagic, 0) != 0 && text.rfind("//", 0) != 0)
    return cuda::ErrorInvalidImage;
  char *log = nullptr;
  size_t bytes = 0;
  findLog(count, options, values, log, bytes);
  if (cuda::Result wrong = assemble(text, log, bytes))
    return wrong;
  auto *object = new ModuleObject;
  parseEntries(text, *object);
  addLive(object);
  *module = reinterpret_cast<cuda::Module>(object);
  return cuda::Success;
}

EXPORT cuModuleGetFunction(cuda::Function *function, cuda::Module module, const char *name) {
  SAGE_STUB_ENTER("cuModuleGetFunction");
  auto &functions = reinterpret_cast<ModuleObject *>(module)->functions;
  auto found = functions.find(name);
  if (found == functions.end())
    return cuda::ErrorNotFound;
  *function = reinterpret_cast<cuda::Function>(&found->second);
  return cuda::Success;
}

EXPORT cuFuncGetParamInfo(cuda::Function handle, size_t index, size_t *offset, size_t *bytes) {
  SAGE_STUB_ENTER("cuFuncGetParamInfo");
  const auto &parameters = reinterpret_cast<FunctionObject *>(handle)->parameters;
  if (index >= parameters.size())
    return cuda::ErrorInvalidValue;
  *offset = 0; // the runtime does not ask
  *bytes = parameters[index].bytes;
  return cuda::Success;
}

EXPORT cuModuleUnload(cuda::Module module) {
  // A planned failure unloads all the same, as the driver's do.
  int planned = enter("cuModuleUnload");
  if (!removeLive(module))
    return cuda::ErrorInvalidValue;
  delete reinterpret_cast<ModuleObject *>(module);
  return planned;
}

EXPORT cuFuncSetAttribute(cuda::Function function, cuda::FunctionAttribute, int value) {
  SAGE_STUB_ENTER("cuFuncSetAttribute");
  reinterpret_cast<FunctionObject *>(function)->sharedBytes = value;
  return cuda::Success;
}

EXPORT cuLinkCreate_v2(unsigned count, cuda::JitOption *options, void **values,
                       cuda::LinkState *linker) {
  SAGE_STUB_ENTER("cuLinkCreate_v2");
  SAGE_STUB_NEEDS_CONTEXT();
  auto *object = new LinkObject;
  findLog(count, options, values, object->log, object->logBytes);
  addLive(object);
  *linker = reinterpret_cast<cuda::LinkState>(object);
  return cuda::Success;
}

EXPORT cuLinkAddData_v2(cuda::LinkState linker, cuda::JitInputType, void *data, size_t size,
                        const char *, unsigned, cuda::JitOption *, void **) {
  SAGE_STUB_ENTER("cuLinkAddData_v2");
  auto *object = reinterpret_cast<LinkObject *>(linker);
  object->text = cubinMagic;
  object->text.append(static_cast<char *>(data), size - 1);
  return assemble(object->text, object->log, object->logBytes);
}

EXPORT cuLinkComplete(cuda::LinkState linker, void **cubin, size_t *size) {
  SAGE_STUB_ENTER("cuLinkComplete");
  auto *object = reinterpret_cast<LinkObject *>(linker);
  *cubin = object->text.data();
  *size = object->text.size();
  return cuda::Success;
}

EXPORT cuLinkDestroy(cuda::LinkState linker) {
  int planned = enter("cuLinkDestroy");
  if (!removeLive(linker))
    return cuda::ErrorInvalidValue;
  delete reinterpret_cast<LinkObject *>(linker);
  return planned;
}

EXPORT cuTensorMapEncodeTiled(cuda::TensorMap *map, cuda::TensorMapDataType type, uint32_t rank,
                              void *address, const uint64_t *extents, const uint64_t *strides,
                              const uint32_t *box, const uint32_t *, cuda::TensorMapInterleave,
                              cuda::TensorMapSwizzle swizzle,
                              cuda::TensorMapL2Promotion l2Promotion, cuda::TensorMapOobFill) {
  SAGE_STUB_ENTER("cuTensorMapEncodeTiled");
  SAGE_STUB_NEEDS_CONTEXT();
  static_assert(sizeof(sage_stub_tensor_map) == sizeof(cuda::TensorMap));
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0 ||
      reinterpret_cast<uintptr_t>(address) % 16 != 0 || !address)
    return cuda::ErrorInvalidValue;
  sage_stub_tensor_map record = {};
  record.address = uint64_t(reinterpret_cast<uintptr_t>(address));
  record.type = uint16_t(type);
  record.rank = uint16_t(rank);
  record.swizzle = uint16_t(swizzle);
  record.l2_promotion = uint16_t(l2Promotion);
  for (uint32_t i = 0; i < rank; ++i) {
    record.extents[i] = extents[i];
    record.box[i] = uint16_t(box[i]);
    if (i + 1 < rank)
      record.strides[i] = strides[i];
  }
  std::memcpy(map, &record, sizeof(record));
  return cuda::Success;
}

static cuda::Result recordLaunch(const cuda::LaunchConfig &config, cuda::Function handle,
                                 void **arguments);

EXPORT cuLaunchKernel(cuda::Function handle, unsigned gridX, unsigned gridY, unsigned gridZ,
                      unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,
                      cuda::Stream stream, void **arguments, void **) {
  SAGE_STUB_ENTER("cuLaunchKernel");
  SAGE_STUB_NEEDS_CONTEXT();
  return recordLaunch(
      {{gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes, stream, nullptr, 0}, handle,
      arguments);
}

EXPORT cuLaunchKernelEx(const cuda::LaunchConfig *config, cuda::Function handle, void **arguments,
                        void **) {
  SAGE_STUB_ENTER("cuLaunchKernelEx");
  SAGE_STUB_NEEDS_CONTEXT();
  return recordLaunch(*config, handle, arguments);
}

static cuda::Result recordLaunch(const cuda::LaunchConfig &config, cuda::Function handle,
                                 void **arguments) {
  auto *function = reinterpret_cast<FunctionObject *>(handle);
  const unsigned *grid = config.grid;
  if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0 ||
      int(config.sharedBytes) > function->sharedBytes)
    return cuda::ErrorInvalidValue;
  if (state().quiet)
    return cuda::Success;
  sage_stub_launch launch = {};
  std::snprintf(launch.kernel, sizeof(launch.kernel), "%s", function->name.c_str());
  std::memcpy(launch.grid, config.grid, sizeof(launch.grid));
  std::memcpy(launch.block, config.block, sizeof(launch.block));
  launch.shared_bytes = config.sharedBytes;
  launch.stream = config.stream;
  for (unsigned i = 0; i < config.attributeCount; ++i)
    launch.overlaps |= config.attributes[i].id == cuda::ProgrammaticStreamSerialization &&
                       config.attributes[i].programmaticStreamSerialization;
  unsigned end = 0;
  for (const Parameter &parameter : function->parameters) {
    if (launch.argument_count == 128 || parameter.bytes > sizeof(launch.arguments) - end)
      return cuda::ErrorInvalidValue;
    unsigned i = launch.argument_count++;
    launch.argument_offsets[i] = end;
    launch.argument_bytes[i] = parameter.bytes;
    std::memcpy(launch.arguments + end, arguments[i], parameter.bytes);
    end += parameter.bytes;
  }
  State &s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  s.launches.push_back(launch);
  return cuda::Success;
}

} // extern "C"
