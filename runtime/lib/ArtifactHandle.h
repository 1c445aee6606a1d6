//===- ArtifactHandle.h - the C API's artifact ------------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_ARTIFACTHANDLE_H
#define SAGE_RUNTIME_LIB_ARTIFACTHANDLE_H

#include "Artifact.h"

#include <memory>

/// Shared: a module keeps its artifact after the caller has destroyed it.
struct sage_artifact {
  std::shared_ptr<const sage::runtime::Artifact> artifact;
};

#endif
