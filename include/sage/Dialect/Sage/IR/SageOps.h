// Ops of the `sage` dialect.

#ifndef SAGE_DIALECT_SAGE_IR_SAGEOPS_H
#define SAGE_DIALECT_SAGE_IR_SAGEOPS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "sage/Dialect/Sage/IR/AttentionShape.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "sage/Dialect/Sage/IR/SageDialect.h"

#define GET_OP_CLASSES
#include "sage/Dialect/Sage/IR/SageOps.h.inc"

#endif // SAGE_DIALECT_SAGE_IR_SAGEOPS_H
