// Work that may crash or hang, done in a child process.

#pragma once

#include <functional>
#include <string>

namespace kiln::reduce {

struct ChildResult {
  enum class End { Finished, Crashed, TimedOut } end = End::Finished;
  int signal = 0;   ///< Crashed
  std::string text; ///< what the child said up to its end
};

using Say = std::function<void(const std::string &)>;

/// Runs `work` in a child, whose text is what it said. The parent must have no other threads.
ChildResult inChild(const std::function<void(const Say &say)> &work, double seconds);

/// Set by Ctrl-C; children die of it at once.
bool interruptedByUser();
void catchInterrupts();

} // namespace kiln::reduce
