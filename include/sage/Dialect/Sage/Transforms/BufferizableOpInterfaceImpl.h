// One-shot bufferization of `sage.attention`.

#ifndef SAGE_DIALECT_SAGE_TRANSFORMS_BUFFERIZABLEOPINTERFACEIMPL_H
#define SAGE_DIALECT_SAGE_TRANSFORMS_BUFFERIZABLEOPINTERFACEIMPL_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace sage {
void registerBufferizableOpInterfaceExternalModels(mlir::DialectRegistry &registry);
} // namespace sage

#endif // SAGE_DIALECT_SAGE_TRANSFORMS_BUFFERIZABLEOPINTERFACEIMPL_H
