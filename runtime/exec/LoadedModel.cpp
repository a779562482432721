#include "runtime/exec/LoadedModel.h"

#include "runtime/exec/SizeWords.h"
#include "runtime/exec/WaitScope.h"

#include <algorithm>

namespace kiln {

namespace {

/// Binds the symbols of a function from what it is called with.
class Binder {
public:
  Binder(const Program &program, const Function &function, const CompiledFunction &compiled)
      : program(program), p(function), c(compiled), words(program, function) {}

  Status inputMismatch(ErrorCode code, size_t input, const InputShape &given, const std::string &why) const {
    const State *state = program.stateTaken(p, input);
    return makeError(code, words.taken(input), ": expected ", words.typeTaken(input), ", got ",
                     printTensorType(given.dtype, state ? state->inModelOrder(given.dims)
                                                        : std::vector<int64_t>(given.dims.begin(), given.dims.end())),
                     why.empty() ? "" : ": ", why);
  }

  Result<std::vector<int64_t>> bindSymbols(std::span<const InputShape> inputs, std::span<const int64_t> sizes) const {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const View &view = p.views[p.takenView(i)];
      if (inputs[i].dtype != view.dtype)
        return inputMismatch(ErrorCode::E0503, i, inputs[i], "");
      if (inputs[i].dims.size() != view.dims.size())
        return inputMismatch(ErrorCode::E0504, i, inputs[i], "");
      for (int64_t dim : inputs[i].dims)
        if (dim < 0)
          return inputMismatch(ErrorCode::E0505, i, inputs[i], "a dim is negative");
      if (!byteCount(inputs[i].dtype, inputs[i].dims))
        return inputMismatch(ErrorCode::E0505, i, inputs[i], "the size overflows");
    }
    std::vector<int64_t> values(p.symbols.size(), 0);
    for (size_t k = 0; k < p.symbols.size(); ++k) {
      const ProgramSymbol &s = p.symbols[k];
      if (s.isBound()) {
        values[k] = inputs[size_t(s.input)].dims[size_t(s.dim)];
      } else if (s.parameter >= 0) {
        values[k] = sizes[size_t(s.parameter)];
      } else {
        std::optional<int64_t> value = c.symbolValues[k].evaluate(values);
        if (!value)
          return makeError(ErrorCode::E0308, sizeOf(s),
                           words.named(SizeExpr::symbol(s.name)) ? " = " + s.value.print() : "",
                           " overflows or divides by zero");
        values[k] = *value;
      }
      if (values[k] >= s.low && values[k] <= s.high)
        continue;
      std::string range = s.high == INT64_MAX ? "at least " + std::to_string(s.low)
                                              : std::to_string(s.low) + ".." + std::to_string(s.high);
      std::string why = " is " + std::to_string(values[k]) + ", allowed is " + range;
      if (!s.isBound())
        return makeError(ErrorCode::E0507, sizeOf(s), why);
      std::string name = words.named(SizeExpr::symbol(s.name)) ? s.name : "dim " + std::to_string(s.dim);
      return inputMismatch(ErrorCode::E0507, size_t(s.input), inputs[size_t(s.input)], name + why);
    }
    return values;
  }

