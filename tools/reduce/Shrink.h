// The search for the fewest nodes that still fail in the same way.

#pragma once

#include "tools/reduce/Graph.h"

namespace kiln::reduce {

class Shrinker {
public:
  /// `failure` is how `start` fails. Values inside the model are kept in `folder`.
  Shrinker(mlir::MLIRContext &context, Trials &trials, const Request &request, Graph start, Verdict failure,
           std::string folder)
      : context(context), trials(trials), request(request), best(std::move(start)), failure(std::move(failure)),
        folder(std::move(folder)) {}

  /// Ends when nothing smaller fails, after request.tries, or when the user interrupts.
  void run();
  const Graph &result() const { return best; }
  const Verdict &verdict() const { return failure; }

private:
  bool stopped() const;
  /// Takes `candidate` as the best where it fails in the same way. `sameValues`: what is left computes what it did.
  bool accept(Graph candidate, bool sameValues);
  /// Computes what values inside the best graph are.
  void trace();
  Graph::Values values();
  void progress(bool last = false);

  bool fewerOutputs();
  bool cutHalves();
  bool cutMiddles();
  bool replaceSingly();
  bool fewerInputs();
  bool smallerSizes();

  mlir::MLIRContext &context;
  Trials &trials;
  const Request &request;
  Graph best;
  Verdict failure;
  std::string folder;
  bool traced = false;
  bool valid = false; ///< sizes can be inferred in the model, so they must be in candidates
  std::map<int64_t, std::shared_ptr<const Tensor>> known; // values read so far
};

/// A tensor from a .npy file; null where that cannot be read.
std::shared_ptr<const Tensor> readTensor(const std::string &path);

} // namespace kiln::reduce
