//===- Npy.cpp - NumPy's .npy files ---------------------------------------===//
#include "Npy.h"

#include <fstream>
#include <sstream>

namespace sage::evaluation {
namespace {

constexpr const char *magic = "\x93NUMPY";
constexpr size_t magicBytes = 6;
/// Far above real tensors; keeps sizes from overflowing.
constexpr int64_t elementLimit = int64_t(1) << 40;

/// The text after `'key':`, or npos.
size_t valueOf(const std::string &header, const std::string &key) {
  size_t at = header.find("'" + key + "'");
  if (at == std::string::npos)
    return at;
  at = header.find(':', at);
  return at == std::string::npos ? at : header.find_first_not_of(" ", at + 1);
}

bool parseShape(const std::string &header, std::vector<int64_t> &shape) {
  size_t at = valueOf(header, "shape");
  if (at == std::string::npos || header[at] != '(')
    return false;
  int64_t product = 1;
  for (++at; at < header.size() && header[at] != ')';) {
    if (header[at] == ' ' || header[at] == ',') {
      ++at;
      continue;
    }
    int64_t extent = 0;
    size_t digits = 0;
    for (; at < header.size() && header[at] >= '0' && header[at] <= '9'; ++at, ++digits) {
      extent = extent * 10 + (header[at] - '0');
      if (extent > elementLimit)
        return false;
    }
    if (digits == 0 || (extent != 0 && product > elementLimit / extent))
      return false;
    product *= extent;
    shape.push_back(extent);
  }
  return at < header.size();
}

} // namespace

int64_t NpyArray::elementBytes(const std::string &type) {
  if (type == "<f2" || type == "<u2")
    return 2;
  if (type == "<f4")
    return 4;
  if (type == "|b1")
    return 1;
  return type == "<f8" ? 8 : 0;
}

int64_t NpyArray::elements() const {
  int64_t product = 1;
  for (int64_t extent : shape)
    product *= extent;
  return product;
}

std::string readNpy(const std::string &path, NpyArray &array) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return "cannot open '" + path + "'";
  std::ostringstream content;
  content << file.rdbuf();
  std::string bytes = content.str();
  auto byteAt = [&](size_t i) { return size_t(uint8_t(bytes[i])); };
  if (bytes.size() < 12 || bytes.compare(0, magicBytes, magic) != 0)
    return "'" + path + "' is no .npy file";
  bool wide = bytes[6] >= 2; // versions 2 and 3 have a 4-byte length
  size_t length = byteAt(8) | byteAt(9) << 8;
  if (wide)
    length |= byteAt(10) << 16 | byteAt(11) << 24;
  size_t begin = wide ? 12 : 10;
  if (length > bytes.size() - begin)
    return "'" + path + "' is cut off in its header";
  std::string header = bytes.substr(begin, length);

  size_t type = valueOf(header, "descr"), order = valueOf(header, "fortran_order");
  array = {};
  if (type == std::string::npos || order == std::string::npos || !parseShape(header, array.shape))
    return "'" + path + "' has a header that does not parse";
  array.type = header.substr(type + 1, 3);
  int64_t elementBytes = NpyArray::elementBytes(array.type);
  if (elementBytes == 0)
    return "'" + path + "' holds '" + array.type +
           "'; accepted: <f2, <f4, <f8, <u2 (the bits of bfloat16) and |b1";
  if (header.compare(order, 5, "False") != 0)
    return "'" + path +
           "' is in Fortran order; save it with "
           "numpy.ascontiguousarray";
  array.bytes = bytes.substr(begin + length);
  if (int64_t(array.bytes.size()) != array.elements() * elementBytes)
    return "'" + path + "' has not as much data as its shape says";
  return {};
}

std::string writeNpy(const std::string &path, const NpyArray &array) {
  std::string header = "{'descr': '" + array.type + "', 'fortran_order': False, 'shape': (";
  for (int64_t extent : array.shape)
    header += std::to_string(extent) + ", ";
  header += "), }";
  // The data begins at a multiple of 64 bytes.
  size_t unpadded = magicBytes + 4 + header.size() + 1;
  header.append((64 - unpadded % 64) % 64, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file << magic << '\x01' << '\x00' << char(header.size() & 255) << char(header.size() >> 8)
       << header << array.bytes;
  file.close();
  return file ? "" : "cannot write '" + path + "'";
}

} // namespace sage::evaluation
