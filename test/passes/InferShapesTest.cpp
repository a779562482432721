#include "dialects/kiln/Ops.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/graph/Passes.h"

#include <catch2/catch.hpp>

using namespace mlir;

namespace {

/// A function in which each round of shape inference makes one more size known: group i of ops, which stands before
/// group i + 1, shows that size A<i - 1> is S once it is known that A<i> is; the last op shows that of the last size.
std::string chain(int length) {
  std::string arguments = "%a0: tensor<?x4xf32, #kiln.dims<[A0, 4]>>", body;
  auto shows = [&](const std::string &result, const std::string &row, const std::string &rowType, int i) {
    std::string n = std::to_string(i);
    body += result + " = kiln.matmul " + row + ", %a" + n + " : (" + rowType + ", tensor<?x4xf32, #kiln.dims<[A" + n +
            ", 4]>>) -> tensor<1x4xf32>\n";
  };
  for (int i = 1; i <= length; ++i) {
    std::string n = std::to_string(i), type = "tensor<?x4xf32, #kiln.dims<[A" + n + ", 4]>>";
    arguments += ", %a" + n + ": " + type;
    body += "%h" + n + " = kiln.shape %a" + n + " {start = 0, end = 1} : (" + type + ") -> tensor<1xi64>\n";
    body += "%q" + n + " = kiln.equal %h" + n + ", %size : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi1>\n";
    body += "%w" + n + " = kiln.where %q" + n +
            ", %size, %seven : (tensor<1xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>\n";
    body += "%e" + n + " = kiln.expand %x, %w" + n + " : (tensor<1x1xf32>, tensor<1xi64>) -> tensor<1x?xf32>\n";
    shows("%m" + n, "%e" + n, "tensor<1x?xf32>", i - 1);
  }
  shows("%last", "%row", "tensor<1x?xf32, #kiln.dims<[1, S]>>", length);
  return "func.func @f(%x: tensor<1x1xf32>, %row: tensor<1x?xf32, #kiln.dims<[1, S]>>, " + arguments +
         R"() -> tensor<1x4xf32> {
    %seven = kiln.constant {value = dense<7> : tensor<1xi64>} : () -> tensor<1xi64>
    %size = kiln.shape %row {start = 1, end = 2} : (tensor<1x?xf32, #kiln.dims<[1, S]>>) -> tensor<1xi64>
    )" + body +
         "return %last : tensor<1x4xf32>\n}";
}

/// The diagnostics of shape inference; empty if it succeeded.
std::string inferChain(int length) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<func::FuncDialect, kiln::KilnDialect>();
  std::string messages;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &d) { messages += d.str() + "\n"; });
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(chain(length), &context);
  REQUIRE(module);
  PassManager manager(&context);
  manager.addPass(kiln::createInferShapes());
  bool done = succeeded(manager.run(*module));
  CHECK(done == messages.empty());
  if (messages.empty())
    module->walk([&](func::FuncOp function) {
      for (Type type : function.getArgumentTypes())
        for (const kiln::SizeExpr &dim : kiln::getDims(type))
          if (auto name = dim.asSymbol())
            CHECK(*name == "S");
    });
  return messages;
}

} // namespace

TEST_CASE("shape inference goes on until no more sizes are found equal") {
  CHECK(inferChain(1) == "");
  CHECK(inferChain(6) == "");
  CHECK(inferChain(20) == "");
}

TEST_CASE("shape inference that does not come to an end is an error, not half a result") {
  CHECK_THAT(inferChain(60), Catch::Contains("still finds sizes equal") && Catch::Contains("[KILN-E0906]"));
}
