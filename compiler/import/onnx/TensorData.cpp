#include "compiler/import/onnx/TensorData.h"

#include "compiler/import/onnx/OnnxFields.h"
#include "runtime/base/Tensor.h"

#include <charconv>

namespace kiln::onnx {

namespace {

class Reader {
public:
  Reader(const TensorProto &tensor, ExternalData &external, TensorData &data)
      : tensor(tensor), external(external), data(data) {}

  Status read();

private:
  Status readExternal();
  Status readTyped();
  Status takeVarints(uint32_t number);
  template <typename Word> Status takeFixed(uint32_t number);

  Status wrongSize(size_t found, const char *unit) const {
    return makeError(ErrorCode::E0105, what(), " holds ", found, " ", unit, "; its type ",
                     printTensorType(data.dtype, data.dims), " needs ",
                     unit[0] == 'b' ? bytes : bytes / size_t(dtypeBytes(data.dtype)));
  }
  std::string what() const {
    return tensor.name.empty() ? std::string("tensor") : "tensor \"" + std::string(tensor.name) + "\"";
  }

  const TensorProto &tensor;
  ExternalData &external;
  TensorData &data;
  size_t bytes = 0; // what the type and dims ask for
};

Status Reader::read() {
  std::optional<DType> dtype = dtypeFromOnnxId(tensor.dataType);
  if (!dtype)
    return makeError(ErrorCode::E0203, what(), " has element type ", onnxTypeName(tensor.dataType),
                     ", which is not supported");
  data.dtype = *dtype;
  data.dims = tensor.dims;
  std::optional<int64_t> size = byteCount(data.dtype, data.dims);
  if (!size)
    return makeError(ErrorCode::E0105, what(), " has dims ", printTensorType(data.dtype, data.dims),
                     ", which are negative or overflow");
  bytes = static_cast<size_t>(*size);
  if (tensor.segmented)
    return makeError(ErrorCode::E0204, what(), " is stored in segments, which is not supported");
  if (tensor.external)
    return readExternal();
  if (tensor.rawData) {
    if (tensor.rawData->size() != bytes)
      return wrongSize(tensor.rawData->size(), "bytes");
    data.bytes = *tensor.rawData;
    return Status();
  }
  return readTyped();
}

Status Reader::readExternal() {
  std::string_view location;
  uint64_t offset = 0;
  uint64_t length = bytes;
  WireReader reader(tensor.message);
  for (WireField field; reader.next(field);) {
    if (field.number != field::TensorExternalData || field.type != WireType::Bytes)
      continue;
    std::string_view key, value;
    WireReader entry(field.bytes);
    for (WireField part; entry.next(part);)
      if (part.type == WireType::Bytes)
        (part.number == field::EntryKey ? key : value) = part.asString();
    if (!entry.ok())
      return makeError(ErrorCode::E0103, what(), ": ", entry.problem(), " (in external_data)");
    if (key == "location") {
      location = value;
    } else if (key == "offset" || key == "length") {
      uint64_t &number = key == "offset" ? offset : length;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (error != std::errc() || end != value.data() + value.size())
        return makeError(ErrorCode::E0104, what(), ": external data ", key, " \"", value, "\" is no byte count");
    }
  }
  if (length != bytes)
    return wrongSize(length, "bytes");
  if (bytes == 0)
    return Status();
  KILN_ASSIGN(data.file, external.open(location));
  ByteSpan whole = byteSpan(data.file->bytes());
  if (offset > whole.size() || whole.size() - offset < bytes)
    return makeError(ErrorCode::E0104, what(), " needs bytes ", offset, "..", offset + bytes, " of external data \"",
                     location, "\", which has ", whole.size());
  data.bytes = whole.subspan(offset, bytes);
  return Status();
}

/// Varints, each narrowed to one element.
Status Reader::takeVarints(uint32_t number) {
  size_t width = size_t(dtypeBytes(data.dtype)), found = 0;
  size_t expected = bytes / width;
  // The count is checked before anything is reserved: dims alone never make memory.
  const char *why = forEachVarint(tensor.message, number, [&](uint64_t) { return ++found, true; });
  if (!why && found != expected)
    return wrongSize(found, "elements");
  if (!why) {
    data.decoded.reserve(bytes);
    why = forEachVarint(tensor.message, number, [&](uint64_t value) {
      const auto *source = reinterpret_cast<const uint8_t *>(&value);
      data.decoded.insert(data.decoded.end(), source, source + width);
      return true;
    });
  }
  if (why)
    return makeError(ErrorCode::E0103, what(), ": ", why);
  data.bytes = data.decoded;
  return Status();
}

template <typename Word> Status Reader::takeFixed(uint32_t number) {
  size_t found = 0, pieces = 0;
  const char *why = forEachFixed<Word>(tensor.message, number, [&](ByteSpan words) {
    found += words.size();
    ++pieces;
    return true;
  });
  if (!why && found != bytes)
    return wrongSize(found / sizeof(Word), "elements");
  bool packed = false;
  if (!why)
    why = forEachFixed<Word>(tensor.message, number, [&](ByteSpan words) {
      const uint8_t *begin = tensor.message.data(), *end = begin + tensor.message.size();
      packed = pieces == 1 && !std::less<>()(words.data(), begin) && std::less<>()(words.data(), end);
      if (packed)
        data.bytes = words;
      else
        data.decoded.insert(data.decoded.end(), words.begin(), words.end());
      return true;
    });
  if (why)
    return makeError(ErrorCode::E0103, what(), ": ", why);
  if (!packed)
    data.bytes = data.decoded;
  return Status();
}

Status Reader::readTyped() {
  switch (data.dtype) {
  case DType::F32: return takeFixed<uint32_t>(field::TensorFloatData);
  case DType::F64: return takeFixed<uint64_t>(field::TensorDoubleData);
  case DType::I64: return takeVarints(field::TensorInt64Data);
  case DType::U32:
  case DType::U64: return takeVarints(field::TensorUint64Data);
  default: // everything narrower, the 16-bit floats as their bits
    return takeVarints(field::TensorInt32Data);
  }
}

template <typename T> void widen(ByteSpan bytes, std::vector<int64_t> &out) {
  for (size_t at = 0; at < bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    out.push_back(static_cast<int64_t>(value));
  }
}

} // namespace

Result<TensorData> readTensorData(const TensorProto &tensor, ExternalData &external) {
  TensorData data;
  KILN_TRY(Reader(tensor, external, data).read());
  // Bools are stored as one byte holding 0 or 1, whatever the file says.
  if (data.dtype == DType::Bool)
    for (uint8_t value : data.bytes)
      if (value > 1) {
        std::vector<uint8_t> clean(data.bytes.begin(), data.bytes.end());
        for (uint8_t &element : clean)
          element = element != 0;
        data.decoded = std::move(clean);
        data.bytes = data.decoded;
        data.file = nullptr;
        break;
      }
  return data;
}

Result<std::vector<int64_t>> integerElements(const TensorData &data) {
  std::vector<int64_t> values;
  values.reserve(data.bytes.size() / size_t(dtypeBytes(data.dtype)));
  switch (data.dtype) {
  case DType::I8: widen<int8_t>(data.bytes, values); break;
  case DType::I16: widen<int16_t>(data.bytes, values); break;
  case DType::I32: widen<int32_t>(data.bytes, values); break;
  case DType::I64: widen<int64_t>(data.bytes, values); break;
  case DType::U8:
  case DType::Bool: widen<uint8_t>(data.bytes, values); break;
  case DType::U16: widen<uint16_t>(data.bytes, values); break;
  case DType::U32: widen<uint32_t>(data.bytes, values); break;
  case DType::U64: widen<uint64_t>(data.bytes, values); break;
  default: return makeError(ErrorCode::E0305, "expected integers, got ", dtypeName(data.dtype));
  }
  return values;
}

} // namespace kiln::onnx
