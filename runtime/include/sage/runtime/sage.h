/*===- sage.h - C API of the Sage runtime -----------------------------------===*\
|* Loads the artifacts that `sage-compile` writes (docs/Artifact.md), launches  *|
|* them on a caller's CUDA stream, and runs their meaning (docs/Spec.md) on the *|
|* CPU. Needs no CUDA toolkit: the driver library is opened at run time.        *|
\*===----------------------------------------------------------------------===*/
#ifndef SAGE_RUNTIME_SAGE_H
#define SAGE_RUNTIME_SAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SAGE_API __attribute__((visibility("default")))
#else
#define SAGE_API
#endif

#define SAGE_RUNTIME_VERSION_MAJOR 0
#define SAGE_RUNTIME_VERSION_MINOR 1
#define SAGE_RUNTIME_VERSION_PATCH 0

/** Version of the library at run time, e.g. "0.1.0". Never NULL. */
SAGE_API const char *sage_runtime_version(void);

/*===--------------------------------------------------------------------===*\
|* Status. A NULL `sage_status *` is success; anything else is a failure that *|
|* the caller owns and gives back with sage_status_destroy. All functions of  *|
|* this header that can fail return one. No C++ exception leaves the library. *|
\*===--------------------------------------------------------------------===*/

typedef struct sage_status sage_status;

typedef enum sage_status_code {
  SAGE_OK = 0,
  SAGE_INVALID_ARGUMENT = 1, /**< the caller's values: shapes, strides, … */
  SAGE_INVALID_ARTIFACT = 2, /**< the artifact is damaged or unknown */
  SAGE_NO_DRIVER = 3,        /**< no CUDA driver library, or it is too old */
  SAGE_NO_DEVICE = 4,        /**< the driver has no such device */
  SAGE_WRONG_DEVICE = 5,     /**< the artifact is for another chip */
  SAGE_DRIVER_ERROR = 6,     /**< a driver call failed; the message names it */
  SAGE_IO_ERROR = 7,         /**< a file cannot be read or written */
  SAGE_OUT_OF_MEMORY = 8,    /**< host memory */
  SAGE_UNSUPPORTED = 9       /**< valid, but not available here */
} sage_status_code;

/** The code; SAGE_OK for NULL. */
SAGE_API sage_status_code sage_status_get_code(const sage_status *status);
/** One sentence (for driver errors: the call, and the driver's own text; after
 *  a failed JIT the assembler's log). "" for NULL. Lives as long as `status`. */
SAGE_API const char *sage_status_get_message(const sage_status *status);
/** What the caller can do about it; may be "". Lives as long as `status`. */
SAGE_API const char *sage_status_get_remedy(const sage_status *status);
/** Accepts NULL. */
SAGE_API void sage_status_destroy(sage_status *status);

/*===--------------------------------------------------------------------===*\
|* What an artifact computes. Plain data: an artifact gives them, and a caller*|
|* may fill them in by hand to run the CPU reference without an artifact.     *|
\*===--------------------------------------------------------------------===*/

/** Q, K, V and O are of the first two; a bias of any. */
typedef enum sage_element_type {
  SAGE_F16 = 0,
  SAGE_BF16 = 1,
  SAGE_F32 = 2,
  SAGE_BOOL = 3 /**< one byte, 0 or 1 */
} sage_element_type;

typedef enum sage_layout {
  SAGE_HEAD_MAJOR = 0, /**< B×H×N×D */
  SAGE_TOKEN_MAJOR = 1 /**< B×N×H×D */
} sage_layout;

typedef enum sage_mask {
  SAGE_MASK_NONE = 0,
  SAGE_MASK_CAUSAL_TOP_LEFT = 1,     /**< key j is visible to query i: j ≤ i */
  SAGE_MASK_CAUSAL_BOTTOM_RIGHT = 2, /**< j ≤ i + Nk - Nq */
  SAGE_MASK_WINDOW_TOP_LEFT = 3,     /**< i - window_left ≤ j ≤ i + window_right */
  SAGE_MASK_WINDOW_BOTTOM_RIGHT = 4  /**< the same with i + Nk - Nq for i */
} sage_mask;

