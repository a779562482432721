#include "runtime/device/HostCpu.h"

#include <algorithm>
#include <cstdio>
#include <sched.h>
#include <string>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace kiln {
namespace {

/// CPUs that the quota of control group v2 pays for, rounded up; 0 when there is none.
int quotaCpus() {
  std::FILE *file = std::fopen("/sys/fs/cgroup/cpu.max", "re");
  if (!file)
    return 0;
  long long quota = 0, period = 0;
  int fields = std::fscanf(file, "%lld %lld", &quota, &period); // "max 100000" has no number
  std::fclose(file);
  return fields == 2 && quota > 0 && period > 0 ? int(std::min<long long>((quota + period - 1) / period, 4096)) : 0;
}

#if defined(__x86_64__)
/// Whether there are tile registers that multiply bytes, and the kernel lets this process use them, which it must be
/// asked for: their state is large.
bool mayUseTiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned tile = 1u << 24, int8 = 1u << 25;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & tile) == 0 || (d & int8) == 0)
    return false;
  constexpr long requestPermission = 0x1023, tileData = 18; // of arch_prctl
  return ::syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}
#endif

} // namespace

bool hostHas(std::string_view part) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl");
  if (part == "x86-64-v3")
    return v3;
  if (part == "x86-64-v4")
    return v4;
  if (part == "bf16")
    return __builtin_cpu_supports("avx512bf16");
  if (part == "vnni")
    return __builtin_cpu_supports("avx512vnni");
  if (part == "amx") {
    static const bool tiles = mayUseTiles();
    return tiles;
  }
#endif
  return false;
}

Status checkHostRuns(std::string_view target) {
  if (target == "interpreter")
    return Status();
  std::string_view rest = target.substr(0, target.find('@'));
  while (!rest.empty()) {
    size_t plus = rest.find('+');
    std::string_view part = rest.substr(0, plus);
    if (!hostHas(part))
      return makeError(ErrorCode::E0604, "the artifact is compiled for ", target, ", but this machine lacks ", part);
    rest = plus == std::string_view::npos ? std::string_view() : rest.substr(plus + 1);
  }
  return target.empty() ? makeError(ErrorCode::E0604, "the artifact names no target") : Status();
}

int availableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cpus = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  if (int quota = quotaCpus())
    cpus = std::min(cpus, quota);
  return std::max(cpus, 1);
}

} // namespace kiln
