#include "tools/reduce/Child.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kiln::reduce {

static volatile sig_atomic_t interrupted = 0;

bool interruptedByUser() { return interrupted != 0; }

void catchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND); // a second one kills
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

static void writeAll(int fd, const std::string &text) {
  for (size_t done = 0; done < text.size();) {
    ssize_t count = ::write(fd, text.data() + done, text.size() - done);
    if (count <= 0)
      return;
    done += static_cast<size_t>(count);
  }
}

ChildResult inChild(const std::function<void(const Say &say)> &work, double seconds) {
  ChildResult result;
  int ends[2];
  if (::pipe(ends) != 0)
    return {ChildResult::End::Crashed, 0, ""};
  pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    for (int signal : {SIGINT, SIGTERM, SIGSEGV, SIGBUS, SIGABRT})
      std::signal(signal, SIG_DFL);
    rlimit none = {0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    if (int nowhere = ::open("/dev/null", O_WRONLY); nowhere >= 0) { // what dies may say a lot
      ::dup2(nowhere, STDOUT_FILENO);
      ::dup2(nowhere, STDERR_FILENO);
    }
    work([&](const std::string &text) { writeAll(ends[1], text); });
    ::_exit(0);
  }
  ::close(ends[1]);
  if (child < 0) {
    ::close(ends[0]);
    return {ChildResult::End::Crashed, 0, ""};
  }
  using Clock = std::chrono::steady_clock;
  auto end = Clock::now() + std::chrono::duration<double>(seconds);
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) {
      result.end = ChildResult::End::TimedOut;
      ::kill(child, SIGKILL);
      break;
    }
    pollfd event = {ends[0], POLLIN, 0};
    if (int ready = ::poll(&event, 1, int(std::min<long>(left, 1000))); ready < 0 && errno != EINTR)
      break;
    else if (ready <= 0)
      continue;
    char buffer[1 << 16];
    ssize_t count = ::read(ends[0], buffer, sizeof buffer);
    if (count <= 0)
      break;
    result.text.append(buffer, static_cast<size_t>(count));
  }
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  if (result.end == ChildResult::End::Finished && WIFSIGNALED(status)) {
    result.end = ChildResult::End::Crashed;
    result.signal = WTERMSIG(status);
  }
  return result;
}

} // namespace kiln::reduce
