// Foreign text in messages: names of a model may hold any bytes, and any number of them.
#pragma once

#include <string>
#include <string_view>

namespace kiln {

/// `text` as a message may show it: valid UTF-8 without control characters but line feeds (what is not becomes \x00 ..
/// \xff), long words and lines without their middle.
std::string printable(std::string_view text);

/// Whether `text` is valid UTF-8 without NUL.
bool isText(std::string_view text);

} // namespace kiln
