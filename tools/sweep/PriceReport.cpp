#include "tools/sweep/PriceReport.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace kiln {

static std::vector<double> ranksOf(const std::vector<double> &values) {
  std::vector<double> ranks;
  for (double value : values) {
    auto below = std::ranges::count_if(values, [&](double other) { return other < value; });
    auto equal = std::ranges::count(values, value);
    ranks.push_back(double(below) + double(equal - 1) / 2);
  }
  return ranks;
}

double rankCorrelation(const std::vector<PricedTime> &times) {
  std::vector<double> prices, seconds;
  for (const PricedTime &time : times) {
    prices.push_back(time.price);
    seconds.push_back(time.seconds);
  }
  prices = ranksOf(prices);
  seconds = ranksOf(seconds);
  double mean = (double(times.size()) - 1) / 2, both = 0, first = 0, second = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    both += (prices[i] - mean) * (seconds[i] - mean);
    first += (prices[i] - mean) * (prices[i] - mean);
    second += (seconds[i] - mean) * (seconds[i] - mean);
  }
  return first > 0 && second > 0 ? both / std::sqrt(first * second) : 0;
}

double errorFactor(const std::vector<PricedTime> &times) {
  double sum = 0;
  for (const PricedTime &time : times)
    sum += std::abs(std::log(time.price / time.seconds));
  return times.empty() ? 1 : std::exp(sum / double(times.size()));
}

std::string PriceReport::print() const {
  std::string text =
      "\nprices against times    problems  rank correlation  error factor  rank correlation of a problem's "
      "configurations\n";
  auto line = [&](const std::string &name, const std::vector<PricedTime> &defaults,
                  const std::vector<double> &correlations) {
    char row[200];
    std::snprintf(row, sizeof row, "  %-20s %9zu %17.3f %13.2f", name.c_str(), defaults.size(),
                  rankCorrelation(defaults), errorFactor(defaults));
    text += row;
    if (!correlations.empty()) {
      double sum = 0;
      for (double correlation : correlations)
        sum += correlation;
      std::snprintf(row, sizeof row, " %17.3f", sum / double(correlations.size()));
      text += row;
    }
    text += "\n";
  };
  std::vector<PricedTime> all;
  std::vector<double> allCorrelations;
  for (const auto &[family, own] : problems) {
    std::vector<PricedTime> defaults;
    std::vector<double> correlations;
    for (const std::vector<PricedTime> &problem : own) {
      for (const PricedTime &time : problem)
        if (time.isDefault)
          defaults.push_back(time);
      if (problem.size() > 2)
        correlations.push_back(rankCorrelation(problem));
    }
    line(family, defaults, correlations);
    all.insert(all.end(), defaults.begin(), defaults.end());
    allCorrelations.insert(allCorrelations.end(), correlations.begin(), correlations.end());
  }
  line("all", all, allCorrelations);
  return text;
}

} // namespace kiln
