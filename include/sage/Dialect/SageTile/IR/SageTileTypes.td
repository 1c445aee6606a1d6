//===- SageTileTypes.td - shared tiles, fragments, barriers, tensor maps --------===//

#ifndef SAGE_DIALECT_SAGETILE_IR_SAGETILETYPES_TD
#define SAGE_DIALECT_SAGETILE_IR_SAGETILETYPES_TD

include "mlir/IR/AttrTypeBase.td"
include "sage/Dialect/SageTile/IR/SageTileAttributes.td"

class SageTile_Type<string name, string typeMnemonic> : TypeDef<SageTile_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def SageTile_SharedType : SageTile_Type<"Shared", "shared"> {
  let summary = "A tile in shared memory: [stages ×] rows × columns, or one vector.";
  let description = [{
    `!sage_tile.shared<2x128x128xi8, swizzle = 128>`: two stages of 128 rows of 128
    bytes. `swizzle` (0, 32, 64 or 128 bytes; equal to the bytes of a row) permutes the
    16-byte chunks as bulk tensor copies do: address bits 4.. are XORed with bits 7..
    (PTX ISA, "Swizzling modes"). A swizzled tile starts at a multiple of 1024 bytes.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType,
                        DefaultValuedParameter<"int64_t", "0">:$swizzle);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getRank() const { return getShape().size(); }
    int64_t getNumElements() const;
    int64_t getSizeInBytes() const;
    bool isStaged() const { return getRank() == 3; }
    /// The type of one stage (this type if it has none).
    SharedType getStageType() const;
    /// This type with `stages` stages.
    SharedType withStages(int64_t stages) const;
  }];
}

def SageTile_FragmentType : SageTile_Type<"Fragment", "fragment"> {
  let summary = "A two-dimensional value in the registers of one unit.";
  let description = [{
    `!sage_tile.fragment<64x128xf32, #layout>`. Elements: f32, i32, f16, bf16, i8,
    f8E4M3FN, f8E5M2, i1. After `sage-tile-distribute` a lane's part is a `vector` of the
    layout's registers; 8-bit elements are packed four to an i32, in register order.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType,
                        "::sage::tile::LayoutAttr":$layout);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getRows() const { return getShape()[0]; }
    int64_t getColumns() const { return getShape()[1]; }
    /// What one lane holds.
    ::mlir::VectorType getLaneType() const;
    FragmentType withElementType(::mlir::Type type) const {
      return get(getContext(), getShape(), type, getLayout());
    }
  }];
}

def SageTile_AsyncType : SageTile_Type<"Async", "async"> {
  let summary = "A fragment that a matrix product in flight is still writing.";
  let parameters = (ins "::mlir::Type":$valueType);
  let assemblyFormat = "`<` $valueType `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// `type` in flight; itself if it is already.
    static AsyncType getInFlight(::mlir::Type type) {
      auto async = ::llvm::dyn_cast<AsyncType>(type);
      return async ? async : get(type.getContext(), type);
    }
    /// What `type` is once it has arrived; itself if it is not in flight.
    static ::mlir::Type getArrived(::mlir::Type type) {
      auto async = ::llvm::dyn_cast<AsyncType>(type);
      return async ? async.getValueType() : type;
    }
  }];
}

def SageTile_BarrierType : SageTile_Type<"Barrier", "barrier"> {
  let summary = "An array of mbarriers in shared memory (PTX ISA, \"mbarrier\").";
  let description = "`!sage_tile.barrier<2>`: one mbarrier per stage.";
  let parameters = (ins "int64_t":$count);
  let assemblyFormat = "`<` $count `>`";
  let genVerifyDecl = 1;
}

def SageTile_TensorMapType : SageTile_Type<"TensorMap", "tensor_map"> {
  let summary = "A tensor in device memory that bulk tensor copies read; one copy moves `shape`.";
  let description = [{
    `!sage_tile.tensor_map<128x128xi8, swizzle = 128>`: boxes of 128 rows × 128 columns
    of a two-dimensional tensor; what lies outside the tensor reads as zero.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType,
                        DefaultValuedParameter<"int64_t", "0">:$swizzle);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

#endif
