// Attributes of the `sage` dialect: what is computed (recipe, geometry, layout, mask) and how (schedule, target).

#ifndef SAGE_DIALECT_SAGE_IR_SAGEATTRIBUTES_TD
#define SAGE_DIALECT_SAGE_IR_SAGEATTRIBUTES_TD

include "mlir/IR/AttrTypeBase.td"
include "sage/Dialect/Sage/IR/SageEnums.td"

class Sage_Attr<string name, string attrMnemonic> : AttrDef<Sage_Dialect, name> {
  let mnemonic = attrMnemonic;
}

/// A truth value spelled `true` or `false`.
class Sage_FlagBase : AttrParameter<"bool", "a truth value"> {
  let parser = "::sage::parseFlag($_parser)";
  let printer = "$_printer << ($_self ? \"true\" : \"false\")";
}
def Sage_Flag : Sage_FlagBase;
def Sage_FlagByDefault : Sage_FlagBase {
  let defaultValue = "true";
}
def Sage_FlagIfSet : Sage_FlagBase {
  let defaultValue = "false";
}

def Sage_LayoutAttr : EnumAttr<Sage_Dialect, Sage_Layout, "layout"> {
  let summary = "Order of the dimensions of a 16-bit operand";
  let description = [{
    Names the order of a 16-bit operand's dimensions: `head_major` is [B, H, N, D], `token_major` is [B, N, H, D].
    Tensors have no strides; a memref's strides are checked where they are known.

    Example: `#sage.layout<token_major>`
  }];
  let assemblyFormat = "`<` $value `>`";
}

def Sage_MaskAttr : EnumAttr<Sage_Dialect, Sage_Mask, "mask"> {
  let summary = "Which keys a query sees";
  let description = [{
    Names the keys that a query sees (Spec N13). Masks of rectangular problems always spell their alignment:
    `causal_top_left` as PyTorch's SDPA, `causal_bottom_right` as FlashAttention. The `window_…` masks take the bounds
    `window_left` and `window_right` of the op, of which a causal mask may have the left one.

    Example: `#sage.mask<causal_bottom_right>`
  }];
  let assemblyFormat = "`<` $value `>`";
}

def Sage_ScoreTypeAttr : EnumAttr<Sage_Dialect, Sage_ScoreType, "score_type"> {
  let summary = "Element type that Q or K is quantized to";
  let description = [{
    Names the number format of the quantized Q and K, apart from their storage.

    Example: `#sage.score_type<int4>`
  }];
  let assemblyFormat = "`<` $value `>`";
}

