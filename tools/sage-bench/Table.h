//===- Table.h - figures on standard output ---------------------*- C++ -*-===//
#ifndef SAGE_BENCH_TABLE_H
#define SAGE_BENCH_TABLE_H

#include "Comparison.h"

namespace sage::bench {

/// `peers` may be empty.
void printTable(const Results &results, const Comparison &comparison, const Results &peers);

} // namespace sage::bench

#endif
