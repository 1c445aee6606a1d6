//===- Npy.h - NumPy's .npy files -------------------------------*- C++ -*-===//
// Format 1.0: "\x93NUMPY", version, a little-endian header length, and a Python
// dictionary with descr, fortran_order and shape. Little-endian, C order only.
//===----------------------------------------------------------------------===//
#ifndef SAGE_EVALUATION_NPY_H
#define SAGE_EVALUATION_NPY_H

#include <cstdint>
#include <string>
#include <vector>

namespace sage::evaluation {

struct NpyArray {
  /// "<f2", "<f4", "<f8", "<u2" (NumPy has no bfloat16: its bits), or "|b1".
  std::string type;
  std::vector<int64_t> shape;
  std::string bytes;

  int64_t elements() const;
  /// 0 for a type that this file does not know.
  static int64_t elementBytes(const std::string &type);
};

/// Return an empty text, or what is wrong.
std::string readNpy(const std::string &path, NpyArray &array);
std::string writeNpy(const std::string &path, const NpyArray &array);

} // namespace sage::evaluation

#endif
