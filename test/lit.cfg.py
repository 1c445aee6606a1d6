# The lit suite: sage-opt and friends, checked with FileCheck.
import os
import shutil
import sys

import lit.formats

config.name = "Sage"
# Not ShTest's external shell: the internal one prints which command of a RUN line failed.
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".c", ".test", ".td", ".md"]
config.excludes = ["Inputs", "CMakeLists.txt", "lit.cfg.py", "lit.site.cfg.py", "Golden"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.sage_binary_root, "test")

tool_dirs = [os.path.join(config.sage_binary_root, "bin"), config.llvm_tools_dir]
if config.ptxas:
    tool_dirs.append(os.path.dirname(config.ptxas))
    config.available_features.add("ptxas")
if config.nvdisasm:
    config.available_features.add("nvdisasm")
config.environment["PATH"] = os.pathsep.join(tool_dirs + [os.environ.get("PATH", "")])
for tool in ("sage-compile", "sage-interpret", "sage-run", "sage-bench", "sage-check-levels", "host-program-test",
             "sage-capi-test", "sage-lsp-server"):
    if os.path.exists(os.path.join(tool_dirs[0], tool)):
        config.available_features.add(tool)

# Libraries that programs of others load: with sanitizers those would have to be built with them too.
libraries = not config.sanitize
# Everything that is installed has been built.
installed = ["bin/sage-opt", "bin/sage-compile", "bin/sage-interpret", "bin/sage-check-levels", "bin/sage-lsp-server",
             "bin/sage-run", "bin/sage-bench", "lib/libSagePlugin.so", "lib/libSageCompilerC.so",
             "lib/libsage_runtime.so", "lib/libsage_mgpu.so"]
if libraries and shutil.which("cc") and all(os.path.exists(os.path.join(config.sage_binary_root, path)) for path in installed):
    config.available_features.add("sage-install")

# Executables are made of what MLIR's tools finish.
if shutil.which("cc") and os.path.exists(os.path.join(config.sage_binary_root, "lib", "libsage_mgpu.so")):
    config.available_features.add("sage-mgpu")
sage_plugin = os.path.join(config.sage_binary_root, "lib", "libSagePlugin.so")
if libraries and os.path.exists(sage_plugin):
    config.available_features.add("sage-plugin")
if libraries and os.path.exists(os.path.join(config.sage_binary_root, "lib", "libSageCompilerC.so")):
    config.available_features.add("sage-compiler-c")
if os.path.exists(os.path.join(config.mlir_runner_lib_dir, "libmlir_c_runner_utils.so")):
    config.available_features.add("mlir-runner")
config.substitutions += [
    ("%mlir_lib_dir", config.mlir_runner_lib_dir),
    ("%mlir_opt", os.path.join(config.llvm_tools_dir, "mlir-opt")),
    ("%sage_plugin", sage_plugin),
    ("%sage_src", config.sage_source_root),
    ("%sage_bin", config.sage_binary_root),
    ("%cmake", config.cmake),
    ("%ptxas", config.ptxas),
    ("%nvdisasm", config.nvdisasm),
    ("%python", config.python or sys.executable),
]
