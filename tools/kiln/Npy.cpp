#include "tools/kiln/Npy.h"

#include "runtime/base/AtomicFile.h"
#include "runtime/base/ReadFile.h"

#include <cctype>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

namespace kiln::tools {
namespace {

struct Entry {
  const char *dtype, *descr;
  int bits;
};

// numpy has no bfloat16; packages that add one store it as two opaque bytes.
constexpr Entry table[] = {{"f32", "<f4", 32}, {"f64", "<f8", 64}, {"f16", "<f2", 16}, {"bf16", "<V2", 16},
                           {"i8", "|i1", 8},   {"i16", "<i2", 16}, {"i32", "<i4", 32}, {"i64", "<i8", 64},
                           {"u8", "|u1", 8},   {"u16", "<u2", 16}, {"u32", "<u4", 32}, {"u64", "<u8", 64},
                           {"bool", "|b1", 8}};

using File = std::unique_ptr<FILE, int (*)(FILE *)>;

/// The text between `'key':` and the next separator of the header's dictionary.
bool field(std::string_view header, std::string_view key, std::string_view &value) {
  size_t at = header.find("'" + std::string(key) + "'");
  if (at == std::string_view::npos)
    return false;
  at = header.find(':', at);
  if (at == std::string_view::npos)
    return false;
  value = header.substr(at + 1);
  while (!value.empty() && value.front() == ' ')
    value.remove_prefix(1);
  return true;
}

bool parseDims(std::string_view text, std::vector<int64_t> &dims) {
  if (text.empty() || text.front() != '(')
    return false;
  text.remove_prefix(1);
  bool digits = false;
  int64_t value = 0;
  for (char c : text) {
    if (c >= '0' && c <= '9') {
      if (value > (int64_t(1) << 48))
        return false;
      digits = true;
      value = value * 10 + (c - '0');
    } else if (c == ',' || c == ')') {
      if (digits)
        dims.push_back(value);
      digits = false;
      value = 0;
      if (c == ')')
        return true;
    } else if (c != ' ' && c != 'L') {
      return false;
    }
  }
  return false;
}

/// Reorders data that lies with the first dim innermost.
void toRowMajor(Array &array, size_t elementBytes) {
  std::vector<std::byte> columns = std::move(array.data);
  array.data.resize(columns.size());
  std::vector<int64_t> index(array.dims.size(), 0);
  for (size_t to = 0; to < columns.size(); to += elementBytes) {
    size_t from = 0;
    for (size_t d = index.size(); d-- > 0;)
      from = from * static_cast<size_t>(array.dims[d]) + static_cast<size_t>(index[d]);
    memcpy(&array.data[to], &columns[from * elementBytes], elementBytes);
    for (size_t d = index.size(); d-- > 0;) {
      if (++index[d] < array.dims[d])
        break;
      index[d] = 0;
    }
  }
}

} // namespace

int npyBits(const std::string &dtype) {
  for (const Entry &entry : table)
    if (dtype == entry.dtype)
      return entry.bits;
  return 0;
}

std::string readNpy(const std::string &path, Array &array) {
  Result<int> descriptor = openForReading(path);
  if (!descriptor.ok())
    return formatError(descriptor.status()).substr(path.size() + 2); // callers name the file
  File file(fdopen(*descriptor, "rb"), fclose);
  unsigned char head[12];
  if (fread(head, 1, 10, file.get()) != 10 || memcmp(head, "\x93NUMPY", 6) != 0)
    return "is not a .npy file [KILN-E0109]";
  size_t length = head[8] | head[9] << 8;
  if (head[6] == 2) {
    if (fread(head + 10, 1, 2, file.get()) != 2)
      return "ends inside its header [KILN-E0102]";
    length |= size_t(head[10]) << 16 | size_t(head[11]) << 24;
  } else if (head[6] != 1) {
    return "has .npy format version " + std::to_string(head[6]) + "; versions 1 and 2 are read [KILN-E0109]";
  }
  if (length > 1 << 20)
    return "has a header of " + std::to_string(length) + " bytes [KILN-E0109]";
  std::string header(length, ' ');
  if (fread(header.data(), 1, length, file.get()) != length)
    return "ends inside its header [KILN-E0102]";

  std::string_view descr, order, shape;
  if (!field(header, "descr", descr) || !field(header, "fortran_order", order) || !field(header, "shape", shape))
    return "has a header without descr, fortran_order or shape [KILN-E0108]";
  bool fortran = order.substr(0, 4) == "True";
  const Entry *found = nullptr;
  for (const Entry &entry : table)
    if (descr.size() > 4 && descr.substr(1, 3) == entry.descr && descr[4] == descr[0])
      found = &entry;
  if (!found)
    return "has element type " + std::string(descr.substr(0, descr.find(','))) +
           ", which is not supported [KILN-E0203]";
  array = {found->dtype, {}, {}};
  if (!parseDims(shape, array.dims))
    return "has a shape that cannot be read [KILN-E0108]";
  size_t bytes = found->bits / 8;
  for (int64_t dim : array.dims)
    if (__builtin_mul_overflow(bytes, size_t(dim), &bytes))
      return "has a shape that is too large [KILN-E0108]";

  // The size is checked against the file before it is believed.
  long start = ftell(file.get());
  if (start < 0 || fseek(file.get(), 0, SEEK_END) != 0)
    return "cannot be read [KILN-E0101]";
  auto present = static_cast<size_t>(ftell(file.get()) - start);
  if (present != bytes)
    return "holds " + std::to_string(present) + " bytes of data where its shape needs " + std::to_string(bytes) +
           " [KILN-E0102]";
  fseek(file.get(), start, SEEK_SET);
  array.data.resize(bytes);
  if (fread(array.data.data(), 1, bytes, file.get()) != bytes)
    return "cannot be read [KILN-E0101]";
  if (fortran)
    toRowMajor(array, static_cast<size_t>(found->bits / 8));
  return "";
}

Status writeNpy(const std::string &path, const std::string &dtype, const std::vector<int64_t> &dims, const void *data) {
  const Entry *found = nullptr;
  for (const Entry &entry : table)
    if (dtype == entry.dtype)
      found = &entry;
  if (!found)
    return makeError(ErrorCode::E0106, path, ": element type ", dtype, " cannot be written as .npy");
  size_t bytes = found->bits / 8;
  std::string header = std::string("{'descr': '") + found->descr + "', 'fortran_order': False, 'shape': (";
  for (int64_t dim : dims) {
    header += std::to_string(dim) + ", ";
    bytes *= size_t(dim);
  }
  if (dims.size() > 1)
    header.resize(header.size() - 2);
  else if (dims.size() == 1)
    header.pop_back();
  header += "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string head = "\x93NUMPY\x01";
  head += {'\0', char(header.size() & 255), char(header.size() >> 8)};
  head += header;
  AtomicFile file;
  KILN_TRY(file.open(path));
  KILN_TRY(file.write(std::as_bytes(std::span(head))));
  KILN_TRY(file.write({static_cast<const std::byte *>(data), bytes}));
  return file.commit();
}

std::string npyFileName(const std::string &name) {
  if (name.empty())
    return "%";
  std::string result;
  for (char c : name) {
    bool kept = isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || (c == '.' && !result.empty());
    char code[4];
    snprintf(code, sizeof code, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    result += kept ? std::string(1, c) : code;
  }
  return result;
}

} // namespace kiln::tools
