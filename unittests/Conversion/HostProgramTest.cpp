// The functions of convert-sage-program-to-gpu launch what sage_module_launch launches for the same
// artifact: both run on the stub driver, which records every launch to the last argument byte.

#include "mlir/Conversion/Passes.h"
#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVM/NVVM/Target.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "sage/InitAll.h"
#include "sage/Pipelines/SageToGpu.h"
#include "sage/Target/Artifact.h"
#include "sage/runtime/sage.h"
#include "sage_mgpu.h"
#include "sage_stub.h"
#include "llvm/Support/TargetSelect.h"

#include <cstdio>
#include <cstring>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace mlir;

namespace {

struct Program {
  const char *name, *chip;
  std::string attributes = "";
  const char *element = "f16";
  bool isTokenMajor = false, hasLse = true;
  /// B, Hq, Hkv, Nq, Nk in the types; -1 where any extent is accepted.
  std::array<int64_t, 5> shape = {-1, -1, -1, -1, -1};
};

void PrintTo(const Program &program, std::ostream *stream) { *stream << program.name; }

/// Addresses are never read: the stub runs no kernel.
void *address(uint64_t value) { return reinterpret_cast<void *>(uintptr_t(value)); }
void *const stream = address(0x770), *const workspace = address(0x40000000);

std::string print(int64_t extent) { return extent < 0 ? "?" : std::to_string(extent); }

std::string printTensor(const Program &program, int heads, int tokens) {
  std::string h = print(program.shape[heads]), n = print(program.shape[tokens]);
  return "tensor<" + print(program.shape[0]) + "x" +
         (program.isTokenMajor ? n + "x" + h : h + "x" + n) + "x128x" + program.element + ">";
}

/// A function @f whose attention becomes the program @f_attention.
std::string printModule(const Program &program) {
  std::string q = printTensor(program, 1, 3), k = printTensor(program, 2, 4);
  std::string l = "tensor<" + print(program.shape[0]) + "x" + print(program.shape[1]) + "x" +
                  print(program.shape[3]) + "xf32>";
  std::string outputs = program.hasLse ? "%o, %l : " + q + ", " + l : "%o : " + q;
  std::string results = program.hasLse ? q + ", " + l : q;
  std::string layout = program.isTokenMajor ? "token_major" : "head_major";
  return "func.func @f(%q: " + q + ", %k: " + k + ", %v: " + k + ", %o: " + q + ", %l: " + l +
         ") -> " + q + " {\n  %r" + (program.hasLse ? ":2" : "") +
         " = sage.attention ins(%q, %k, %v : " + q + ", " + k + ", " + k + ") outs(" + outputs +
         ") {recipe = #sage.recipe<\"sage2-8b\">, layout = #sage.layout<" + layout + ">" +
         program.attributes + "} -> " + results + "\n  return %r" + (program.hasLse ? "#0" : "") +
         " : " + q + "\n}\n";
}

std::vector<sage_stub_launch> takeLaunches() {
  std::vector<sage_stub_launch> launches(sage_stub_launches());
  for (size_t i = 0; i < launches.size(); ++i)
    sage_stub_get_launch(i, &launches[i]);
  sage_stub_reset();
  return launches;
}

/// As MLIR's C interface passes a memref.
struct View {
  void *allocated, *aligned;
  int64_t offset = 0;
  std::array<int64_t, 8> extentsAndStrides{};

  View(void *data, const int64_t *extents, const int64_t *strides, size_t rank)
      : allocated(data), aligned(data) {
    std::copy_n(extents, rank, extentsAndStrides.begin());
    std::copy_n(strides, rank, extentsAndStrides.begin() + rank);
  }
};

class HostProgram;

/// The C interface's arguments of a call: memrefs, the workspace last.
struct Arguments {
  Arguments(const HostProgram &test, const sage_call &call, int64_t workspaceBytes);
  std::vector<void *> values;

private:
  std::vector<View> views;
  std::vector<void *> pointers;
};

class HostProgram : public testing::TestWithParam<Program> {
public:
  View view(const sage_tensor &tensor) const {
    std::array<int64_t, 4> order = {0, 1, 2, 3};
    if (GetParam().isTokenMajor)
      std::swap(order[1], order[2]);
    std::array<int64_t, 4> extents, strides;
    for (size_t i = 0; i < 4; ++i) {
      extents[i] = tensor.extents[order[i]];
      strides[i] = tensor.strides[order[i]];
    }
    return View(tensor.data, extents.data(), strides.data(), 4);
  }

protected:
  void SetUp() override {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    DialectRegistry registry;
    mlir::registerAllDialects(registry);
    registerAllExtensions(registry);
    NVVM::registerNVVMTargetInterfaceExternalModels(registry);
    registerAllToLLVMIRTranslations(registry);
    sage::registerAllDialects(registry);
    context = std::make_unique<MLIRContext>(registry);
    sage_stub_reset();
    bool isHopper = StringRef(GetParam().chip) == "sm_90a";
    sage_stub_set_devices(1, isHopper ? 9 : 8, isHopper ? 0 : 9);
    sage_mgpu_set_driver(SAGE_STUB_DRIVER);
    loadArtifact();
    compileFunctions();
  }
  void TearDown() override {
    sage_module_destroy(module);
    sage_artifact_destroy(artifact);
  }