typedef enum sage_score_type {
  SAGE_SCORE_INT8 = 0,
  SAGE_SCORE_INT4 = 1,
  SAGE_SCORE_E4M3 = 2,
  SAGE_SCORE_F16 = 3 /**< not quantized: the problem's element type */
} sage_score_type;

typedef enum sage_granularity {
  SAGE_PER_TENSOR = 0,
  SAGE_PER_BLOCK = 1,
  SAGE_PER_WARP = 2,
  SAGE_PER_THREAD = 3,
  SAGE_PER_TOKEN = 4
} sage_granularity;

typedef enum sage_value_type {
  SAGE_VALUE_E4M3 = 0,
  SAGE_VALUE_E5M2 = 1,
  SAGE_VALUE_F16 = 2 /**< not quantized: the problem's element type */
} sage_value_type;

typedef enum sage_accumulation { SAGE_SINGLE_LEVEL = 0, SAGE_TWO_LEVEL = 1 } sage_accumulation;

typedef enum sage_inner { SAGE_INNER_F32 = 0, SAGE_INNER_F16 = 1 } sage_inner;

typedef enum sage_row_sum { SAGE_ROW_SUM_FLOAT = 0, SAGE_ROW_SUM_QUANTIZED = 1 } sage_row_sum;

/** What Q and K are multiplied by along the head dim before quantization (Spec N3). */
typedef enum sage_rotation { SAGE_ROTATE_NONE = 0, SAGE_ROTATE_HADAMARD = 1 } sage_rotation;

/** Whether a group's largest magnitude is the end of the range, or saturates (Spec N4). */
typedef enum sage_score_range { SAGE_RANGE_FULL = 0, SAGE_RANGE_CLIPPED = 1 } sage_score_range;

typedef struct sage_problem {
  int64_t head_dim;               /**< of Q and K */
  int64_t value_head_dim;         /**< of V and O */
  sage_element_type element_type; /**< of Q, K, V and O */
  sage_layout layout;             /**< of the dense tensors that the compiler assumed */
  sage_mask mask;
  double scale;     /**< finite and positive; 0 means 1/√head_dim */
  int32_t lse;      /**< nonzero: the log-sum-exp is an output */
  int64_t shape[5]; /**< B, Hq, Hkv, Nq, Nk; -1 where any extent is accepted */

  /* What hides keys, ends sequences and changes scores (Spec N13 to N17); all
     zeros where there is none of it. */
  int32_t has_window_left, has_window_right; /**< nonzero: the bound below holds */
  int64_t window_left;                       /**< with a causal or a window mask */
  int64_t window_right;                      /**< with a window mask */
  int64_t sink_tokens;                       /**< leading keys that the left bound does not hide */
  double softcap;                            /**< 0: none */
  int32_t has_bias; /**< nonzero: sage_call::bias is added, or hides (SAGE_BOOL) */
  sage_element_type bias_type;
  int32_t key_lengths; /**< nonzero: sage_call::key_lengths ends each batch entry */
  int32_t sinks;       /**< nonzero: sage_call::sinks joins the softmax */
  int32_t packed;      /**< nonzero: the tokens are sequences, one after the other */
} sage_problem;

typedef struct sage_recipe {
  const char *name; /**< e.g. "sage2-8b", or "custom"; for people. May be NULL */
  sage_score_type qk;
  sage_granularity granularity; /**< for people: the geometry's maps decide */
  int32_t smooth_q, smooth_k, smooth_v;
  sage_value_type pv;
  sage_accumulation accumulation;
  sage_inner inner; /**< SAGE_INNER_F16 needs SAGE_VALUE_E4M3 */
  sage_row_sum row_sum;
  int64_t interval;       /**< tokens between promotions of the inner accumulator; 0: a
                               key tile. Multiples of 32, of 32 or 64 with SAGE_INNER_F16 */
  sage_rotation rotate;   /**< with Q and K quantized, not SAGE_PER_TENSOR */
  sage_score_range range; /**< SAGE_RANGE_CLIPPED needs SAGE_SCORE_INT4 */
} sage_recipe;

