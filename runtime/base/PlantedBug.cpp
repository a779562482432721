#include "runtime/base/PlantedBug.h"

#ifdef KILN_PLANTED_BUGS

#include <cstdio>
#include <cstdlib>

namespace kiln {

static std::string_view chosenBug() {
  const char *chosen = std::getenv("KILN_PLANTED_BUG");
  if (!chosen || !*chosen)
    return "";
#define X(name, kind, where, what)      \
  if (std::string_view(chosen) == name) \
    return name;
#include "runtime/base/PlantedBugs.def"
#undef X
  std::fprintf(stderr, "KILN_PLANTED_BUG=%s: there is no such bug; runtime/base/PlantedBugs.def lists them\n", chosen);
  std::exit(2);
}

bool plantedBug(std::string_view name) {
  static const std::string_view chosen = chosenBug();
  static const char *const log = std::getenv("KILN_PLANTED_LOG");
  if (FILE *file = log ? std::fopen(log, "a") : nullptr) {
    std::fprintf(file, "%.*s\n", int(name.size()), name.data());
    std::fclose(file);
  }
  return chosen == name;
}

} // namespace kiln

#endif
