#include "tools/reduce/Culprit.h"

#include "compiler/session/WithoutTable.h"
#include "tools/reduce/Child.h"
#include "tools/reduce/Kernels.h"

#include <cstdio>

namespace kiln::reduce {
namespace {

/// The first rewrite with which the model fails.
struct BadRewrite {
  int64_t number = -1; ///< -1: it fails without any
  std::string name;    ///< "MergeTransposes at node \"x\""
  bool formsKernel() const { return name.starts_with("FormKernels"); }
};

/// The last rewrite that passes do within a limit.
std::string lastRewrite(const Subject &subject, CompileOptions options, int64_t limit, double timeout) {
  options.rewriteLimit = limit;
  ChildResult child = inChild(
      [&](const Say &say) {
        options.message = [&](Severity, const std::string &text) { say(text + "\n"); };
        (void)compileText(subject.text, options);
      },
      timeout);
  constexpr std::string_view mark = "; last: ";
  size_t at = child.text.find(mark);
  return at == std::string::npos ? ""
                                 : child.text.substr(at + mark.size(), child.text.find('\n', at) - at - mark.size());
}

BadRewrite bisect(Trials &trials, const Request &request, const Subject &subject, const Verdict &failure) {
  auto fails = [&](int64_t limit) {
    CompileOptions options = request.compile;
    options.rewriteLimit = limit;
    return trials.run(subject, options).alike(failure);
  };
  BadRewrite bad;
  if (fails(0))
    return bad;
  int64_t good = 0, failing = 1;
  while (failing < (int64_t(1) << 30) && !fails(failing)) {
    good = failing;
    failing *= 2;
  }
  while (failing - good > 1) {
    int64_t middle = (good + failing) / 2;
    (fails(middle) ? failing : good) = middle;
  }
  bad.number = failing;
  bad.name = lastRewrite(subject, request.compile, failing, request.timeout);
  if (bad.name.empty() && good > 0) // it ends the compilation
    bad.name = "the one after " + lastRewrite(subject, request.compile, good, request.timeout);
  return bad;
}

void row(const std::string &what, const std::string &result) {
  std::printf("  %-24s %s\n", what.c_str(), result.c_str());
  std::fflush(stdout);
}

class Report {
public:
  Report(Trials &trials, const Request &request, const Subject &subject, const Verdict &failure)
      : trials(trials), request(request), subject(subject), failure(failure) {}

  void run() {
    std::printf("what cures it:\n");
    for (const ConservativeSwitch &s : conservativeSwitches)
      if (s.name.find(':') == s.name.npos)
        cured[std::string(s.name)] = tryWithout({std::string(s.name)}, std::string(s.name));
    kernels = kernelsOf(subject, request.compile, request.timeout);
    for (const SuspectKernel &kernel : kernels) {
      std::vector<std::string> switches;
      for (const std::string &node : kernel.nodes)
        switches.push_back("kernel:" + node);
      curedKernel.push_back(tryWithout(switches, switches[0]));
    }
    bad = bisect(trials, request, subject, failure);
    row("first bad rewrite",
        bad.number < 0 ? "none: it fails without any" : "number " + std::to_string(bad.number) + ": " + bad.name);
    for (const SuspectKernel &kernel : kernels)
      checkKernel(kernel);
    std::printf("culprit: %s\n", culprit().c_str());
    std::fflush(stdout);
  }

private:
  bool tryWithout(const std::vector<std::string> &switches, const std::string &name) {
    CompileOptions options = request.compile;
    options.without.insert(options.without.end(), switches.begin(), switches.end());
    Verdict verdict = trials.run(subject, options);
    row("--without " + name, verdict.alike(failure) ? "fails" : verdict.print());
    return !verdict.fails();
  }

  /// Checks a kernel by itself and, when it is wrong, its vector-level code under other compilers.
  void checkKernel(const SuspectKernel &kernel) {
    alone.push_back(checkAlone(kernel, request.compile.target, request.timeout));
    std::printf("kernel of node \"%s\" alone: %s\n  family %s, configuration %s\n  %s\n", kernel.nodes[0].c_str(),
                alone.back().c_str(), kernel.family.c_str(), kernel.config.c_str(), kernel.problem.c_str());
    if (alone.back() == "right")
      return;
    std::string &cures = below.emplace_back();
    for (const OtherCompiler &compiler : otherCompilers(trials.workFolder())) {
      std::string verdict = checkAlone(kernel, request.compile.target, request.timeout, compiler.make);
      row(compiler.name, verdict);
      if (verdict == "right")
        cures += (cures.empty() ? "" : " and with ") + compiler.name;
    }
  }

  std::string culprit() const {
    for (size_t i = 0, wrong = 0; i < kernels.size(); ++i)
      if (alone[i] != "right") {
        const std::string &cures = below[wrong++];
        return "kernel family " + kernels[i].family + ", at node \"" + kernels[i].nodes[0] +
               "\": its code computes its " + "problem wrongly" +
               (cures.empty() ? "" : ", but the same vector-level code is right with " + cures);
      }
    if (cured.at("buffer-reuse"))
      return "buffer reuse (passes/plan: Bufferize in place; runtime/plan: the packing of the arena)";
    if (cured.at("scheduling"))
      return "scheduling (passes/plan/Schedule)";
    if (bad.number >= 0 && !bad.formsKernel())
      return "rewrite " + bad.name;
    for (size_t i = 0; i < kernels.size(); ++i)
      if (curedKernel[i])
        return "what stands between the graph and the kernel of node \"" + kernels[i].nodes[0] + "\" (family " +
               kernels[i].family + "), which computes its problem right: the problem, its sizes" +
               (cured.at("fusion") ? ", the fusion of its ops" : "") + ", or its plan";
    if (cured.at("layout"))
      return "layout (passes/graph/Layout)";
    return "none of the parts that can be left out: importing, shape inference, planning or the executor";
  }

  Trials &trials;
  const Request &request;
  const Subject &subject;
  const Verdict &failure;
  std::map<std::string, bool> cured; // by switch
  std::vector<SuspectKernel> kernels;
  std::vector<bool> curedKernel;
  std::vector<std::string> alone; // of each kernel
  std::vector<std::string> below; // of each wrong one: the other compilers that get it right
  BadRewrite bad;
};

} // namespace

void nameCulprit(Trials &trials, const Request &request, const Subject &subject, const Verdict &failure) {
  Report(trials, request, subject, failure).run();
}

} // namespace kiln::reduce
