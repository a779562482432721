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
  using Ints = std::vector<int64_t>;
  auto zeros = [](std::string_view name, const Ints &dims) {
    int64_t count = 1;
    for (int64_t dim : dims)
      count *= dim;
    return floats(name, dims, std::vector<float>(size_t(count), 0.25f));
  };
  all.push_back(ModelBuilder(22)
                    .input("x", {dim("N"), dim(2), dim(6), dim(6)})
                    .input("s", {dim("T"), dim("N"), dim(2)})
                    .input("u", {dim("N"), dim(2), dim(2)}, OnnxType::Uint8)
                    .initializer(zeros("w", {2, 12, 2}))
                    .initializer(zeros("r", {2, 12, 3}))
                    .initializer(zeros("rois", {2, 4}))
                    .initializer(int64s("at", {2}, {0, 0}))
                    .initializer(zeros("filter", {2, 2, 2, 2}))
                    .initializer(zeros("offset", {1, 8, 5, 5}))
                    .initializer(int64s("k", {1}, {2}))
                    .initializer(int64s("image", {2}, {4, 4}))
                    .initializer(int64s("block", {2}, {2, 2}))
                    .initializer(zeros("columns", {1, 8, 9}))
                    .initializer(zeros("theta", {1, 2, 3}))
                    .initializer(int64s("size", {4}, {1, 1, 3, 4}))
                    .initializer(int64s("step", {}, {2}))
                    .initializer(zeros("window", {4}))
                    .initializer(zeros("signal", {1, 12, 1}))
                    .node("LSTM", {"s", "w", "r"}, {"y", "", "c"}, {{"direction", "bidirectional"}, {"hidden_size", 3}})
                    .node("MaxPool", {"x"}, {"m", "i"}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}})
                    .node("MaxUnpool", {"m", "i"}, {"un"}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}})
                    .node("TopK", {"x", "k"}, {"tv", "ti"}, {{"axis", 1}, {"largest", 0}})
                    .node("RoiAlign", {"x", "rois", "at"}, {"ra"}, {{"output_height", 2}, {"mode", "max"}})
                    .node("DeformConv", {"x", "filter", "offset"}, {"dc"}, {{"offset_group", 1}})
                    .node("Col2Im", {"columns", "image", "block"}, {"ci"}, {{"strides", Ints{1, 1}}})
                    .node("AffineGrid", {"theta", "size"}, {"ag"}, {{"align_corners", 1}})
                    .node("CenterCropPad", {"x", "image"}, {"cp"}, {{"axes", Ints{2, 3}}})
                    .node("STFT", {"signal", "step", "window"}, {"st"})
                    .node("DFT", {"signal", "step"}, {"df"}, {{"onesided", 1}})
                    .node("HannWindow", {"step"}, {"hw"})
                    .node("MatMulInteger", {"u", "u"}, {"mi"})
                    .node("Unique", {"x"}, {"uv", "uf", "ui", "uc"}, {{"axis", 2}})
                    .node("Det", {"x"}, {"de"})
                    .node("BitShift", {"u", "u"}, {"bs"}, {{"direction", "LEFT"}})
                    .output("y")
                    .output("un")
                    .output("tv")
                    .output("ra")
                    .output("dc")
                    .output("ci")
                    .output("cp")
                    .output("st")
                    .output("uc")
                    .build());
  ModelBuilder halved;
  halved.input("p", {}).initializer(floats("half", {}, {0.5f})).node("Mul", {"p", "half"}, {"q"}).output("q");
  all.push_back(ModelBuilder(27)
                    .imports("ai.onnx.preview", 1)
                    .imports("ai.onnx.preview.training", 1)
                    .input("q", {dim("B"), dim("T"), dim(8)})
                    .input("g", {dim("B"), dim("T"), dim(2)})
                    .input("four", {dim("B"), dim(2), dim("T"), dim(4)})
                    .initializer(zeros("kernel", {8, 1, 3}))
                    .initializer(int64s("axis", {}, {1}))
                    .initializer(zeros("rate", {}))
                    .node("LinearAttention", {"q", "q", "q", "", "g"}, {"y", "state"},
                          {{"q_num_heads", 2}, {"kv_num_heads", 2}, {"update_rule", "gated"}})
                    .node("Transpose", {"q"}, {"t"}, {{"perm", Ints{0, 2, 1}}})
                    .node("CausalConvWithState", {"t", "kernel"}, {"c", "past"}, {{"activation", "silu"}})
                    .node("TensorScatter", {"four", "four"}, {"ts"}, {{"mode", "circular"}})
                    .node("CumProd", {"q", "axis"}, {"cp"}, {{"reverse", 1}})
                    .node("BitCast", {"q"}, {"bc"}, {{"to", 6}})
                    .node("FlexAttention", {"four", "four", "four"}, {"fa"}, {{"score_mod", GraphAttr{halved.graph}}},
                          "", "ai.onnx.preview")
                    .node("Momentum", {"rate", "axis", "q", "q", "q"}, {"x", "v"},
                          {{"alpha", 0.9f}, {"beta", 0.1f}, {"norm_coefficient", 0.1f}, {"mode", "nesterov"}}, "",
                          "ai.onnx.preview.training")
                    .output("y")
                    .output("c")
                    .output("past")
                    .output("ts")
                    .output("fa")
                    .output("x")
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
  Message item = tensorType(OnnxType::Float, {dim("N"), dim(2)});
  all.push_back(ModelBuilder(18)
                    .inputOfType("s", holderType(field::TypeSequence, item))
                    .inputOfType("o", holderType(field::TypeOptional, item))
                    .node("OptionalHasElement", {"o"}, {"has"})
                    .node("OptionalGetElement", {"o"}, {"v"})
                    .node("SequenceInsert", {"s", "v"}, {"t"})
                    .node("SequenceConstruct", {"v", "v"}, {"u"})
                    .output("has")
                    .outputOfType("t", holderType(field::TypeSequence, item))
                    .outputOfType("u", holderType(field::TypeSequence, item))
                    .outputOfType("o", holderType(field::TypeOptional, item))
                    .build());
  return all;
}

} // namespace kiln::onnx::test
