// What LLVM ends the process for, as text.

#ifndef SAGE_CAPI_FATALERRORS_H
#define SAGE_CAPI_FATALERRORS_H

#include "llvm/ADT/STLFunctionalExtras.h"

#include <optional>
#include <string>

namespace sage {

/// Runs `body` on a thread of its own, which ends before this returns; the reason if LLVM wanted to
/// end the process (an instruction that no pattern selects, no memory), or if there is no thread.
/// After a fatal error the destructors of the frames of `body` have not run: the frames and what
/// they own stay where they are, lost. Errors of other users of LLVM in this process end it as
/// ever.
std::optional<std::string> runRecoverably(llvm::function_ref<void()> body);

} // namespace sage

#endif // SAGE_CAPI_FATALERRORS_H
