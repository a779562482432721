#include "runtime/base/Status.h"

#include "runtime/base/Text.h"

namespace kiln {
namespace {

struct Row {
  ErrorCode code;
  std::string_view name, summary, advice;
};

constexpr Row rows[] = {
#define X(code, summary, advice) {ErrorCode::code, #code, summary, advice},
#include "runtime/base/Errors.def"
#undef X
};

const Row *findRow(ErrorCode code) {
  for (const Row &row : rows)
    if (row.code == code)
      return &row;
  return nullptr;
}

} // namespace

std::string_view errorCodeName(ErrorCode code) {
  const Row *row = findRow(code);
  return row ? row->name : "ok";
}

std::string_view errorSummary(ErrorCode code) {
  const Row *row = findRow(code);
  return row ? row->summary : "";
}

std::string_view errorAdvice(ErrorCode code) {
  const Row *row = findRow(code);
  return row ? row->advice : "";
}

int errorNumber(ErrorCode code) {
  int number = 0;
  if (const Row *row = findRow(code))
    for (char c : row->name.substr(1))
      number = number * 10 + (c - '0');
  return number;
}

std::string formatError(const Status &status) {
  if (status.ok())
    return "";
  return printable(status.message()) + " [KILN-" + std::string(errorCodeName(status.code())) + "]";
}

} // namespace kiln
