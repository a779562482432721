// RNN, GRU and LSTM.
#include "compiler/import/onnx/OpTable.h"

#include <algorithm>

namespace kiln::onnx {
namespace {

/// An activation function: its name here, and its parameters where the model gives none (those of the ONNX operator).
struct Activation {
  std::string_view name, mine;
  bool takesAlpha = false, takesBeta = false;
  std::optional<double> alpha = {}, beta = {};
};

constexpr Activation known[] = {
    {"affine", "affine", true, true, {}, {}},
    {"relu", "relu"},
    {"leakyrelu", "leaky_relu", true, false, 0.01f, {}},
    {"thresholdedrelu", "thresholded_relu", true, false, 1.0, {}},
    {"tanh", "tanh"},
    {"scaledtanh", "scaled_tanh", true, true, {}, {}},
    {"sigmoid", "sigmoid"},
    {"hardsigmoid", "hard_sigmoid", true, true, 0.2f, 0.5},
    {"elu", "elu", true, false, 1.0, {}},
    {"softsign", "softsign"},
    {"softplus", "softplus"},
};

struct Layer {
  const char *mnemonic;
  size_t states;                             // h, and c
  std::vector<std::string_view> activations; // of a direction
};

/// Functions, in any case of letters, and their parameters: a list's values are taken in order by the functions that
/// have that parameter. (In RNN, which has one function for each direction, there may be a value for each.)
Status setActivations(NodeImport &node, const Layer &layer, size_t directions, Attributes &attributes) {
  const size_t count = layer.activations.size() * directions;
  std::vector<std::string_view> names;
  if (const AttributeProto *given = node.attribute("activations")) {
    KILN_ASSIGN(names, given->asStrings());
    if (names.size() > count && layer.activations.size() == 1)
      names.resize(count); // the standard's own default has one for each of two directions
  } else {
    for (size_t i = 0; i < directions; ++i)
      names.insert(names.end(), layer.activations.begin(), layer.activations.end());
  }
  if (names.size() != count)
    return makeError(ErrorCode::E0404, "activations has ", names.size(), " entries; expected ", count);
  KILN_ASSIGN(std::vector<double> alphas, node.floatsAttribute("activation_alpha"));
  KILN_ASSIGN(std::vector<double> betas, node.floatsAttribute("activation_beta"));
  std::string text;
  std::vector<double> alpha(count), beta(count);
  size_t nextAlpha = 0, nextBeta = 0;
  auto take = [&](const std::vector<double> &list, size_t &next, size_t i, std::optional<double> fallback,
                  const char *what, double &value) -> Status {
    const size_t at = layer.activations.size() == 1 && list.size() == count ? i : next++;
    if (at < list.size())
      value = list[at];
    else if (fallback)
      value = *fallback;
    else
      return makeError(ErrorCode::E0401, "activation ", names[i], " needs a value in ", what);
    return Status();
  };
  for (size_t i = 0; i < count; ++i) {
    std::string name(names[i]);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    const auto *found = std::ranges::find(known, name, &Activation::name);
    if (found == std::end(known))
      return makeError(ErrorCode::E0411, "activation \"", names[i], "\" is unknown");
    text += (i ? "," : "") + std::string(found->mine);
    if (found->takesAlpha)
      KILN_TRY(take(alphas, nextAlpha, i, found->alpha, "activation_alpha", alpha[i]));
    if (found->takesBeta)
      KILN_TRY(take(betas, nextBeta, i, found->beta, "activation_beta", beta[i]));
  }
  attributes.set("activations", Attribute(text));
  auto isSet = [](double v) { return v != 0; };
  if (std::ranges::any_of(alpha, isSet))
    attributes.set("alpha", alpha);
  if (std::ranges::any_of(beta, isSet))
    attributes.set("beta", beta);
  return Status();
}

std::vector<Value> firstOperands(const NodeImport &node, size_t count) {
  std::vector<Value> operands;
  for (size_t i = 0; i < count; ++i)
    operands.push_back(node.operand(i));
  return operands;
}

/// Before opset 7 an attribute said whether Y is wanted, as leaving it out does. Opset 14 adds `layout`: the batch
/// comes first.
Status recurrent(NodeImport &node, const Layer &layer, Attributes attributes, std::vector<Value> operands) {
  KILN_ASSIGN(std::string direction, node.textAttribute("direction", "forward"));
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    return makeError(ErrorCode::E0411, "direction is \"", direction,
                     "\"; expected \"forward\", \"reverse\" or \"bidirectional\"");
  attributes.set("direction", direction.c_str());
  KILN_TRY(setActivations(node, layer, direction == "bidirectional" ? 2 : 1, attributes));
  if (node.hasAttribute("clip")) {
    KILN_ASSIGN(double clip, node.floatAttribute("clip", 0));
    if (!(clip > 0))
      return makeError(ErrorCode::E0411, "clip is ", clip, "; expected a positive number");
    attributes.set("clip", clip);
  }
  for (size_t i : {0, 2})
    if (node.rank(operands[i]) != 3)
      return makeError(ErrorCode::E0304, "input ", i, " has rank ", node.rank(operands[i]), "; expected 3");
  if (node.hasAttribute("hidden_size")) {
    KILN_ASSIGN(int64_t hidden, node.intAttribute("hidden_size", 0));
    KILN_TRY(node.requireEqual(node.dims(operands[2])[2], hidden).withContext("hidden_size: "));
  }
  KILN_ASSIGN(int64_t batchFirst, node.intAttribute("layout", 0));
  if (batchFirst != 0 && batchFirst != 1)
    return makeError(ErrorCode::E0411, "layout is ", batchFirst, "; expected 0 or 1");
  if (batchFirst)
    for (size_t i : {0, 5, 6})
      if (i < 5 + layer.states && operands[i]) {
        if (node.rank(operands[i]) != 3)
          return makeError(ErrorCode::E0304, "input ", i, " has rank ", node.rank(operands[i]), "; expected 3");
        KILN_ASSIGN(operands[i], node.transpose(operands[i], {1, 0, 2}));
      }
  // Halves are computed in f32 and rounded at the end: errors of a state would add up over the steps.
  const DType dtype = node.dtype(operands[0]);
  const bool isHalf = dtype == DType::F16 || dtype == DType::BF16;
  for (Value &operand : operands)
    if (isHalf && operand && node.dtype(operand) == dtype) {
      KILN_ASSIGN(operand, node.cast(operand, DType::F32));
    }
  KILN_ASSIGN(std::vector<Value> results, node.emitAll(layer.mnemonic, operands, attributes));
  for (size_t i = 0; i < results.size(); ++i)
    if (node.wants(i)) {
      KILN_ASSIGN(results[i], node.cast(results[i], dtype));
      if (batchFirst) {
        KILN_ASSIGN(results[i], node.transpose(results[i], i == 0 ? Ints{2, 0, 1, 3} : Ints{1, 0, 2}));
      }
      node.setResult(i, results[i]);
    }
  return Status();
}

Status recurrent(NodeImport &node, const Layer &layer, const Attributes &attributes) {
  const size_t most = layer.states == 2 ? 8 : 6;
  KILN_TRY(node.expectOperands(3, most));
  return recurrent(node, layer, attributes, firstOperands(node, most));
}

Status rnn(NodeImport &node) { return recurrent(node, {"rnn", 1, {"Tanh"}}, {}); }

Status gru(NodeImport &node) {
  KILN_ASSIGN(int64_t linear, node.intAttribute("linear_before_reset", 0));
  Attributes attributes;
  attributes.set("linear_before_reset", linear != 0);
  return recurrent(node, {"gru", 1, {"Sigmoid", "Tanh"}}, attributes);
}

constexpr size_t lstmOperands = 8;

Status lstm(NodeImport &node, std::vector<Value> operands) {
  KILN_ASSIGN(int64_t coupled, node.intAttribute("input_forget", 0));
  Attributes attributes;
  attributes.set("input_forget", coupled != 0);
  return recurrent(node, {"lstm", 2, {"Sigmoid", "Tanh", "Tanh"}}, attributes, std::move(operands));
}

Status lstm(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, lstmOperands));
  return lstm(node, firstOperands(node, lstmOperands));
}