  OwningOpRef<ModuleOp> compile(llvm::function_ref<void(OpPassManager &)> build) {
    auto result = parseSourceString<ModuleOp>(printModule(GetParam()), context.get());
    PassManager manager(context.get());
    manager.enableVerifier(false);
    build(manager);
    if (!result || failed(manager.run(*result)))
      return {};
    return result;
  }

  void loadArtifact() {
    auto compiled = compile([&](OpPassManager &manager) {
      sage::PipelineOptions options;
      options.chip = GetParam().chip;
      sage::buildSageToNVVMPipeline(manager, options);
    });
    ASSERT_TRUE(compiled);
    FailureOr<sage::tile::ProgramOp> program = sage::findProgram(*compiled);
    ASSERT_TRUE(succeeded(program));
    FailureOr<std::string> text = sage::emitArtifact(*program);
    ASSERT_TRUE(succeeded(text));
    ASSERT_EQ(sage_artifact_parse(text->data(), text->size(), &artifact), nullptr);
    sage_driver_options options = {SAGE_STUB_DRIVER};
    sage_driver *driver = nullptr;
    ASSERT_EQ(sage_driver_open(&options, &driver), nullptr);
    ASSERT_EQ(sage_module_load(driver, artifact, 0, nullptr, &module), nullptr);
    sage_driver_close(driver);
  }

  void compileFunctions() {
    auto compiled = compile([&](OpPassManager &manager) {
      sage::SageToGpuOptions options;
      options.chip = GetParam().chip;
      sage::buildSageToGpuPipeline(manager, options);
    });
    ASSERT_TRUE(compiled);
    // The caller works on tensors; here its callee is called.
    SymbolTable::lookupSymbolIn(*compiled, "f")->erase();
    PassManager manager(context.get());
    manager.addPass(createSCFToControlFlowPass());
    manager.addPass(createGpuToLLVMConversionPass());
    manager.addPass(createReconcileUnrealizedCastsPass());
    ASSERT_TRUE(succeeded(manager.run(*compiled)));
    auto created = ExecutionEngine::create(*compiled);
    ASSERT_TRUE(bool(created)) << llvm::toString(created.takeError());
    engine = std::move(*created);
    engine->initialize();
  }

  void invoke(const char *name, std::vector<void *> arguments) {
    llvm::Error error = engine->invokePacked(name, arguments);
    ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
  }

  sage_call makeCall(std::array<int64_t, 5> shape) const {
    auto type = StringRef(GetParam().element) == "f16" ? SAGE_F16 : SAGE_BF16;
    auto dense = [&](uint64_t data, int64_t heads, int64_t tokens) {
      return sage_tensor_dense(address(data),
                               GetParam().isTokenMajor ? SAGE_TOKEN_MAJOR : SAGE_HEAD_MAJOR, type,
                               shape[0], heads, tokens, 128);
    };
    sage_call call{};
    call.query = dense(0x10000, shape[1], shape[3]);
    call.key = dense(0x20000, shape[2], shape[4]);
    call.value = dense(0x30000, shape[2], shape[4]);
    call.output = dense(0x50000, shape[1], shape[3]);
    call.lse = GetParam().hasLse ? static_cast<float *>(address(0x60000)) : nullptr;
    return call;
  }

  /// What the runtime and the function launch for `call` are the same.
  void compare(const sage_call &call);

  std::unique_ptr<MLIRContext> context;
  std::unique_ptr<ExecutionEngine> engine;
  sage_artifact *artifact = nullptr;
  sage_module *module = nullptr;
};

Arguments::Arguments(const HostProgram &test, const sage_call &call, int64_t workspaceBytes) {
  const int64_t *q = call.query.extents;
  const int64_t lseExtents[] = {q[0], q[1], q[2]}, lseStrides[] = {q[1] * q[2], q[2], 1}, one = 1;
  views = {test.view(call.query), test.view(call.key), test.view(call.value),
           test.view(call.output)};
  if (call.lse)
    views.emplace_back(call.lse, lseExtents, lseStrides, 3);
  views.emplace_back(workspace, &workspaceBytes, &one, 1);
  for (View &each : views)
    pointers.push_back(&each);
  for (void *&pointer : pointers)
    values.push_back(&pointer);
}

void HostProgram::compare(const sage_call &call) {
  uint64_t bytes = 0;
  ASSERT_EQ(sage_artifact_workspace_bytes(artifact, &call, &bytes), nullptr);
  sage_stub_reset();
  sage_status *status = sage_module_launch(module, &call, stream, workspace, bytes);
  ASSERT_EQ(status, nullptr) << sage_status_get_message(status);
  std::vector<sage_stub_launch> expected = takeLaunches();

  Arguments arguments(*this, call, int64_t(bytes));
  int64_t asked = -1;
  std::vector<void *> sizeArguments(arguments.values.begin(), arguments.values.end() - 1);
  sizeArguments.push_back(&asked);
  invoke("_mlir_ciface_f_attention_workspace_bytes", sizeArguments);
  // The start is aligned inside.
  EXPECT_EQ(asked, int64_t(bytes) + 1023);

  void *passed = stream;
  arguments.values.push_back(&passed);
  invoke("_mlir_ciface_f_attention", arguments.values);
  std::vector<sage_stub_launch> actual = takeLaunches();

  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    const sage_stub_launch &a = actual[i], &e = expected[i];
    SCOPED_TRACE(e.kernel);
    EXPECT_STREQ(a.kernel, e.kernel);
    EXPECT_EQ(std::memcmp(a.grid, e.grid, sizeof(a.grid)), 0) << a.grid[0] << " " << e.grid[0];
    EXPECT_EQ(std::memcmp(a.block, e.block, sizeof(a.block)), 0);
    EXPECT_EQ(a.shared_bytes, e.shared_bytes);
    EXPECT_EQ(a.stream, stream);
    ASSERT_EQ(a.argument_count, e.argument_count);
    for (unsigned p = 0; p < e.argument_count; ++p)
      EXPECT_EQ(std::memcmp(a.arguments + a.argument_offsets[p],
                            e.arguments + e.argument_offsets[p], e.argument_bytes[p]),
                0)
          << "argument " << p;
  }
}

