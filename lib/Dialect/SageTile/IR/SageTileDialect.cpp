// The sage_tile dialect: registration and the spelling of aliases.

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "sage/Dialect/SageTile/IR/SageTileDialect.cpp.inc"

#include "sage/Dialect/SageTile/IR/SageTileEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "sage/Dialect/SageTile/IR/SageTileAttributes.cpp.inc"

namespace sage::tile {
namespace {

/// Layouts are long and occur in every type: the printer names them once, at the top.
struct SageTileAsmInterface : OpAsmDialectInterface {
  using OpAsmDialectInterface::OpAsmDialectInterface;

  AliasResult getAlias(Attribute attribute, raw_ostream &os) const override {
    if (!isa<LayoutAttr>(attribute))
      return AliasResult::NoAlias;
    os << "layout";
    return AliasResult::FinalAlias;
  }
};

} // namespace

void SageTileDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "sage/Dialect/SageTile/IR/SageTileAttributes.cpp.inc"
      >();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "sage/Dialect/SageTile/IR/SageTileOps.cpp.inc"
      >();
  addInterfaces<SageTileAsmInterface>();
}

void registerSageTileDialect(DialectRegistry &registry) { registry.insert<SageTileDialect>(); }

} // namespace sage::tile

#define GET_OP_CLASSES
#include "sage/Dialect/SageTile/IR/SageTileOps.cpp.inc"
