//===- SelfTest.h - the error bound, tried on the CPU -----------*- C++ -*-===//
#ifndef SAGE_GPU_TEST_SELFTEST_H
#define SAGE_GPU_TEST_SELFTEST_H

namespace sage::gpu {

/// Perturbs the reference as other right arithmetic would, which must stay inside the
/// bound, and as faults would, which must leave it. Prints what it finds; returns an
/// exit status.
int runSelfTest();

} // namespace sage::gpu

#endif
