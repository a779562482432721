#include "compiler/session/PackConstants.h"

#include "compiler/session/Parallel.h"
#include "dialects/kiln/Build.h"

#include <condition_variable>
#include <mutex>
#include <optional>

using namespace kiln;

namespace {

constexpr int64_t aheadBytes = 64 << 20; // packed but not yet written

/// Bytes of one constant: borrowed from the model's file, or owned.
struct Bytes {
  Status status;
  Tensor storage;
  std::span<const std::byte> span;
};

class Packer {
public:
  explicit Packer(const BuiltProgram &built) : built(built) {
    for (const Constant &constant : built.program.constants)
      sizes.push_back(constant.inSection() ? byteCount(constant.dtype, constant.dims).value_or(0) : 0);
    ready.resize(sizes.size());
  }

  Bytes pack(size_t i) const {
    Bytes result;
    result.status = noThrow([&] { return pack(i, result); });
    if (!result.status.ok())
      result.status =
          result.status.withContext("constant " + std::to_string(i) + " (" + built.program.constants[i].name + "): ");
    return result;
  }

  /// Packs on `threads` threads while `use` takes the results in order. Without a thread they are packed as they are
  /// taken.
  Status run(size_t threads, const std::function<Status(const ConstantBytes &)> &use) {
    Bytes current;
    std::vector<std::thread> workers = startThreads(0, threads, [this](size_t) { work(); });
    Status status = noThrow([&] {
      return use([&](size_t i) -> Result<std::span<const std::byte>> {
        current = workers.empty() ? pack(i) : take(i);
        if (!current.status.ok())
          return current.status;
        return current.span;
      });
    });
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
    for (std::thread &worker : workers)
      worker.join();
    return status;
  }

private:
  Status pack(size_t i, Bytes &result) const {
    const PackedConstant &source = built.constants[i];
    const Constant &constant = built.program.constants[i];
    llvm::SmallVector<int64_t> dims;
    auto typed = mlir::dyn_cast<mlir::TypedAttr>(source.value);
    if (!typed)
      return makeError(ErrorCode::E0313, "is neither a weight nor inline elements");
    KILN_ASSIGN(TensorView view, viewConstant(typed, result.storage, dims));
    if (!source.recipe.steps.empty()) {
      KILN_ASSIGN(result.storage, applyRecipe(view, source.recipe));
      view = result.storage.view();
    }
    if (view.dtype != constant.dtype || !std::ranges::equal(view.dims, constant.dims))
      return makeError(ErrorCode::E0905, "packs to ", printTensorType(view.dtype, view.dims), ", expected ",
                       printTensorType(constant.dtype, constant.dims));
    result.span = {static_cast<const std::byte *>(view.data), static_cast<size_t>(view.bytes())};
    return Status::success();
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return stop || next >= sizes.size() || ahead < aheadBytes; });
      if (stop || next >= sizes.size())
        return;
      size_t i = next++;
      if (!built.program.constants[i].inSection())
        continue; // nobody takes it
      ahead += sizes[i];
      lock.unlock();
      Bytes bytes = pack(i);
      lock.lock();
      ready[i] = std::move(bytes);
      changed.notify_all();
    }
  }

  Bytes take(size_t i) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ready[i].has_value(); });
    Bytes bytes = *std::move(ready[i]);
    ready[i].reset();
    ahead -= sizes[i];
    changed.notify_all();
    return bytes;
  }

  const BuiltProgram &built;
  std::vector<int64_t> sizes;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::optional<Bytes>> ready; // nothing that may fail happens between packing and taking
  size_t next = 0;
  int64_t ahead = 0;
  bool stop = false;
};

} // namespace

Status kiln::withConstants(const BuiltProgram &built, size_t threads,
                           const std::function<Status(const ConstantBytes &)> &use) {
  return Packer(built).run(std::max<size_t>(threads, 1), use);
}