def Sage_RecipeAttr : Sage_Attr<"Recipe", "recipe"> {
  let summary = "The numerics of an attention";
  let description = [{
    Says how an attention is computed: quantization of Q and K, smoothing, quantization of P and V, accumulation. A
    recipe is written as a name and what differs from it, and printed as the name that needs the fewest differences.

    | name | qk | granularity | smooth | rotate | range | pv | accumulation | inner | interval | row_sum |
    | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    | `sage2-8b` | int8 | per_thread | k | none | full | e4m3 | two_level | f32 | 0 | quantized |
    | `sage2-4b` | int4 | per_thread | q, k | none | full | e4m3 | two_level | f32 | 0 | quantized |
    | `sage1` | int8 | per_block | k | none | full | f16 | single | f32 | 0 | float |
    | `sage2pp` | int8 | per_thread | k | none | full | e4m3 | two_level | f16 | 64 | float |
    | `sage-8b` | int8 | per_thread | k | hadamard | full | e4m3 | two_level | f32 | 0 | quantized |
    | `sage-4b` | int4 | per_thread | q, k | hadamard | clipped | e4m3 | two_level | f32 | 0 | quantized |
    | `f16` | f16 | per_tensor | none | none | full | f16 | single | f32 | 0 | float |

    `interval` is the number of tokens between two promotions of the inner accumulator; 0 means one key tile. `rotate`
    multiplies Q and K by a Hadamard matrix, which spreads outliers over the channels (Spec N3); with `range = clipped` the
    largest magnitudes of a group saturate (Spec N4). Spec R1 to R9 say which combinations are legal.

    Example: `#sage.recipe<"sage2-8b", smooth = q|k, row_sum = float>`
  }];
  let parameters = (ins
    EnumParameter<Sage_ScoreType>:$qk,
    EnumParameter<Sage_Granularity>:$granularity,
    EnumParameter<Sage_Smoothing>:$smooth,
    EnumParameter<Sage_PvType>:$pv,
    EnumParameter<Sage_Accumulation>:$accumulation,
    EnumParameter<Sage_InnerType>:$inner,
    "int64_t":$interval,
    EnumParameter<Sage_RowSum>:$row_sum,
    DefaultValuedParameter<"::sage::Rotation", "::sage::Rotation::None">:$rotate,
    DefaultValuedParameter<"::sage::ScoreRange", "::sage::ScoreRange::Full">:$range);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The named recipe; null when there is none of that name.
    static RecipeAttr getNamed(::mlir::MLIRContext *context, ::llvm::StringRef name);
    /// The names, separated by commas, for diagnostics and help texts.
    static std::string listNames();
    /// The name of this recipe, if it equals a named one.
    std::optional<::llvm::StringRef> getName() const;

    bool smoothsQuery() const { return bitEnumContainsAny(getSmooth(), Smoothing::Query); }
    bool smoothsKey() const { return bitEnumContainsAny(getSmooth(), Smoothing::Key); }
    bool smoothsValue() const { return bitEnumContainsAny(getSmooth(), Smoothing::Value); }
    bool rotates() const { return getRotate() != Rotation::None; }
    bool quantizesScores() const { return getQk() != ScoreType::F16; }
    bool quantizesValue() const { return getPv() != PvType::F16; }

    /// Largest magnitude of quantized Q and K (R of Spec N4); 0 when they are not quantized.
    float getScoreRange() const;
    /// Which part of a group's largest magnitude that range stands for (Spec N4).
    float getQueryFraction() const { return getRange() == ScoreRange::Clipped ? 0.9375f : 1.0f; }
    float getKeyFraction() const { return getRange() == ScoreRange::Clipped ? 0.75f : 1.0f; }
    /// What P = 1 is stored as, and the largest magnitude of quantized V (Spec R7).
    float getProbabilityRange() const;
    float getValueRange() const;
    /// Whether every score has a term or a factor of its own: dS under smooth Q, scales per token.
    bool hasScoreTerms() const { return smoothsQuery() || getGranularity() == Granularity::PerToken; }
  }];
}

def Sage_GeometryAttr : Sage_Attr<"Geometry", "geometry"> {
  let genMnemonicAlias = 1;
  let summary = "The blocks, tiles and scale groups that the numerics depend on";
  let description = [{
    Fixes everything about the tiling that changes results, so that tuning does not: the smoothing block of Q, the key
    tile of the online softmax, the scale index of each token (per head), and the storage order of V's tokens.
    `value_order` maps a storage position to the token stored there and permutes every aligned group of 16.

    `key_parts` says in how many parts the key tiles of a call are taken, each with an online softmax of its own (Spec N18):
    the least of its results at the extents [B, Hq, Hkv, Nq, Nk], at least 1 and at most the number of tiles. Left out:
    one part.

    Example:

    ```mlir
    #sage.geometry<query_block = 128, key_tile = 64,
      query_groups = affine_map<(n) -> ((n floordiv 16) * 8 + n mod 8)>,
      key_groups = affine_map<(n) -> ((n floordiv 64) * 4 + (n mod 8) floordiv 2)>,
      value_order = affine_map<(p) -> (p)>,
      key_parts = affine_map<()[b, hq, hkv, nq, nk] -> (132 floordiv (b * hq * (nq ceildiv 128)), nk floordiv 512)>>
    ```
  }];
  let parameters = (ins
    "int64_t":$query_block, "int64_t":$key_tile, "::mlir::AffineMapAttr":$query_groups,
    "::mlir::AffineMapAttr":$key_groups, "::mlir::AffineMapAttr":$value_order,
    OptionalParameter<"::mlir::AffineMapAttr">:$key_parts);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The geometry of a recipe on an instruction family. Sizes of 0 stand for the defaults: query block 128, but 192
    /// for wgmma up to head dim 128 (three warpgroups); key tile 64 for mma_sync, 128 for wgmma.
    static GeometryAttr getDefault(RecipeAttr recipe, Family family, int64_t queryBlock = 0, int64_t keyTile = 0,
                                   int64_t headDim = 0);

    ::mlir::AffineMap getQueryGroupMap() const { return getQueryGroups().getValue(); }
    ::mlir::AffineMap getKeyGroupMap() const { return getKeyGroups().getValue(); }
    ::mlir::AffineMap getValueOrderMap() const { return getValueOrder().getValue(); }

    /// The same geometry with other parts, or with one where the map is null.
    GeometryAttr withKeyParts(::mlir::AffineMapAttr keyParts) const;
    /// Parts that let calls with few queries fill a large GPU (docs/Rationale.md).
    GeometryAttr withDefaultKeyParts() const;
    /// The number of parts of a call with the extents [B, Hq, Hkv, Nq, Nk]; nothing where the map divides by zero.
    std::optional<int64_t> countKeyParts(::llvm::ArrayRef<int64_t> extents) const;
  }];
}

