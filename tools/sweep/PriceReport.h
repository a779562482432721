// How well prices foretell times: rank correlation, and the factor between them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kiln {

/// A configuration's price and measured time, in seconds.
struct PricedTime {
  double price = 0, seconds = 0;
  bool isDefault = false;
};

/// Spearman's rank correlation of prices with times; ties share their mean rank. 0 for fewer than two.
double rankCorrelation(const std::vector<PricedTime> &times);
/// exp(mean |ln(price / seconds)|): 1 where every price is right.
double errorFactor(const std::vector<PricedTime> &times);

class PriceReport {
public:
  /// Begins a problem of a family.
  void add(std::string_view family) {
    problems[std::string(family)].emplace_back();
    current = family;
  }
  /// A configuration of it.
  void add(const PricedTime &time) { problems[current].back().push_back(time); }

  /// A table by family: over problems, by their default configurations, and over the configurations of each problem.
  std::string print() const;

private:
  std::map<std::string, std::vector<std::vector<PricedTime>>> problems;
  std::string current;
};

} // namespace kiln
