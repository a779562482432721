// The element types, in one table. Names are those of IR, problem texts and plans; codes are stored
// in artifacts, so they are append-only. Sizes are in bits; `bool` is stored as one byte holding 0
// or 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

// X(enumerator, code, name, bits, ONNX TensorProto.DataType, numpy name)
#define KILN_DTYPES(X)                   \
  X(F32, 1, "f32", 32, 1, "float32")     \
  X(F64, 2, "f64", 64, 11, "float64")    \
  X(F16, 3, "f16", 16, 10, "float16")    \
  X(BF16, 4, "bf16", 16, 16, "bfloat16") \
  X(I8, 5, "i8", 8, 3, "int8")           \
  X(I16, 6, "i16", 16, 5, "int16")       \
  X(I32, 7, "i32", 32, 6, "int32")       \
  X(I64, 8, "i64", 64, 7, "int64")       \
  X(U8, 9, "u8", 8, 2, "uint8")          \
  X(U16, 10, "u16", 16, 4, "uint16")     \
  X(U32, 11, "u32", 32, 12, "uint32")    \
  X(U64, 12, "u64", 64, 13, "uint64")    \
  X(Bool, 13, "bool", 8, 9, "bool")

namespace kiln {

enum class DType : uint8_t {
#define KILN_X(Enum, code, name, bits, onnx, numpy) Enum = code,
  KILN_DTYPES(KILN_X)
#undef KILN_X
};

/// Every element type, in table order.
inline constexpr DType allDTypes[] = {
#define KILN_X(Enum, code, name, bits, onnx, numpy) DType::Enum,
    KILN_DTYPES(KILN_X)
#undef KILN_X
};

constexpr int dtypeBits(DType t) {
  switch (t) {
#define KILN_X(Enum, code, name, bits, onnx, numpy) \
  case DType::Enum: return bits;
    KILN_DTYPES(KILN_X)
#undef KILN_X
  }
  return 0;
}

/// Bytes of one element; every type of today's table is a whole number of bytes.
constexpr int dtypeBytes(DType t) { return dtypeBits(t) / 8; }

constexpr std::string_view dtypeName(DType t) {
  switch (t) {
#define KILN_X(Enum, code, name, bits, onnx, numpy) \
  case DType::Enum: return name;
    KILN_DTYPES(KILN_X)
#undef KILN_X
  }
  return "?";
}

constexpr std::string_view dtypeNumpyName(DType t) {
  switch (t) {
#define KILN_X(Enum, code, name, bits, onnx, numpy) \
  case DType::Enum: return numpy;
    KILN_DTYPES(KILN_X)
#undef KILN_X
  }
  return "?";
}

constexpr int dtypeOnnxId(DType t) {
  switch (t) {
#define KILN_X(Enum, code, name, bits, onnx, numpy) \
  case DType::Enum: return onnx;
    KILN_DTYPES(KILN_X)
#undef KILN_X
  }
  return 0;
}

constexpr std::optional<DType> dtypeFromName(std::string_view text) {
  for (DType t : allDTypes)
    if (dtypeName(t) == text)
      return t;
  return std::nullopt;
}

constexpr std::optional<DType> dtypeFromNumpyName(std::string_view text) {
  for (DType t : allDTypes)
    if (dtypeNumpyName(t) == text)
      return t;
  return std::nullopt;
}

constexpr std::optional<DType> dtypeFromOnnxId(int64_t id) {
  for (DType t : allDTypes)
    if (dtypeOnnxId(t) == id)
      return t;
  return std::nullopt;
}

/// The stored code of an artifact or of the C API, if it names a type.
constexpr std::optional<DType> dtypeFromCode(uint64_t code) {
  for (DType t : allDTypes)
    if (static_cast<uint64_t>(t) == code)
      return t;
  return std::nullopt;
}

constexpr bool isFloat(DType t) { return t == DType::F32 || t == DType::F64 || t == DType::F16 || t == DType::BF16; }
constexpr bool isUnsignedInt(DType t) {
  return t == DType::U8 || t == DType::U16 || t == DType::U32 || t == DType::U64;
}
constexpr bool isSignedInt(DType t) { return t == DType::I8 || t == DType::I16 || t == DType::I32 || t == DType::I64; }
/// Integers without bool.
constexpr bool isInteger(DType t) { return isSignedInt(t) || isUnsignedInt(t); }

} // namespace kiln