def Sage_ScheduleAttr : Sage_Attr<"Schedule", "schedule"> {
  let genMnemonicAlias = 1;
  let summary = "How a kernel runs: warps, stages, chunks, registers";
  let description = [{
    One row of a schedule file: how a thread block is built. A schedule never changes which numbers are added in which
    tile; it must agree with the op's geometry (Spec C11).

    `units` are consumer warps (mma_sync) or warpgroups (wgmma) of `rows_per_unit` query rows; `stages` is the depth of
    the ring of K and V tiles; `value_chunks` splits PV along the head dim; `exp_chunks` chains the exponentials in
    that many groups (0: not chained); `magic` starts int32 accumulators at the bits of 1.5·2^23, so that they read as
    floats without a conversion. `producer_registers` and `consumer_registers` are per thread, 0 where warps are not
    specialized. `score_terms` says whether the registers suffice for scores that have a factor or a function of their own
    for every element: scales per token, a bias, a soft cap, dS in tiles above 128 keys (Spec S7); `intervals` whether they suffice
    for a sum in float32 of every interval of a tile (Spec S9); `masks` whether they suffice for masks,
    and `windows` for those that bound a query's keys on the left (Spec S11). `late_conversions` converts scores behind their
    maximum, and probabilities behind the wait for V (sage-tile-sink-conversions). `fence_products` keeps the assembler
    from moving instructions across the beginning of a product with V (Spec S10). `persistent` blocks compute one tile of
    queries after the other (sage-tile-make-persistent; Spec S12). Under `quantizes_query` the attention kernel reads the
    caller's Q and quantizes it, where the recipe's scales are of a warp's rows and Q is not smoothed; else the
    preparation does (Spec S13).

    `head_dim` is what Q, K and V are padded to: 64, 128, 192 or 256, for the larger of the head dims of Q and V.

    Example:

    ```mlir
    #sage.schedule<family = mma_sync, copy = cp_async, head_dim = 128, units = 8, rows_per_unit = 16, key_tile = 64,
      stages = 2>
    ```
  }];
  let parameters = (ins
    EnumParameter<Sage_Family>:$family, EnumParameter<Sage_Copy>:$copy,
    "int64_t":$head_dim, "int64_t":$units, "int64_t":$rows_per_unit, "int64_t":$key_tile, "int64_t":$stages,
    DefaultValuedParameter<"int64_t", "1">:$value_chunks,
    DefaultValuedParameter<"int64_t", "0">:$exp_chunks,
    DefaultValuedParameter<"::sage::Conversion", "::sage::Conversion::Convert">:$conversion,
    DefaultValuedParameter<"int64_t", "0">:$producer_registers,
    DefaultValuedParameter<"int64_t", "0">:$consumer_registers,
    Sage_FlagByDefault:$score_terms,
    Sage_FlagByDefault:$late_conversions,
    Sage_FlagByDefault:$intervals,
    Sage_FlagByDefault:$masks,
    Sage_FlagByDefault:$windows,
    Sage_FlagIfSet:$fence_products,
    Sage_FlagIfSet:$persistent,
    Sage_FlagIfSet:$quantizes_query);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Whether a producer warpgroup copies while the units compute.
    bool isWarpSpecialized() const { return getProducerRegisters() != 0; }
    /// Query rows of one thread block.
    int64_t getBlockRows() const { return getUnits() * getRowsPerUnit(); }
    /// Whether the attention kernel quantizes the Q of a recipe.
    bool quantizesQueryOf(RecipeAttr recipe) const;
    /// Threads of one thread block, the producer warpgroup included.
    int64_t getThreads() const;
    /// Upper bound of the dynamic shared memory under a recipe: Q, the K and V stages, scales and barriers.
    int64_t getSharedBytes(RecipeAttr recipe) const;
    /// Why the recipe or the geometry rules this schedule out, as a sentence; nothing when they agree (Spec C11).
    std::optional<std::string> findConflict(RecipeAttr recipe, GeometryAttr geometry,
                                            ::sage::ScoreDemands demands = {}) const;
    /// The `head_dim` of the rows for these head dims of Q and V.
    static int64_t padHeadDims(int64_t headDim, int64_t valueHeadDim) {
      return (std::max(headDim, valueHeadDim) + 63) / 64 * 64;
    }
  }];
}

