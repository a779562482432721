// Exceptions end where two libraries or threads meet: what is thrown there becomes a Status.
#pragma once

#include "runtime/base/Status.h"

#include <exception>
#include <new>

namespace kiln {

/// What `body` returns, or the error of the exception that left it.
template <typename F> Status noThrow(F &&body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc &) {
    return Status(ErrorCode::E0510, "out of memory");
  } catch (const std::exception &error) {
    return Status(ErrorCode::E0901, error.what());
  } catch (...) {
    return Status(ErrorCode::E0901, "unknown exception");
  }
}

} // namespace kiln
