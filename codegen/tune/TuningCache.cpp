#include "codegen/tune/TuningCache.h"

#include "runtime/base/Hash.h"
#include "runtime/base/ReadFile.h"

#include <charconv>
#include <cmath>

namespace kiln {

static constexpr std::string_view header = "kiln-tune v1";

static std::string checksum(std::string_view text) { return printHash(hash64(text)); }

std::string TuningCache::formatEntry(const TuningKey &key, const Attributes &config, double seconds) {
  std::string rest = key.family + '\t' + std::to_string(key.familyVersion) + '\t' + key.target + '\t' + key.policy +
                     '\t' + key.problem + '\t' + config.print() + '\t' + printDouble(seconds);
  return checksum(rest) + '\t' + rest;
}

template <typename T> static std::optional<T> number(std::string_view text) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional<T>(value) : std::nullopt;
}

Result<TuningCache::Entry> TuningCache::parseEntry(std::string_view line) const {
  size_t tab = line.find('\t');
  if (tab == std::string_view::npos || checksum(line.substr(tab + 1)) != line.substr(0, tab))
    return makeError(ErrorCode::E0802, "checksum does not match");
  std::vector<std::string_view> fields;
  for (std::string_view rest = line.substr(tab + 1);;) {
    tab = rest.find('\t');
    fields.push_back(rest.substr(0, tab));
    if (tab == std::string_view::npos)
      break;
    rest.remove_prefix(tab + 1);
  }
  if (fields.size() != 7)
    return makeError(ErrorCode::E0802, "expected 8 fields, got ", fields.size() + 1);
  std::optional<int> version = number<int>(fields[1]);
  std::optional<double> seconds = number<double>(fields[6]);
  if (!version || !seconds || !std::isfinite(*seconds))
    return makeError(ErrorCode::E0802, "malformed number");
  KILN_ASSIGN(Attributes config, Attributes::parse(fields[5]));
  return Entry{
      {std::string(fields[4]), std::string(fields[2]), std::string(fields[0]), *version, std::string(fields[3])},
      std::move(config),
      *seconds};
}

TuningCache TuningCache::fromText(std::string_view text) {
  TuningCache cache;
  cache.present = true;
  size_t lineNumber = 0;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++lineNumber;
    if (lineNumber == 1) {
      if (line == header)
        continue;
      cache.skipped.push_back("line 1: not a tuning cache of this version");
      return cache;
    }
    if (line.empty())
      continue;
    Result<Entry> entry = cache.parseEntry(line);
    if (!entry.ok()) {
      cache.skipped.push_back("line " + std::to_string(lineNumber) + ": " + entry.status().message());
      continue;
    }
    ++cache.entryCount;
    std::string problem = entry->key.problem;
    cache.byProblem[problem].push_back(*std::move(entry));
  }
  return cache;
}

Result<TuningCache> TuningCache::open(const std::string &path) {
  Result<std::string> text = readFile(path);
  if (!text.ok())
    return makeError(ErrorCode::E0801, "tuning cache ", text.status().message());
  return fromText(*text);
}

/// The level of a target's text, without features and profile.
static std::string_view levelOf(std::string_view target) { return target.substr(0, target.find_first_of("+@")); }

TuningCache::Lookup TuningCache::lookup(const TuningKey &key) const {
  if (!present)
    return {std::nullopt, "no cache"};
  auto it = byProblem.find(key.problem);
  if (it == byProblem.end())
    return {std::nullopt, "problem not in the cache"};
  // Of several measurements the fastest counts; an exact target wins over the same level.
  const Entry *best = nullptr;
  bool bestExact = false;
  int nearest = -1;
  static constexpr const char *factors[] = {"family", "family version", "target", "policy"};
  for (const Entry &entry : it->second) {
    int matched = 0;
    bool exact = entry.key.target == key.target;
    if (entry.key.family == key.family && ++matched && entry.key.familyVersion == key.familyVersion && ++matched &&
        levelOf(entry.key.target) == levelOf(key.target) && ++matched && entry.key.policy == key.policy) {
      if (!best || (exact && !bestExact) || (exact == bestExact && entry.seconds < best->seconds)) {
        best = &entry;
        bestExact = exact;
      }
    }
    nearest = std::max(nearest, matched);
  }
  if (!best)
    return {std::nullopt, std::string("other ") + factors[nearest]};
  return {Hit{best->config, best->seconds, bestExact}, ""};
}

} // namespace kiln
