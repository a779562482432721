// Small models of many operators, to be damaged.
#pragma once

#include "test/import/ModelWriter.h"

namespace kiln::onnx::test {

inline std::vector<std::string> seedModels() {
  std::vector<std::string> all;
  Message w = floats("w", {4, 3, 3, 3}, std::vector<float>(108, 0.5f));
  all.push_back(ModelBuilder(11)
                    .input("x", {dim("N"), dim(3), dim(8), dim(8)})
                    .initializer(w)
                    .node("Conv", {"x", "w"}, {"c"},
                          {{"pads", std::vector<int64_t>{1, 1, 1, 1}}, {"strides", std::vector<int64_t>{2, 2}}})
                    .node("Relu", {"c"}, {"r"})
                    .node("MaxPool", {"r"}, {"m"}, {{"kernel_shape", std::vector<int64_t>{2, 2}}})
                    .node("GlobalAveragePool", {"m"}, {"g"})
                    .node("Flatten", {"g"}, {"y"})
                    .output("y")
                    .build());
  all.push_back(ModelBuilder(18)
                    .input("x", {dim("batch"), dim("sequence"), dim(16)})
                    .initializer(int64s("tail", {2}, {4, -1}))
                    .initializer(floats("scale", {16}, std::vector<float>(16, 1)))
                    .initializer(int64s("axes", {1}, {-1}))
                    .initializer(int64s("one", {1}, {1}))
                    .initializer(int64s("three", {1}, {3}))
                    .node("LayerNormalization", {"x", "scale"}, {"n"}, {{"axis", -1}, {"epsilon", 1e-5f}})
                    .node("Shape", {"n"}, {"s"}, {{"end", 2}})
                    .node("Concat", {"s", "tail"}, {"dims"}, {{"axis", 0}})
                    .node("Reshape", {"n", "dims"}, {"r"})
                    .node("Transpose", {"r"}, {"t"}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}})
                    .node("Softmax", {"t"}, {"p"})
                    .node("ReduceMean", {"p", "axes"}, {"q"})
                    .node("Split", {"t"}, {"a", "b"}, {{"axis", 1}, {"num_outputs", 2}})
                    .node("Slice", {"t", "one", "three", "axes"}, {"z"})
                    .output("q")
                    .output("a")
                    .output("z")
                    .build());
  all.push_back(ModelBuilder(13)
                    .input("x", {dim(2), dim(3)})
                    .node("Constant", {}, {"k"},
                          {{"value", tensor("", OnnxType::Int64, {2}).packedVarints(field::TensorInt64Data, {3, 2})}})
                    .node("Constant", {}, {"f"}, {{"value_floats", std::vector<float>{1, 2, 3}}})
                    .node("Expand", {"f", "k"}, {"e"})
                    .node("Pad", {"x", "k"}, {"d"})
                    .node("Gemm", {"x", "x"}, {"g"}, {{"transB", 1}, {"alpha", 0.5f}})
                    .node("Cast", {"g"}, {"i"}, {{"to", 6}})
                    .node("Tile", {"x", "k"}, {"t"})
                    .node("Range", {"i", "i", "i"}, {"y"})
                    .output("g")
                    .build());
  all.push_back(
      ModelBuilder(21)
          .input("x", {dim("N"), dim(3), dim(8), dim(8)})
          .initializer(w)
          .initializer(floats("scales", {2}, {1.5f, 0.5f}))
          .initializer(int64s("sizes", {4}, {1, 4, 5, 6}))
          .initializer(floats("scale", {4}, {1, 2, 3, 4}))
          .initializer(int64s("at", {1, 1}, {0}))
          .initializer(floats("row", {1, 4, 6, 6}, std::vector<float>(144, 1)))
          .initializer(int64s("axis", {}, {1}))
          .node("Resize", {"x", "", "scales"}, {"r"}, {{"axes", std::vector<int64_t>{2, 3}}, {"mode", "cubic"}})
          .node("Conv", {"x", "w"}, {"c"})
          .node("ConvTranspose", {"c", "w"}, {"t"}, {{"strides", std::vector<int64_t>{2, 2}}})
          .node("Resize", {"c", "", "", "sizes"}, {"s"}, {{"mode", "linear"}})
          .node("QuantizeLinear", {"c", "scale"}, {"q"}, {{"output_dtype", 3}})
          .node("DequantizeLinear", {"q", "scale"}, {"d"})
          .node("ScatterND", {"d", "at", "row"}, {"u"}, {{"reduction", "add"}})
          .node("CumSum", {"u", "axis"}, {"y"}, {{"exclusive", 1}})
          .output("r")
          .output("t")
          .output("s")
          .output("y")
          .build());
  Message function = Message()
                         .text(field::FunctionName, "F")
                         .text(field::FunctionDomain, "mine")
                         .text(field::FunctionInput, "a")
                         .text(field::FunctionOutput, "b")
                         .message(field::FunctionNode, node("Relu", {"a"}, {"b"}))
                         .message(field::FunctionOpsetImport, Message().integer(field::OpsetVersion, 13));
  all.push_back(ModelBuilder(13)
                    .imports("mine", 1)
                    .function(function)
                    .input("x", {dim(2)})
                    .node("F", {"x"}, {"y"}, {}, "", "mine")
                    .output("y")
                    .build());
  return all;
}

} // namespace kiln::onnx::test