  /// In the words of the signature where it names the sizes: `dim 0 of "a" is 2 (N) and dim 0 of "b" is 3 (K); they
  /// must be equal`.
  Status checkFailure(const Condition &check, std::optional<int64_t> lhs, std::optional<int64_t> rhs) const {
    auto number = [](std::optional<int64_t> v) { return v ? std::to_string(*v) : std::string("no number"); };
    auto describe = [&](const SizeExpr &size, std::optional<int64_t> value) {
      const ProgramSymbol *name = words.named(size);
      if (std::optional<std::string> place = words.place(size); place && (!name || name->isBound()))
        return *place + " is " + number(value) + (name ? " (" + name->name + ")" : "");
      auto [expression, where] = words.expression(size);
      return "size " + expression + (size.isConstant() ? "" : " is " + number(value)) + where;
    };
    using Relation = Condition::Relation;
    auto symmetric = [&](const std::string &extra) {
      // A side that is a number is what the other one must be.
      if (check.lhs.isConstant() || check.rhs.isConstant()) {
        bool left = check.lhs.isConstant();
        return describe(left ? check.rhs : check.lhs, left ? rhs : lhs) + "; it must be " + number(left ? lhs : rhs) +
               (extra.empty() ? "" : " or 1");
      }
      return describe(check.lhs, lhs) + " and " + describe(check.rhs, rhs) + "; they must be equal" + extra;
    };
    switch (check.relation) {
    case Relation::Equal: return makeError(ErrorCode::E0508, symmetric(""));
    case Relation::Broadcast: return makeError(ErrorCode::E0508, symmetric(", or one of them 1"));
    case Relation::AtMost:
      return check.lhs.isConstant()
                 ? makeError(ErrorCode::E0508, describe(check.rhs, rhs), "; it must be at least ", number(lhs))
                 : makeError(ErrorCode::E0508, describe(check.lhs, lhs), "; it must be at most ", number(rhs));
    case Relation::MultipleOf:
      return makeError(ErrorCode::E0508, describe(check.lhs, lhs), "; it must be a multiple of ", number(rhs));
    case Relation::NotEqual:
    case Relation::Above: break;
    }
    return makeError(ErrorCode::E0508, describe(check.lhs, lhs), "; the model needs ", check.print());
  }

  Status checkInputs(std::span<const InputShape> inputs, std::span<const int64_t> symbols) const {
    for (size_t i = 0; i < inputs.size(); ++i) {
      ViewId view = p.takenView(i);
      for (size_t d = 0; d < inputs[i].dims.size(); ++d) {
        std::optional<int64_t> expected = c.viewDims[view][d].evaluate(symbols);
        int64_t given = inputs[i].dims[d];
        if (expected == given)
          continue;
        const SizeExpr &expr = p.views[view].dims[d];
        std::string why = "dim " + words.axisTaken(i, d) + " is " + std::to_string(given);
        if (expr.isConstant())
          return inputMismatch(ErrorCode::E0505, i, inputs[i], why + ", expected " + expr.print());
        std::string value = expected ? std::to_string(*expected) : "no number";
        const ProgramSymbol *name = words.named(expr);
        std::optional<std::string> place = words.place(expr);
        if (!name && place)
          return inputMismatch(ErrorCode::E0506, i, inputs[i], why + ", but " + *place + " is " + value);
        std::string binder;
        if (name && name->isBound())
          binder = " by dim " + words.axisTaken(size_t(name->input), size_t(name->dim)) + " of " +
                   words.taken(size_t(name->input));
        auto [expression, where] = words.expression(expr);
        return inputMismatch(ErrorCode::E0506, i, inputs[i],
                             why + ", but " + expression + " is bound to " + value + binder + where);
      }
    }
    for (size_t k = 0; k < p.checks.size(); ++k) {
      std::optional<int64_t> lhs = c.checks[k].lhs.evaluate(symbols), rhs = c.checks[k].rhs.evaluate(symbols);
      if (!lhs || !rhs || !p.checks[k].holds(*lhs, *rhs))
        return checkFailure(p.checks[k], lhs, rhs);
    }
    return Status();
  }

private:
  /// A size that is computed or handed over, in words.
  std::string sizeOf(const ProgramSymbol &symbol) const {
    auto [expression, where] = words.expression(SizeExpr::symbol(symbol.name));
    return "size " + expression + where;
  }

  const Program &program;
  const Function &p;
  const CompiledFunction &c;
  SizeWords words;
};

} // namespace

/// In words.
static std::string nameDevice(std::string_view name) {
  return name.empty() ? "the CPU" : "device \"" + std::string(name) + "\"";
}