/** Expressions are JSON text as in docs/Artifact.md, e.g.
 *  `["floordiv","n",32]`, in the one symbol `n`; that of `key_parts` in `B`,
 *  `Hq`, `Hkv`, `Nq` and `Nk`. */
typedef struct sage_geometry {
  int64_t query_block;      /**< tokens: the block of smooth-Q's mean */
  int64_t key_tile;         /**< tokens: one step of the online softmax */
  const char *query_groups; /**< token → scale index in its head */
  const char *key_groups;   /**< token → scale index in its head */
  const char *value_order;  /**< storage position → token, see Spec N6 */
  const char *key_parts;    /**< parts of the key tiles, see Spec N18; NULL: one */
} sage_geometry;

typedef struct sage_program {
  sage_problem problem;
  sage_recipe recipe;
  sage_geometry geometry;
} sage_program;

/** The instruction family whose lanes the per-warp and per-thread groups
 *  follow. */
typedef enum sage_fragment {
  SAGE_MMA_SYNC_16 = 0, /**< mma.sync, 16 query rows a warp; query block 128, key tile 64 */
  SAGE_MMA_SYNC_32 = 1, /**< mma.sync, 32 query rows a warp; query block 128, key tile 64 */
  SAGE_WGMMA = 2        /**< wgmma, 16 query rows a warp; query block 192, key tile 128 */
} sage_fragment;

/** Fills `program->recipe` with a named recipe ("sage2-8b", "sage2-4b",
 *  "sage1", "sage2pp", "sage-8b", "sage-4b", "f16") and `program->geometry` with that fragment's
 *  groups, query block and key tile: what the compiler chooses up to head dim
 *  128 with SAGE_MMA_SYNC_16 and SAGE_WGMMA (an artifact's own geometry is in
 *  sage_artifact_program). `problem` becomes head dim 128, f16, any shape, no
 *  mask, LSE on. The texts are static. An unknown name is an error that lists
 *  the accepted ones. Thread safe. */
SAGE_API sage_status *sage_program_named(const char *name, sage_fragment fragment,
                                         sage_program *program);
/** Replaces the groups, the query block and the key tile by those of another
 *  granularity. */
SAGE_API sage_status *sage_program_set_granularity(sage_program *program,
                                                   sage_granularity granularity,
                                                   sage_fragment fragment);

/*===--------------------------------------------------------------------===*\
|* Artifacts. Immutable after parsing: any number of threads may read one.    *|
\*===--------------------------------------------------------------------===*/

typedef struct sage_artifact sage_artifact;

/** Parses `size` bytes of text, which are copied. Any damage is
 *  SAGE_INVALID_ARTIFACT. `*artifact` is NULL on failure. */
SAGE_API sage_status *sage_artifact_parse(const char *text, size_t size, sage_artifact **artifact);
/** Reads a file and parses it. Its folder and name are remembered: a cubin
 *  beside it is preferred by sage_module_load. */
SAGE_API sage_status *sage_artifact_load(const char *path, sage_artifact **artifact);
/** Modules that were loaded from it stay valid. Accepts NULL. */
SAGE_API void sage_artifact_destroy(sage_artifact *artifact);

/** The texts below live as long as the artifact. */
SAGE_API const char *sage_artifact_producer(const sage_artifact *artifact);
SAGE_API const char *sage_artifact_chip(const sage_artifact *artifact);
SAGE_API const char *sage_artifact_schedule(const sage_artifact *artifact);
/** XXH3-64 of the text after the checksum line, 16 hexadecimal digits. */
SAGE_API const char *sage_artifact_checksum(const sage_artifact *artifact);
SAGE_API void sage_artifact_program(const sage_artifact *artifact, sage_program *program);

