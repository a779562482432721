// A read-only cache of tuned configurations. Text, one entry a line, so that caches can be merged, compared and
// shipped:
//
//   kiln-tune v1
//   <checksum> \t <family> \t <family version> \t <target> \t <policy> \t <problem> \t <config> \t <seconds>
//
// The checksum (16 hex digits) covers the rest of the line. Every factor stands in clear and is compared by equality;
// whatever is damaged, unknown or of another version is a miss with a reason, entry by entry, never an error and never
// a wrong kernel.
#pragma once

#include "runtime/base/Attributes.h"
#include "runtime/base/Status.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln {

/// Everything that decides whether a measurement applies.
struct TuningKey {
  std::string problem; ///< canonical text
  std::string target;  ///< TargetInfo::print()
  std::string family;
  int familyVersion = 0;
  std::string policy = "threads=1 warm"; ///< how it was measured
};

class TuningCache {
public:
  struct Hit {
    Attributes config;
    double seconds = 0;      ///< measured
    bool exactTarget = true; ///< false: measured on the same level with other features or profile
  };
  struct Lookup {
    std::optional<Hit> hit;
    std::string missReason; ///< the first factor that differs; empty on a hit
  };

  /// An empty cache: every lookup is a miss ("no cache").
  TuningCache() = default;
  /// Reads a cache file. Only a file that cannot be read at all is an error (E0801).
  static Result<TuningCache> open(const std::string &path);
  static TuningCache fromText(std::string_view text);
  /// One line of the format above, without the line break.
  static std::string formatEntry(const TuningKey &key, const Attributes &config, double seconds);

  Lookup lookup(const TuningKey &key) const;
  size_t size() const { return entryCount; }
  /// Lines that were skipped, with the reason.
  const std::vector<std::string> &damaged() const { return skipped; }

private:
  struct Entry {
    TuningKey key;
    Attributes config;
    double seconds;
  };
  Result<Entry> parseEntry(std::string_view line) const;

  bool present = false;
  size_t entryCount = 0;
  std::map<std::string, std::vector<Entry>> byProblem;
  std::vector<std::string> skipped;
};

} // namespace kiln
