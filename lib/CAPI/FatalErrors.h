// What LLVM ends the process for, as text.

#ifndef SAGE_CAPI_FATALERRORS_H
#define SAGE_CAPI_FATALERRORS_H

#include "llvm/ADT/STLFunctionalExtras.h"

#include <optional>
#include <string>

namespace sage {

/// Runs `body` on this thread; the reason if LLVM wanted to end the process (an instruction that no
/// pattern selects, no memory). Then the frames of `body` are gone and their destructors have not
/// run: what they owned is lost, and must be referred to by nobody. Errors of other users of LLVM
/// in this process end it as ever.
std::optional<std::string> runRecoverably(llvm::function_ref<void()> body);

} // namespace sage

#endif // SAGE_CAPI_FATALERRORS_H
