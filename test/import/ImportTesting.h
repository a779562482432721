// Imports a model that a test wrote, and shows what came out.
#pragma once

#include "compiler/import/onnx/Importer.h"
#include "dialects/kiln/Dialect.h"
#include "test/import/ModelWriter.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include <catch2/catch.hpp>

namespace kiln::onnx::test {

struct Imported {
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  WeightStore &weights = context.getOrLoadDialect<KilnDialect>()->weights();
  mlir::OwningOpRef<mlir::ModuleOp> module;
  Status status;
  std::vector<std::string> warnings;

  explicit Imported(std::string bytes, ImportOptions options = {}) {
    options.warn = [this](const std::string &text) { warnings.push_back(text); };
    auto owner = std::make_shared<std::string>(std::move(bytes));
    auto result = importOnnx(context, weights, std::as_bytes(std::span(owner->data(), owner->size())), owner, options);
    status = result.status();
    if (result.ok())
      module = *std::move(result);
  }

  std::string error() const { return formatError(status); }

  /// The module's text, with locations on request; a module that does not verify fails the test.
  std::string text(bool locations = false) {
    INFO(error());
    REQUIRE(status.ok());
    REQUIRE(mlir::succeeded(mlir::verify(*module)));
    std::string out;
    llvm::raw_string_ostream stream(out);
    module->print(stream, mlir::OpPrintingFlags().enableDebugInfo(locations).useLocalScope());
    return stream.str();
  }
};

/// The ops of the module in order, each as "mnemonic{attributes} -> type".
inline std::vector<std::string> opsOf(Imported &imported) {
  INFO(imported.error());
  REQUIRE(imported.status.ok());
  std::vector<std::string> ops;
  imported.module->walk([&](mlir::Operation *op) {
    if (op->getName().getDialectNamespace() != "kiln")
      return;
    std::string text;
    llvm::raw_string_ostream stream(text);
    stream << op->getName().stripDialect();
    if (!op->getAttrDictionary().empty())
      stream << " " << op->getAttrDictionary();
    stream << " -> " << op->getResult(0).getType();
    ops.push_back(stream.str());
  });
  return ops;
}

/// Imports one node of operands x0, x1 ... (f32, given dims) and returns its ops.
inline std::vector<std::string> nodeOps(int64_t opset, std::string_view opType,
                                        const std::vector<std::vector<TestDim>> &inputs,
                                        const std::vector<Attr> &attributes = {},
                                        const std::vector<Message> &initializers = {}, size_t outputs = 1) {
  ModelBuilder builder(opset);
  std::vector<std::string> names, results;
  for (size_t i = 0; i < inputs.size(); ++i)
    builder.input(names.emplace_back("x" + std::to_string(i)), inputs[i]);
  for (size_t i = 0; i < initializers.size(); ++i) {
    Message named = initializers[i];
    named.text(field::TensorName, names.emplace_back("c" + std::to_string(i)));
    builder.initializer(named);
  }
  for (size_t i = 0; i < outputs; ++i)
    builder.output(results.emplace_back("y" + std::to_string(i)));
  builder.node(opType, names, results, attributes);
  Imported imported(builder.build());
  return opsOf(imported);
}

} // namespace kiln::onnx::test