typedef struct sage_kernel_info {
  const char *name; /**< PTX entry */
  int64_t block[3];
  int64_t shared_bytes; /**< dynamic shared memory */
  int64_t argument_count;
} sage_kernel_info;

SAGE_API size_t sage_artifact_kernel_count(const sage_artifact *artifact);
/** `index` in launch order; out of range is SAGE_INVALID_ARGUMENT. */
SAGE_API sage_status *sage_artifact_kernel(const sage_artifact *artifact, size_t index,
                                           sage_kernel_info *kernel);

/*===--------------------------------------------------------------------===*\
|* One call: tensors of logical shape B×H×N×D, whatever their strides.        *|
\*===--------------------------------------------------------------------===*/

typedef struct sage_tensor {
  void *data;         /**< device address for a launch, host address for the reference;
                           aligned to its elements; may be NULL if an extent is 0 */
  int64_t extents[4]; /**< B, H, N, D */
  int64_t strides[4]; /**< in elements, for B, H, N, D; the last must be 1, except
                           of a bias. A launch may ask for an address and for
                           strides of a multiple of 16 bytes and says so: programs
                           that read `query_align` and the like do not */
  sage_element_type element_type;
} sage_tensor;

typedef struct sage_call {
  sage_tensor query;  /**< B×Hq×Nq×head_dim */
  sage_tensor key;    /**< B×Hkv×Nk×head_dim; Hkv divides Hq */
  sage_tensor value;  /**< B×Hkv×Nk×value_head_dim */
  sage_tensor output; /**< B×Hq×Nq×value_head_dim; overlaps no input */
  float *lse;         /**< B×Hq×Nq, contiguous, natural logarithm; not NULL exactly if
                           problem.lse is set (the reference also takes NULL, as does
                           every call if an extent is 0) */

  /* Each is given exactly if the problem says so; all zeros otherwise. What the
     pointers point to is read by the kernels, on the stream. */
  sage_tensor bias;             /**< B or 1 × Hq or 1 × Nq or 1 × Nk or 1: the extents in
                                     sage_tensor's order; extents of 1 repeat, strides are ≥ 0 */
  const int32_t *key_lengths;   /**< B: keys of each batch entry, 0 to Nk */
  const float *sinks;           /**< Hq */
  const int32_t *query_offsets; /**< sequences + 1: where each begins, and the last ends */
  const int32_t *key_offsets;   /**< sequences + 1 */
  int64_t sequences;            /**< of a packed batch, which is 1 */

  double scale; /**< softmax scale of this call: positive, a finite and positive number as
                     float32 too; 0: the problem's */
} sage_call;

/** A dense tensor of that layout. Pure. */
SAGE_API sage_tensor sage_tensor_dense(void *data, sage_layout layout,
                                       sage_element_type element_type, int64_t batch, int64_t heads,
                                       int64_t tokens, int64_t head_dim);

/** The call that batch entry (`problem->key_lengths`) or sequence
 *  (`problem->packed`) `entry` of a call on host memory means: slices of its
 *  tensors, without lengths (Spec N16, N17). `entry_call->lse` is NULL: a
 *  sequence's part is not contiguous. Without lengths `entry` 0 is the call
 *  itself, and the only one. */
SAGE_API sage_status *sage_call_entry(const sage_problem *problem, const sage_call *call,
                                      int64_t entry, sage_problem *entry_problem,
                                      sage_call *entry_call);

/** Checks everything that can be checked without a device: ranks, extents
 *  against problem.shape, Hkv divides Hq, head dims, types, strides, pointers
 *  and their alignment. Device memory is not read: lengths and offsets that are
 *  out of range count as the nearest in it (Spec N16, N17).
 *  sage_module_launch does the same. */
SAGE_API sage_status *sage_artifact_check_call(const sage_artifact *artifact,
                                               const sage_call *call);