Result<std::shared_ptr<const LoadedModel>> LoadedModel::create(std::shared_ptr<const Artifact> artifact,
                                                               Device &device) {
  const Program &p = artifact->program();
  if (p.device != device.name())
    return makeError(ErrorCode::E0604, "the artifact is compiled for ", nameDevice(p.device), ", not for ",
                     nameDevice(device.name()));
  if (!p.kernels.empty() || !p.isInterpreted())
    KILN_TRY(device.checkRuns(p.target));
  std::shared_ptr<LoadedModel> model(new LoadedModel(device));
  KILN_ASSIGN(model->compiled, CompiledProgram::compile(p));
  model->caches.resize(p.functions.size());
  model->theArtifact = std::move(artifact);
  KILN_TRY(model->placeConstants());
  if (model->compiled.hasOutsideConstants) {
    KILN_ASSIGN(model->files, model->theArtifact->openFiles());
    KILN_ASSIGN(model->theConstants,
                ConstantSet::load(*model->theArtifact, model->files, device, model->compiled.deviceConstants));
  }
  return std::shared_ptr<const LoadedModel>(std::move(model));
}

Status LoadedModel::placeConstants() {
  const DeviceConstants &placed = compiled.deviceConstants;
  if (placed.bytes == 0)
    return Status();
  KILN_TRY(sectionOnDevice.reserve(placed.bytes));
  std::unique_ptr<Queue> queue = theDevice.makeQueue();
  WaitScope scope(*queue); // copies read the artifact and write memory that goes with the model
  for (size_t i = 0; i < placed.offsets.size(); ++i) {
    if (placed.offsets[i] < 0)
      continue;
    if (std::span<const std::byte> bytes = theArtifact->constant(i); !bytes.empty())
      KILN_TRY(queue->copyToDevice(sectionOnDevice.data() + placed.offsets[i], bytes.data(), int64_t(bytes.size())));
  }
  return queue->wait();
}

std::shared_ptr<const ConstantSet> LoadedModel::constants() const {
  if (!compiled.hasOutsideConstants)
    return nullptr;
  std::lock_guard lock(constantsMutex);
  return theConstants;
}

Status LoadedModel::bindConstants(std::span<const ConstantSet::Binding> bindings) const {
  if (bindings.empty())
    return Status();
  std::shared_ptr<const ConstantSet> set; // the old one is freed without locks: whoever owns its bytes is told
  std::lock_guard turn(binding);
  KILN_ASSIGN(set, constants()->bind(bindings));
  std::lock_guard lock(constantsMutex);
  theConstants.swap(set);
  return Status();
}

Result<std::shared_ptr<const Instance>> LoadedModel::bind(FunctionId function, std::span<const InputShape> inputs,
                                                          std::span<const int64_t> sizes, bool keep) const {
  const Function &p = program().functions[function];
  if (inputs.size() != p.takenCount())
    return makeError(ErrorCode::E0502, "the model has ", p.takenCount(), " inputs, ", inputs.size(), " were given");
  Binder binder(program(), p, compiled.functions[function]);
  KILN_ASSIGN(std::vector<int64_t> symbols, binder.bindSymbols(inputs, sizes));
  KILN_TRY(binder.checkInputs(inputs, symbols));
  std::list<std::shared_ptr<const Instance>> &cache = caches[function];
  {
    std::lock_guard lock(mutex);
    for (auto it = cache.begin(); it != cache.end(); ++it)
      if ((*it)->symbols == symbols) {
        cache.splice(cache.begin(), cache, it);
        return cache.front();
      }
  }
  // Built outside the lock: two threads may build the same one, which only costs time.
  KILN_ASSIGN(std::shared_ptr<const Instance> instance,
              Instance::build(*theArtifact, compiled, function, std::move(symbols)));
  if (!keep)
    return instance;
  std::lock_guard lock(mutex);
  cache.push_front(instance);
  if (cache.size() > cachedInstances)
    cache.pop_back();
  return instance;
}

} // namespace kiln
