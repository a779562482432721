// Recurrent layers: one op is all steps of a layer, in one or both directions.
include "dialects/kiln/KilnBase.td"

class Kiln_Recurrent<string mnemonic> : Kiln_Op<mnemonic, Role_Contraction, 0, [AttrSizedOperandSegments]> {
  let description = [{
    x is [steps, batch, inputs], w [directions, gates * hidden, inputs], r [directions, gates * hidden, hidden], bias [directions, 2 * gates * hidden] (of x's
    product, then of the state's), `lengths` (i32 or i64, 0 to steps) the number of steps of each element of the batch, the initial state
    [directions, batch, hidden]; what is absent is 0, or all steps. y [steps, directions, batch, hidden] holds the state after each step and 0 beyond
    `lengths`; y_h (and y_c) [directions, batch, hidden] the state after the last one, 0 where there is none.
    `direction` is forward, reverse (from each element's last step to its first; y is in the order of x) or bidirectional. `activations` names the functions
    f, g ... with commas between, those of both directions or of one after the other: affine (alpha * x + beta), relu, leaky_relu (alpha), thresholded_relu (alpha), tanh,
    scaled_tanh (alpha * tanh(beta * x)), sigmoid, hard_sigmoid (alpha, beta), elu (alpha), softsign, softplus. `alpha` and `beta` hold a number for each of
    them, or are empty. What goes into f and g is clipped to -clip..clip, unless `clip` is 0.
  }];
}

def Kiln_RnnOp : Kiln_Recurrent<"rnn"> {
  let summary = "h = f(x W + h R + biases) at each step";
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$w, AnyRankedTensor:$r, Optional<AnyRankedTensor>:$bias,
                       Optional<AnyRankedTensor>:$lengths, Optional<AnyRankedTensor>:$initial_h,
                       DefaultStr<"tanh">:$activations, Default<DenseF64ArrayAttr, "{}">:$alpha,
                       Default<DenseF64ArrayAttr, "{}">:$beta, Default<F64Attr, "0.0">:$clip, DefaultStr<"forward">:$direction);
  let results = (outs AnyRankedTensor:$y, AnyRankedTensor:$y_h);
}

def Kiln_GruOp : Kiln_Recurrent<"gru"> {
  let summary = "gated recurrent unit with gates z, r, h: h = (1 - z) * g(x W + (r * h) R + biases) + z * h, where z and r are f(x W + h R + biases); "
                "with `linear_before_reset` r * (h R + its bias) in it";
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$w, AnyRankedTensor:$r, Optional<AnyRankedTensor>:$bias,
                       Optional<AnyRankedTensor>:$lengths, Optional<AnyRankedTensor>:$initial_h,
                       DefaultStr<"sigmoid,tanh">:$activations, Default<DenseF64ArrayAttr, "{}">:$alpha,
                       Default<DenseF64ArrayAttr, "{}">:$beta, Default<F64Attr, "0.0">:$clip, DefaultStr<"forward">:$direction,
                       Default<I64Attr, "0">:$linear_before_reset);
  let results = (outs AnyRankedTensor:$y, AnyRankedTensor:$y_h);
}

def Kiln_LstmOp : Kiln_Recurrent<"lstm"> {
  let summary = "long short-term memory with gates i, o, f, c: c = f * c + i * g(x W + h R + biases), h = o * h(c), where i, o and f are "
                "f(x W + h R + biases + peephole * c); f is 1 - i with `input_forget`";
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$w, AnyRankedTensor:$r, Optional<AnyRankedTensor>:$bias,
                       Optional<AnyRankedTensor>:$lengths, Optional<AnyRankedTensor>:$initial_h, Optional<AnyRankedTensor>:$initial_c,
                       Optional<AnyRankedTensor>:$peephole, DefaultStr<"sigmoid,tanh,tanh">:$activations,
                       Default<DenseF64ArrayAttr, "{}">:$alpha, Default<DenseF64ArrayAttr, "{}">:$beta,
                       Default<F64Attr, "0.0">:$clip, DefaultStr<"forward">:$direction, Default<I64Attr, "0">:$input_forget);
  let results = (outs AnyRankedTensor:$y, AnyRankedTensor:$y_h, AnyRankedTensor:$y_c);
}

def Kiln_LinearAttentionOp : Kiln_Op<"linear_attention", Role_Contraction, 0, [AttrSizedOperandSegments]> {
  let summary = "attention through a state S of each head: S = exp(decay) * S + k (x) v, y = scale * S q at each step";
  let description = [{
    q is [batch, heads, steps, K], k [batch, kv_heads, steps, K], v [batch, kv_heads, steps, V], S [batch, kv_heads, K, V]; each head of k and v serves
    heads / kv_heads heads of q. decay [batch, kv_heads, steps, K or 1] is what exp is taken of, 0 where it is absent. With beta
    [batch, kv_heads or 1, steps, 1] the step adds beta * (v - S k) in place of v, of the decayed S. Results are y [batch, heads, steps, V] and S after the
    last step, in the type of `state` or else of q.
  }];
  let arguments = (ins AnyRankedTensor:$q, AnyRankedTensor:$k, AnyRankedTensor:$v, Optional<AnyRankedTensor>:$state,
                       Optional<AnyRankedTensor>:$decay, Optional<AnyRankedTensor>:$beta, Default<F64Attr, "1.0">:$scale);
  let results = (outs AnyRankedTensor:$y, AnyRankedTensor:$present);
}
