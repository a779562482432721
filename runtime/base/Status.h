// Errors as values: Status (ok, or a code of Errors.def with a message), Result<T>, and the macros
// that pass them on. A message says what, where and why; the code's "what to do" is in the docs.
// formatError is the one place that appends the code, so messages themselves never contain it.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace kiln {

enum class ErrorCode : uint16_t {
  Ok = 0,
#define X(code, summary, advice) code,
#include "runtime/base/Errors.def"
#undef X
};

/// "E0412" for ErrorCode::E0412; "ok" for Ok.
std::string_view errorCodeName(ErrorCode code);
/// The table's one-line meaning and advice.
std::string_view errorSummary(ErrorCode code);
std::string_view errorAdvice(ErrorCode code);
/// 412 for ErrorCode::E0412, 0 for Ok: the number of the C API.
int errorNumber(ErrorCode code);

class [[nodiscard]] Status {
public:
  Status() = default;
  Status(ErrorCode code, std::string message) : theCode(code), theMessage(std::move(message)) {}
  static Status success() { return Status(); }

  bool ok() const { return theCode == ErrorCode::Ok; }
  ErrorCode code() const { return theCode; }
  const std::string &message() const { return theMessage; }

  /// The same error with `prefix` put before its message; ok stays ok.
  Status withContext(std::string_view prefix) const {
    return ok() ? Status() : Status(theCode, std::string(prefix) + theMessage);
  }

private:
  ErrorCode theCode = ErrorCode::Ok;
  std::string theMessage;
};

/// "message [KILN-E0412]"; empty for ok.
std::string formatError(const Status &status);

/// Status from streamable parts: makeError(ErrorCode::E0412, "axis ", axis, " is out of range").
template <typename... Parts> Status makeError(ErrorCode code, const Parts &...parts) {
  std::ostringstream os;
  (os << ... << parts);
  return Status(code, std::move(os).str());
}

/// A value or the error that kept it from being made.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : state(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : state(std::in_place_index<1>, std::move(status)) {
    assert(!std::get<1>(state).ok() && "an ok Result needs a value");
  }
  template <typename U>
    requires(std::is_convertible_v<U &&, T> && !std::is_same_v<std::decay_t<U>, T> &&
             !std::is_same_v<std::decay_t<U>, Status> && !std::is_same_v<std::decay_t<U>, Result>)
  Result(U &&value) : state(std::in_place_index<0>, std::forward<U>(value)) {}

  bool ok() const { return state.index() == 0; }
  explicit operator bool() const { return ok(); }
  /// The error; ok when there is a value.
  Status status() const { return ok() ? Status() : std::get<1>(state); }

  T &value() & { return std::get<0>(state); }
  const T &value() const & { return std::get<0>(state); }
  T &&value() && { return std::get<0>(std::move(state)); }
  T &operator*() & { return value(); }
  const T &operator*() const & { return value(); }
  T &&operator*() && { return std::move(*this).value(); }
  T *operator->() { return &value(); }
  const T *operator->() const { return &value(); }

private:
  std::variant<T, Status> state;
};

} // namespace kiln

/// Returns from the enclosing function when `expr` (a Status) is an error.
#define KILN_TRY(...)                                                  \
  do {                                                                 \
    if (::kiln::Status kilnStatus_ = (__VA_ARGS__); !kilnStatus_.ok()) \
      return kilnStatus_;                                              \
  } while (false)

#define KILN_CONCAT2_(a, b) a##b
#define KILN_CONCAT_(a, b) KILN_CONCAT2_(a, b)
/// KILN_ASSIGN(auto x, makeX()): declares or assigns from a Result, or returns its error.
#define KILN_ASSIGN(decl, ...) KILN_ASSIGN_(KILN_CONCAT_(kilnResult_, __LINE__), decl, __VA_ARGS__)
#define KILN_ASSIGN_(tmp, decl, ...) \
  auto tmp = (__VA_ARGS__);          \
  if (!tmp.ok())                     \
    return tmp.status();             \
  decl = *std::move(tmp)
