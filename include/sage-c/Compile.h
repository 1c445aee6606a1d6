/*===- Compile.h - the compiler without MLIR's types ------------------------===*\
|* From the description of an attention, or from MLIR text, to the artifact that *|
|* the runtime loads (sage/runtime/sage.h): compile, load and launch in one     *|
|* process, from any language that can call C. In libSageCompilerC.so.          *|
\*===----------------------------------------------------------------------===*/
#ifndef SAGE_C_COMPILE_H
#define SAGE_C_COMPILE_H

#include "sage/runtime/sage.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the compiler, e.g. "0.1.0". Never NULL. */
SAGE_API const char *sage_compiler_version(void);
/** The chips that can be compiled for, separated by ", ". Never NULL. */
SAGE_API const char *sage_compiler_chips(void);
/** The named recipes, separated by ", ". Never NULL. */
SAGE_API const char *sage_compiler_recipes(void);

/** All zeros are the defaults. */
typedef struct sage_compile_options {
  const char *recipe;        /**< a name, e.g. "sage2-8b", or an attribute, e.g.
                                  `#sage.recipe<"sage2-8b", smooth = none>`. NULL:
                                  "sage2-8b", or what MLIR text says */
  int32_t substitute;        /**< nonzero: a recipe that the chip cannot run is replaced
                                  by the nearest one that it can, not refused */
  const char *schedule_file; /**< path of schedule rows that replace the built-in
                                  ones. NULL: none */
  const char *program;       /**< MLIR text only: host program to write, where the text
                                  has several attentions. NULL: the only one */
} sage_compile_options;

/** What a compilation made and said. The caller gives it back. */
typedef struct sage_compilation sage_compilation;

/** Compiles `problem` for `chip`, e.g. "sm_90a". Only head dims, types and what
 *  hides keys become a part of the kernels; an extent of -1 in `problem->shape`
 *  leaves it to the call. `options` may be NULL. Bad arguments, and what the chip
 *  cannot do, are a failed compilation whose diagnostics name the argument, its
 *  value and what is accepted. So are LLVM's fatal errors: while a compilation
 *  runs, LLVM's handler of them is this library's; those of other threads' own use
 *  of LLVM end the process as ever. No signal handler is installed. NULL only if
 *  there is no memory. Thread safe. */
SAGE_API sage_compilation *sage_compile(const sage_problem *problem, const char *chip,
                                        const sage_compile_options *options);
/** Compiles the sage.attention of `size` bytes of MLIR text or bytecode. `chip`
 *  may be NULL where the op has a target. */
SAGE_API sage_compilation *sage_compile_mlir(const char *text, size_t size, const char *chip,
                                             const sage_compile_options *options);

/* A NULL compilation is one that failed for lack of memory. */

/** Nonzero if there is an artifact. */
SAGE_API int32_t sage_compilation_succeeded(const sage_compilation *compilation);
/** The artifact's text for sage_artifact_parse, and in `*size` its length without
 *  the NUL that ends it; "" and 0 after a failure. `size` may be NULL. Lives as
 *  long as `compilation`. */
SAGE_API const char *sage_compilation_artifact(const sage_compilation *compilation, size_t *size);
/** Errors, warnings and notes in UTF-8, one a line; "" if there was nothing to say.
 *  Lives as long as `compilation`. */
SAGE_API const char *sage_compilation_diagnostics(const sage_compilation *compilation);
/** Accepts NULL. */
SAGE_API void sage_compilation_destroy(sage_compilation *compilation);

#ifdef __cplusplus
}
#endif
#endif
