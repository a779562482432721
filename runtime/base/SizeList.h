// How an option writes the sizes of a tensor: 1x3x224x224, or 1,3,224,224 where a name may contain x.
#pragma once

#include <string_view>
#include <vector>

namespace kiln {

/// The sizes in order; none of an empty text. A comma may end the list, so that one of a single name can be told from
/// several: "max," is one size.
inline std::vector<std::string_view> splitSizes(std::string_view text) {
  std::vector<std::string_view> sizes;
  if (text.empty())
    return sizes;
  char separator = text.find(',') != std::string_view::npos ? ',' : 'x';
  if (text.back() == ',')
    text.remove_suffix(1);
  while (true) {
    size_t end = text.find(separator);
    sizes.push_back(text.substr(0, end));
    if (end == std::string_view::npos)
      return sizes;
    text.remove_prefix(end + 1);
  }
}

} // namespace kiln
