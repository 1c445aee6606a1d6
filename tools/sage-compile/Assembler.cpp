// Runs ptxas on an artifact and reads its report.

#include "Assembler.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace {

Error makeError(const Twine &message) {
  return createStringError(inconvertibleErrorCode(), message);
}

Expected<std::string> findPtxas(StringRef ptxas) {
  if (!ptxas.empty()) {
    if (sys::fs::can_execute(ptxas))
      return ptxas.str();
    return makeError("'" + ptxas +
                     "' is not a program; --ptxas must name the CUDA Toolkit's ptxas");
  }
  if (ErrorOr<std::string> found = sys::findProgramByName("ptxas"))
    return *found;
  if (ErrorOr<std::string> found = sys::findProgramByName("ptxas", {"/usr/local/cuda/bin"}))
    return *found;
  return makeError(
      "ptxas was not found; install the CUDA Toolkit, name it with --ptxas, or emit ptx, which the "
      "CUDA driver assembles when it is loaded");
}

int firstNumber(StringRef text, StringRef pattern) {
  SmallVector<StringRef> matches;
  int value = 0;
  if (Regex(pattern).match(text, &matches))
    matches[1].getAsInteger(10, value);
  return value;
}

/// The lines of `ptxas -v`: "Function properties for NAME", a line of stack and spills, a line of
/// registers.
void readReport(StringRef report, sage::Assembly &assembly) {
  SmallVector<StringRef> lines;
  report.split(lines, '\n');
  for (StringRef line : lines) {
    SmallVector<StringRef> matches;
    if (Regex("Compiling entry function '([^']+)'").match(line, &matches)) {
      assembly.kernels.push_back({matches[1].str()});
      continue;
    }
    if (Regex("C75[0-9][0-9]").match(line))
      assembly.warnings.push_back(line.trim().str());
    if (assembly.kernels.empty())
      continue;
    sage::AssembledKernel &kernel = assembly.kernels.back();
    if (line.contains("bytes stack frame")) {
      kernel.stackBytes = firstNumber(line, "([0-9]+) bytes stack frame");
      kernel.spillStoreBytes = firstNumber(line, "([0-9]+) bytes spill stores");
      kernel.spillLoadBytes = firstNumber(line, "([0-9]+) bytes spill loads");
    }
    if (line.contains("Used "))
      kernel.registers = firstNumber(line, "Used ([0-9]+) registers");
  }
}

Expected<std::string> readFile(StringRef path) {
  auto buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return makeError("cannot read '" + path + "': " + buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

} // namespace

Expected<sage::Assembly> sage::assemble(StringRef ptx, StringRef chip, StringRef ptxas) {
  Expected<std::string> program = findPtxas(ptxas);
  if (!program)
    return program.takeError();
  SmallString<128> input, output, report;
  for (auto [file, suffix] :
       {std::pair(&input, "ptx"), std::pair(&output, "cubin"), std::pair(&report, "txt")})
    if (std::error_code code = sys::fs::createTemporaryFile("sage", suffix, *file))
      return makeError("cannot create a temporary file: " + code.message());
  scope_exit cleanUp([&] {
    for (StringRef file : {input.str(), output.str(), report.str()})
      sys::fs::remove(file);
  });
  {
    std::error_code code;
    raw_fd_ostream stream(input, code);
    stream << ptx;
    if (code || (stream.flush(), stream.has_error()))
      return makeError("cannot write '" + input.str() + "'");
  }
  std::string arch = ("-arch=" + chip).str();
  std::optional<StringRef> redirects[] = {std::nullopt, report.str(), report.str()};
  std::string error;
  int status = sys::ExecuteAndWait(*program, {*program, "-v", arch, input, "-o", output},
                                   std::nullopt, redirects,
                                   /*SecondsToWait=*/300, /*MemoryLimit=*/0, &error);
  Expected<std::string> text = readFile(report);
  if (!text)
    return text.takeError();
  if (status != 0)
    return makeError(*program + " failed: " + (error.empty() ? *text : error));
  Assembly assembly;
  readReport(*text, assembly);
  Expected<std::string> cubin = readFile(output);
  if (!cubin)
    return cubin.takeError();
  assembly.cubin = std::move(*cubin);
  return assembly;
}
