#include "passes/Rewrite.h"

#include "dialects/kiln/Ops.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"

#include <catch2/catch.hpp>

using namespace mlir;

namespace {

/// Undoes itself for ever.
struct SwapForever : OpRewritePattern<kiln::SubOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(kiln::SubOp op, PatternRewriter &rewriter) const override {
    rewriter.modifyOpInPlace(op, [&] {
      Value first = op->getOperand(0);
      op->setOperand(0, op->getOperand(1));
      op->setOperand(1, first);
    });
    return success();
  }
};

struct ExpToLog : OpRewritePattern<kiln::ExpOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(kiln::ExpOp op, PatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<kiln::LogOp>(op, op.getType(), op.getX());
    return success();
  }
};

constexpr const char *text = R"(
func.func @f(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %a = kiln.sub %x, %y : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %b = kiln.exp %a : (tensor<4xf32>) -> tensor<4xf32>
  %c = kiln.exp %b : (tensor<4xf32>) -> tensor<4xf32>
  return %c : tensor<4xf32>
})";

struct Fixture {
  Fixture() : context(MLIRContext::Threading::DISABLED) {
    context.loadDialect<func::FuncDialect, kiln::KilnDialect>();
    module = parseSourceString<ModuleOp>(text, &context);
  }
  template <typename OpT> int count() {
    int n = 0;
    module->walk([&](OpT) { ++n; });
    return n;
  }
  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

} // namespace

TEST_CASE("patterns that undo each other end with an error that names them") {
  Fixture f;
  std::string message;
  ScopedDiagnosticHandler handler(&f.context, [&](Diagnostic &d) { message += d.str(); });
  RewritePatternSet patterns(&f.context);
  patterns.add<SwapForever>(&f.context);
  CHECK(failed(kiln::runPatterns(*f.module, std::move(patterns), "Test")));
  CHECK_THAT(message, Catch::Contains("Test did not reach a fixed point") && Catch::Contains("SwapForever") &&
                          Catch::Contains("[KILN-E0906]"));
}

TEST_CASE("fuel ends rewriting without an error") {
  Fixture f;
  f.context.getLoadedDialect<kiln::KilnDialect>()->rewrites.limit = 1;
  RewritePatternSet patterns(&f.context);
  patterns.add<ExpToLog>(&f.context);
  CHECK(succeeded(kiln::runPatterns(*f.module, std::move(patterns), "Test")));
  CHECK(f.count<kiln::ExpOp>() == 1);
  CHECK(f.count<kiln::LogOp>() == 1);
  const kiln::RewriteBudget &budget = f.context.getLoadedDialect<kiln::KilnDialect>()->rewrites;
  CHECK_THAT(budget.last, Catch::EndsWith("ExpToLog"));
  CHECK(budget.lastPlace.has_value());
  CHECK_FALSE(kiln::takeFuel(*f.module, "Test"));
  CHECK_THAT(budget.last, Catch::EndsWith("ExpToLog"));
}
