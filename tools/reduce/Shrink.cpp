#include "tools/reduce/Shrink.h"

#include "tools/kiln/Npy.h"
#include "tools/reduce/Child.h"

#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace kiln::reduce {

std::shared_ptr<const Tensor> readTensor(const std::string &path) {
  tools::Array array;
  if (!tools::readNpy(path, array).empty())
    return nullptr;
  std::optional<DType> dtype = dtypeFromName(array.dtype);
  Result<Tensor> tensor = dtype ? Tensor::create(*dtype, array.dims) : makeError(ErrorCode::E0503, array.dtype);
  if (!tensor.ok() || size_t(tensor->bytes()) != array.data.size())
    return nullptr;
  std::memcpy(tensor->data(), array.data.data(), array.data.size());
  return std::make_shared<const Tensor>(std::move(*tensor));
}

bool Shrinker::stopped() const { return interruptedByUser() || trials.count() >= request.tries; }

void Shrinker::progress(bool last) {
  static const bool terminal = isatty(STDERR_FILENO);
  if (terminal || last)
    std::fprintf(stderr, "%s%zu nodes, %zu inputs, %zu outputs; %d tries%s", terminal ? "\r\033[K" : "",
                 best.nodeCount(), best.inputCount(), best.outputCount(), trials.count(), last ? "\n" : "");
}

void Shrinker::trace() {
  traced = trials.interpret(best.traced(), folder);
  known.clear();
}

Graph::Values Shrinker::values() {
  return [this](int64_t number) -> std::shared_ptr<const Tensor> {
    if (!traced)
      return nullptr;
    auto [entry, added] = known.try_emplace(number);
    if (added)
      entry->second = readTensor(folder + "/" + std::to_string(number) + ".npy");
    return entry->second;
  };
}

bool Shrinker::accept(Graph candidate, bool sameValues) {
  if (stopped())
    return false;
  // Types and sizes of what follows an edit are stale.
  std::optional<std::string> inferred = trials.inferShapes(candidate.subject(/*numbers=*/true).text);
  if (!inferred && valid) // a command may find anything interesting
    return false;
  Subject subject = candidate.subject();
  Verdict verdict = trials(subject);
  progress();
  if (!verdict.alike(failure) || interruptedByUser())
    return false;
  best = std::move(candidate);
  failure = verdict;
  if (inferred)
    if (Result<Graph> fresh = Graph::parse(context, *inferred, subject.inputs);
        fresh.ok() && trials(fresh->subject()).alike(failure))
      best = std::move(*fresh);
  if (!sameValues)
    trace();
  return true;
}

bool Shrinker::fewerOutputs() {
  bool any = false;
  if (best.outputCount() > 1) { // one alone, the wrong one first
    std::vector<size_t> order;
    for (size_t i = 0; i < best.outputCount(); ++i)
      order.insert(best.outputName(i) == failure.output ? order.begin() : order.end(), i);
    for (size_t i : order) {
      Graph candidate = best.clone();
      if (candidate.keepOutputs({i}) && accept(std::move(candidate), true))
        return true;
    }
  }
  for (size_t i = best.outputCount(); best.outputCount() > 1 && i-- > 0;) {
    std::set<size_t> kept;
    for (size_t k = 0; k < best.outputCount(); ++k)
      if (k != i)
        kept.insert(k);
    Graph candidate = best.clone();
    any |= candidate.keepOutputs(kept) && accept(std::move(candidate), true);
  }
  return any;
}

/// Cuts off beginnings and ends: the larger the better.
bool Shrinker::cutHalves() {
  bool any = false;
  for (bool changed = true; changed && !stopped();) {
    changed = false;
    size_t n = best.nodeCount();
    for (size_t part : {n - 1, n * 7 / 8, n * 3 / 4, n / 2, n / 4, n / 8}) {
      if (part == 0 || part >= n)
        continue;
      Graph begin = best.clone(), end = best.clone();
      if (begin.cutOut(0, part, values()) && begin.nodeCount() < n && accept(std::move(begin), true))
        changed = true;
      else if (end.cutAfter(n - part) && end.nodeCount() < n && accept(std::move(end), true))
        changed = true;
      if (changed)
        break;
    }
    any |= changed;
  }
  return any;
}

/// Cuts runs of nodes out, shorter ones each time.
bool Shrinker::cutMiddles() {
  bool any = false;
  for (size_t length = std::max<size_t>(best.nodeCount() / 2, 1); length > 0 && !stopped(); length /= 2)
    for (size_t first = 0; first < best.nodeCount() && !stopped();) {
      size_t before = best.nodeCount();
      Graph candidate = best.clone();
      if (before > 1 && candidate.cutOut(first, first + length, values()) && candidate.nodeCount() < before &&
          accept(std::move(candidate), true))
        any = true;
      else
        first += length;
    }
  return any;
}

/// Single nodes give way to one of their operands, another input, or a constant.
bool Shrinker::replaceSingly() {
  bool any = false;
  for (size_t i = best.nodeCount(); i-- > 0 && !stopped();) {
    for (size_t k = 0; i < best.nodeCount() && k < best.ops()[i]->getNumOperands() + best.inputCount(); ++k) {
      Graph candidate = best.clone();
      if (candidate.bypass(i, k) && candidate.nodeCount() < best.nodeCount() && accept(std::move(candidate), false)) {
        any = true;
        break;
      }
    }
    if (i >= best.nodeCount())
      continue;
    Graph candidate = best.clone();
    any |= candidate.replaceByConstant(i, values()) && candidate.nodeCount() < best.nodeCount() &&
           accept(std::move(candidate), true);
  }
  return any;
}

bool Shrinker::fewerInputs() {
  bool any = false;
  for (size_t i = best.inputCount(); i-- > 0 && !stopped();) {
    bool gone = false;
    for (size_t k = 0; !gone && k < i; ++k) {
      Graph candidate = best.clone();
      gone = candidate.replaceInput(i, k) && accept(std::move(candidate), false);
    }
    if (Graph candidate = best.clone(); !gone && best.inputCount() > 1)
      gone = candidate.inputToConstant(i) && accept(std::move(candidate), true);
    any |= gone;
  }
  return any;
}

bool Shrinker::smallerSizes() {
  bool any = false;
  std::set<int64_t> sizes = best.sizes();
  for (auto size = sizes.rbegin(); size != sizes.rend() && !stopped(); ++size) {
    int64_t current = *size;
    for (bool changed = true; changed && current > 1 && !stopped();) {
      changed = false;
      for (int64_t smaller : {int64_t(1), int64_t(2), int64_t(3), current / 4, current / 2, current - 1}) {
        Graph candidate = best.clone();
        if (smaller < current && smaller > 0 && candidate.shrink(current, smaller) &&
            accept(std::move(candidate), false)) {
          current = smaller;
          changed = any = true;
          break;
        }
      }
    }
  }
  return any;
}

void Shrinker::run() {
  valid = trials.inferShapes(best.subject().text).has_value();
  trace();
  if (Graph candidate = best.clone(); !best.isStatic() && candidate.makeStatic())
    accept(std::move(candidate), true);
  bool changed = true;
  for (int round = 0; changed && round < 8 && !stopped(); ++round) {
    changed = fewerOutputs();
    changed |= cutHalves();
    changed |= cutMiddles();
    changed |= fewerOutputs();
    changed |= replaceSingly();
    changed |= fewerInputs();
  }
  smallerSizes();
  progress(true);
}

} // namespace kiln::reduce