/** Bytes of workspace that a launch of `call` needs; 0 is possible. Only the
 *  call's extents and strides are read. */
SAGE_API sage_status *sage_artifact_workspace_bytes(const sage_artifact *artifact,
                                                    const sage_call *call, uint64_t *bytes);

/*===--------------------------------------------------------------------===*\
|* Driver and devices.                                                        *|
\*===--------------------------------------------------------------------===*/

typedef struct sage_driver sage_driver;

typedef struct sage_driver_options {
  const char *library; /**< path of the driver; NULL: "libcuda.so.1" */
} sage_driver_options;

/** Opens and initializes the CUDA driver. `options` may be NULL. Without one:
 *  SAGE_NO_DRIVER. Thread safe; a handle may be used by many threads. */
SAGE_API sage_status *sage_driver_open(const sage_driver_options *options, sage_driver **driver);
/** Loaded modules keep the library open. Accepts NULL. */
SAGE_API void sage_driver_close(sage_driver *driver);
/** CUDA version that the driver supports, e.g. 12080 for 12.8. */
SAGE_API int32_t sage_driver_version(const sage_driver *driver);
SAGE_API int32_t sage_driver_device_count(const sage_driver *driver);

typedef struct sage_device {
  int32_t ordinal;
  char name[256];
  int32_t compute_major, compute_minor;
  uint64_t memory_bytes;
  int32_t multiprocessors;
  int32_t shared_bytes_per_block; /**< the opt-in maximum */
} sage_device;

SAGE_API sage_status *sage_driver_device(const sage_driver *driver, int32_t ordinal,
                                         sage_device *device);

/*===--------------------------------------------------------------------===*\
|* Modules: an artifact on one device.                                        *|
\*===--------------------------------------------------------------------===*/

typedef struct sage_module sage_module;

typedef struct sage_module_options {
  const char *cache_dir; /**< folder for assembled code, created when needed;
                              NULL: none. Files that do not match are ignored.
                              PTX with setmaxnreg or wgmma is never stored: the
                              driver's linker, which alone gives the code out,
                              would make it slower. The driver has a cache of
                              its own for that */
  int32_t ignore_cubin;  /**< nonzero: do not look for a cubin beside the file */
  const void *cubin;     /**< code that the caller holds, instead of a cubin beside the
                              file; NULL: none. Not needed after the call */
  size_t cubin_bytes;
  const char *cubin_json; /**< with `cubin`: the text of its .json (docs/Artifact.md),
                               which must fit as that of a file must */
} sage_module_options;

/** Loads onto the device's primary context, which is retained until
 *  sage_module_destroy. Takes, in this order, a matching `cubin` or a matching
 *  one beside the artifact, a matching file of `cache_dir`, the driver's JIT. `options` may be
 *  NULL. Thread safe. The calling thread's current context stays what it was;
 *  must not be called while a stream of this thread is being captured. */
SAGE_API sage_status *sage_module_load(sage_driver *driver, const sage_artifact *artifact,
                                       int32_t device, const sage_module_options *options,
                                       sage_module **module);
/** No launch may be in flight. Accepts NULL. */
SAGE_API void sage_module_destroy(sage_module *module);
/** Where the code came from, for people: e.g. "cubin beside the artifact",
 *  "cubin cache", "driver JIT", and why the earlier choices did not serve. */
SAGE_API const char *sage_module_origin(const sage_module *module);

/** Checks the call, then enqueues the artifact's kernels on `stream` (a
 *  CUstream of the module's device or its primary context; NULL is the legacy
 *  default stream). Allocates nothing, waits for nothing, keeps no state: it may
 *  be captured into a CUDA graph, and threads may launch one module at the same
 *  time if each has its own workspace. `workspace` is device memory, aligned to
 *  1024 bytes, of at least sage_artifact_workspace_bytes, and must stay until
 *  the stream has run the kernels; NULL if that is 0. Kernels that were enqueued
 *  before a failing driver call stay enqueued. */
