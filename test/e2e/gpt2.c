/* Compiles the two entries of a GPT-2, fills the cache with a prompt and decodes greedily. Prints the tokens.
 * gpt2 PREFILL.onnx DECODE.onnx TARGET STEPS TOKEN... */
#include <kiln/compiler.h>
#include <kiln/runtime.h>
#include <stdio.h>
#include <stdlib.h>

static kiln_status status = KILN_STATUS_INIT;

static void require(int failed) {
  if (!failed)
    return;
  fprintf(stderr, "%s\n", status.message);
  exit(1);
}

/* The likeliest token after the last of `count`, which begin at position `start`. */
static int64_t step(kiln_context *context, size_t entry, kiln_state *state, int64_t *ids, int64_t count, int64_t start) {
  int64_t ids_dims[2] = {1, count}, start_dims[1] = {1}, best = 0;
  kiln_value inputs[2] = {KILN_TENSOR_INIT(ids, ids_dims, 2, KILN_I64), KILN_TENSOR_INIT(&start, start_dims, 1, KILN_I64)};
  kiln_value logits = KILN_VALUE_INIT;
  kiln_run_options options = KILN_RUN_OPTIONS_INIT;
  options.entry = entry;
  options.state = state;
  require(kiln_context_run(context, inputs, 2, &logits, 1, &options, &status));
  int64_t size = logits.u.tensor.dims[2];
  const float *last = (const float *)logits.u.tensor.data + (count - 1) * size;
  for (int64_t i = 1; i < size; ++i)
    if (last[i] > last[best])
      best = i;
  kiln_value_release(&logits);
  return best;
}

int main(int argc, char **argv) {
  const char *states[] = {"past_k0=present_k0", "past_v0=present_v0", "past_k1=present_k1", "past_v1=present_v1"};
  kiln_compile_model models[2] = {KILN_COMPILE_MODEL_INIT, KILN_COMPILE_MODEL_INIT};
  models[0].entry = "prefill";
  models[0].path = argv[1];
  models[1].entry = "decode";
  models[1].path = argv[2];
  kiln_compile_options options = KILN_COMPILE_OPTIONS_INIT;
  options.target = argv[3];
  options.states = states;
  options.state_count = 4;
  kiln_bytes artifact = KILN_BYTES_INIT;
  kiln_model *model = NULL;
  kiln_context *context = NULL;
  kiln_state *state = NULL;
  size_t prefill, decode;
  require(kiln_compile_models(models, 2, &options, NULL, &artifact, &status) ||
          kiln_model_take_bytes(&artifact, &model, &status) || kiln_context_create(model, NULL, &context, &status) ||
          kiln_state_create(model, NULL, 0, &state, &status) ||
          kiln_model_find_entry(model, "prefill", &prefill, &status) ||
          kiln_model_find_entry(model, "decode", &decode, &status));

  int64_t ids[256], count = 0, steps = atoi(argv[4]);
  for (int i = 5; i < argc; ++i)
    ids[count++] = atoi(argv[i]);
  ids[count] = step(context, prefill, state, ids, count, 0);
  for (int64_t i = 0; i < steps; ++i, ++count) {
    printf("%ld\n", (long)ids[count]);
    ids[count + 1] = step(context, decode, state, ids + count, 1, count);
    kiln_context_info info = KILN_CONTEXT_INFO_INIT;
    require(kiln_context_get_info(context, &info, &status));
    if (info.state_bytes_copied != 0) {
      fprintf(stderr, "step %ld copied %ld bytes\n", (long)i, (long)info.state_bytes_copied);
      return 1;
    }
  }
  kiln_state_release(state);
  kiln_context_release(context);
  kiln_model_release(model);
  return 0;
}
