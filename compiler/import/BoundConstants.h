// Which constants of the models are bound later, and under which names.
#pragma once

#include "dialects/kiln/BoundReader.h"
#include "runtime/base/Status.h"

#include "mlir/IR/BuiltinOps.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace kiln {

class BoundConstants final : public BoundReader {
public:
  /// `names` of initializers: "W", in every model; "decode:W", of that entry; "all": every one of floating-point
  /// elements, more than one of them.
  explicit BoundConstants(const std::vector<std::string> &names);

  bool empty() const { return !all && names.empty(); }
  /// What comes is of the model of that entry.
  void beginModel(std::string entry) { this->entry = std::move(entry); }
  /// The value of the constant that an initializer becomes: `value`, or a #kiln.bound of its type. One name has one
  /// value everywhere (E0703); with "all", another value gets another name, "W#2".
  Result<mlir::TypedAttr> take(const std::string &initializer, mlir::TypedAttr value);

  mlir::TypedAttr read(BoundAttr constant) override;

  /// After all models were read. With "all", what was read is an ordinary constant again; a name that says such a
  /// constant (E0701) or none (E0501) is an error.
  Status finish(mlir::ModuleOp module);

private:
  struct Known {
    mlir::TypedAttr value;
    bool byName = false; // not by "all"
    bool read = false;
  };

  bool all = false;
  std::set<std::string> names, found;
  std::string entry;
  std::map<std::string, Known> constants; // by the name that they are bound under
};

} // namespace kiln