SAGE_API sage_status *sage_module_launch(const sage_module *module, const sage_call *call,
                                         void *stream, void *workspace, uint64_t workspace_bytes);

/*===--------------------------------------------------------------------===*\
|* CPU reference: docs/Spec.md, bit for bit in means, scales and integers.    *|
\*===--------------------------------------------------------------------===*/

/** Progress of long work: called from worker threads, one at a time. */
typedef void (*sage_progress)(void *context, int64_t done, int64_t total);

typedef struct sage_reference_options {
  int32_t threads;                 /**< 0: as many as the machine has. Results do not depend on
                                        it */
  int32_t tensor_core_accumulator; /**< nonzero: P·V of e4m3 and e5m2 is added as
      FP8 tensor cores do: per step of 32 keys the 32 products (exact) and the
      accumulator are aligned to the largest exponent among them, cut off (toward
      zero) behind 13 bits of mantissa, added exactly, and the sum is cut off
      behind 13 bits. 0: float32 */
  sage_progress progress;          /**< may be NULL */
  void *progress_context;
} sage_reference_options;

/** Sizes of the dense intermediates of a call (numbers of elements). */
typedef struct sage_reference_sizes {
  int64_t query_groups;    /**< scales per query head: 1 + the largest index used */
  int64_t key_groups;      /**< scales per key/value head */
  int64_t query_blocks;    /**< ⌈Nq / query_block⌉ */
  int64_t value_positions; /**< Nk rounded up to a multiple of 16 */
} sage_reference_sizes;

/** Receives what the reference computes on its way; a NULL member is not
 *  wanted. Dense, row-major, the given extents; zeros where the recipe has no
 *  such thing (means are 0 and scales 1). */
typedef struct sage_reference_intermediates {
  float *query_mean;       /**< B×Hq×query_blocks×D */
  float *key_mean;         /**< B×Hkv×D */
  float *value_mean;       /**< B×Hkv×Dv */
  int8_t *query_values;    /**< B×Hq×Nq×D: integers (INT4 too: one byte each), or
                                the bits of e4m3 */
  float *query_scales;     /**< B×Hq×query_groups */
  int8_t *key_values;      /**< B×Hkv×Nk×D */
  float *key_scales;       /**< B×Hkv×key_groups */
  uint8_t *value_values;   /**< B×Hkv×Dv×value_positions: bits of e4m3 or e5m2 in
                                the storage order of Spec N6 */
  float *value_scales;     /**< B×Hkv×Dv */
  float *score_correction; /**< B×Hq×query_blocks×Nk: dS of smooth Q */
} sage_reference_intermediates;

/** Of a call without key lengths and sequences. */
SAGE_API sage_status *sage_reference_get_sizes(const sage_program *program, const sage_call *call,
                                               sage_reference_sizes *sizes);
/** Runs the program on host tensors. Any lengths (0 too), strides and 2-byte
 *  alignment. `options` and `intermediates` may be NULL. With key lengths or
 *  sequences the intermediates are those of each entry's call, of its own
 *  sizes: sage_call_entry gives the calls, and here they must be NULL. Thread
 *  safe. */
SAGE_API sage_status *sage_reference_run(const sage_program *program, const sage_call *call,
                                         const sage_reference_options *options,
                                         const sage_reference_intermediates *intermediates);

/** Attention in float64 over the original inputs, softmax with the exact
 *  maximum: `output` is B×Hq×Nq×Dv dense, `lse` (natural logarithm, may be NULL)
 *  B×Hq×Nq dense. `call->output` and `call->lse` are not read. Fully masked
 *  rows: 0 and -∞. Rows that are in no sequence stay what they were. */
SAGE_API sage_status *sage_exact_run(const sage_problem *problem, const sage_call *call,
                                     double *output, double *lse,
                                     const sage_reference_options *options);

#ifdef __cplusplus
}
#endif
#endif