/// Weights [directions, from, to] of bytes, whose scales and zero points are one for a direction or one for each `to`,
/// as numbers [directions, to, from].
Result<Value> unquantized(NodeImport &node, Value weights, Value scale, Value zero) {
  if (!scale || !zero || node.rank(weights) != 3 || node.rank(scale) > 2 || node.rank(zero) > 2)
    return makeError(ErrorCode::E0304, "quantized weights have rank 3, their scales and zero points 1 or 2");
  auto spread = [&](Value parameter) {
    Dims dims = node.dims(parameter);
    dims.resize(1 + dims.size(), SizeExpr(1));
    if (dims.size() == 3)
      std::swap(dims[1], dims[2]);
    dims.resize(3, SizeExpr(1));
    return node.reshape(parameter, dims);
  };
  KILN_ASSIGN(weights, node.cast(weights, DType::F32));
  KILN_ASSIGN(zero, spread(zero));
  KILN_ASSIGN(zero, node.cast(zero, DType::F32));
  KILN_ASSIGN(weights, node.emit("sub", {weights, zero}));
  KILN_ASSIGN(scale, spread(scale));
  KILN_ASSIGN(weights, node.emit("mul", {weights, scale}));
  return node.transpose(weights, {0, 2, 1});
}

/// ONNX Runtime's: an LSTM of weights in bytes. It rounds x and h to bytes in each step, to multiply fast; here they
/// stay numbers.
Status dynamicQuantizeLstm(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, lstmOperands + 4));
  std::vector<Value> operands = firstOperands(node, lstmOperands);
  for (size_t i : {0, 1}) {
    KILN_ASSIGN(operands[1 + i], unquantized(node, operands[1 + i], node.operand(lstmOperands + 2 * i),
                                             node.operand(lstmOperands + 2 * i + 1)));
  }
  return lstm(node, std::move(operands));
}

constexpr OpEntry table[] = {
    {"RNN", 1, rnn},
    {"GRU", 1, gru},
    {"LSTM", 1, lstm},
    {"DynamicQuantizeLSTM", 1, dynamicQuantizeLstm, "com.microsoft"},
};

} // namespace

std::span<const OpEntry> recurrentOps() { return table; }

} // namespace kiln::onnx