def Sage_TargetAttr : Sage_Attr<"Target", "target"> {
  let genMnemonicAlias = 1;
  let summary = "What a chip is";
  let description = [{
    Describes a chip to the passes: the instruction family its schedules use, the PTX version to ask for (times ten),
    the shared memory a thread block can have, which matrix types run natively, and the folder of its schedules.

    Example:

    ```mlir
    #sage.target<chip = "sm_89", family = mma_sync, ptx = 87, shared_bytes = 101376, e4m3_mma = true,
      int4_mma = true, schedules = "sm_89">
    ```
  }];
  let parameters = (ins
    StringRefParameter<"chip name">:$chip, EnumParameter<Sage_Family>:$family,
    "int64_t":$ptx, "int64_t":$shared_bytes, Sage_Flag:$e4m3_mma, Sage_Flag:$int4_mma,
    StringRefParameter<"folder of the schedules">:$schedules);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Why the chip cannot run the recipe, as a sentence; nothing when it can (Spec C12).
    std::optional<std::string> findConflict(RecipeAttr recipe) const;
  }];
}

def Sage_RatesAttr : Sage_Attr<"Rates", "rates"> {
  let summary = "How fast a chip is";
  let description = [{
    What one multiprocessor of a product does in a clock, for predictions. `tensor_…` are multiply-adds of dense matrix products
    (0: there are none); `special` (exp2), `fma`, `alu` (minimum, maximum, comparison, integers) and `convert` are operations
    of single lanes; `shared` is bytes of shared memory. Four warp instructions are issued in a clock. `latency` is how many
    clocks a chain of products takes beyond what its rate says. `clock_mhz` is held under load.

    Example:

    ```mlir
    #sage.rates<product = "H100 SXM", multiprocessors = 132, clock_mhz = 1755, tensor_f16 = 2048, tensor_int8 = 4096,
      tensor_int4 = 0, tensor_e4m3 = 4096, special = 16, fma = 128, alu = 64, convert = 64, shared = 128,
      latency = 90, shared_bytes = 233472, threads = 2048>
    ```
  }];
  let parameters = (ins
    StringRefParameter<"name of a product">:$product, "int64_t":$multiprocessors, "int64_t":$clock_mhz,
    "int64_t":$tensor_f16, "int64_t":$tensor_int8, "int64_t":$tensor_int4, "int64_t":$tensor_e4m3,
    "int64_t":$special, "int64_t":$fma, "int64_t":$alu, "int64_t":$convert, "int64_t":$shared, "int64_t":$latency,
    "int64_t":$shared_bytes, "int64_t":$threads);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // SAGE_DIALECT_SAGE_IR_SAGEATTRIBUTES_TD