TEST_P(HostProgram, LaunchesWhatTheRuntimeLaunches) {
  if (HasFatalFailure())
    return;
  const std::array<int64_t, 5> shapes[] = {
      {1, 2, 1, 70, 150},  {2, 6, 3, 500, 700}, {1, 1, 1, 1, 1},   {3, 8, 2, 128, 4096},
      {1, 2, 2, 0, 64},    {1, 2, 1, 65, 0},    {0, 2, 1, 64, 64}, {2, 32, 8, 1, 100000},
      {1, 8, 2, 5, 20000}, {2, 3, 3, 300, 6000}};
  for (std::array<int64_t, 5> shape : shapes) {
    for (size_t i = 0; i < 5; ++i)
      if (GetParam().shape[i] >= 0)
        shape[i] = GetParam().shape[i];
    SCOPED_TRACE(testing::PrintToString(shape));
    compare(makeCall(shape));
  }
  if (GetParam().shape[0] >= 0)
    return;
  SCOPED_TRACE("strided views");
  sage_call call = makeCall({2, 4, 2, 130, 200});
  call.query.strides[2] += 8;
  call.query.strides[1] = int64_t(1) << 33;
  call.key.strides[0] *= 3;
  call.value.strides[1] += 1024;
  call.output.strides[0] += 64;
  compare(call);
  SCOPED_TRACE("views of any alignment");
  call.query.strides[0] += 1;
  call.output.strides[0] += 3;
  call.output.data = address(0x30006);
  compare(call);
}

using HostProgramChecks = HostProgram;

TEST_P(HostProgramChecks, RefusesWrongCalls) {
  if (HasFatalFailure())
    return;
  const sage_call call = makeCall({1, 4, 2, 130, 200});
  auto run = [&](const sage_call &wrong, int64_t bytes) {
    // cf.assert prints to standard output, and aborts before a buffer would be written.
    dup2(STDERR_FILENO, STDOUT_FILENO);
    std::setvbuf(stdout, nullptr, _IONBF, 0);
    Arguments arguments(*this, wrong, bytes);
    void *passed = nullptr;
    arguments.values.push_back(&passed);
    invoke("_mlir_ciface_f_attention", arguments.values);
  };
  constexpr int64_t plenty = int64_t(1) << 40;
  sage_call wrong = call;
  wrong.key.extents[2] = 199;
  EXPECT_DEATH(run(wrong, plenty), "@f_attention: value: tokens must agree with key's");
  wrong = call;
  wrong.key.extents[1] = wrong.value.extents[1] = 3;
  EXPECT_DEATH(run(wrong, plenty), "query heads must be a multiple of key heads");
  EXPECT_DEATH(run(call, 1000), "workspace: bytes must be what @f_attention_workspace_bytes says");
  wrong = makeCall({1, 1, 1, 1, int64_t(1) << 31});
  EXPECT_DEATH(run(wrong, plenty), "32-bit arguments");
}

const Program programs[] = {
    {"Ada", "sm_89"},
    {"AdaCausalTokenMajor", "sm_89", ", mask = #sage.mask<causal_bottom_right>", "bf16", true},
    {"AdaStaticWithoutLse", "sm_89", "", "f16", false, false, {1, 2, 1, 70, 150}},
    {"Hopper", "sm_90a"},
    {"HopperCausalTokenMajor", "sm_90a", ", mask = #sage.mask<causal_top_left>", "bf16", true},
    {"HopperScaleWithoutLse", "sm_90a", ", scale = 0.3 : f32", "f16", false, false},
    {"HopperStatic", "sm_90a", "", "f16", false, true, {1, 2, 1, 70, 150}},
};

INSTANTIATE_TEST_SUITE_P(Programs, HostProgram, testing::ValuesIn(programs),
                         [](const auto &info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(Programs, HostProgramChecks, testing::Values(programs[0]),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
