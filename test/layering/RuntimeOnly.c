/* A program that links against libkiln alone: loads the artifact it is given, runs it, and looks at
 * what the process has mapped. */
#include "kiln/runtime.h"

#include <stdio.h>
#include <string.h>

static int forbidden(void) {
  static const char *const names[] = {"LLVM", "MLIR", "kiln-compiler", "stdc++"};
  char line[4096];
  int found = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  if (!maps)
    return 1;
  while (fgets(line, sizeof line, maps))
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
      if (strstr(line, names[i]))
        found = 1, fprintf(stderr, "mapped: %s", line);
  fclose(maps);
  return found;
}

int main(int argc, char **argv) {
  kiln_status status = KILN_STATUS_INIT;
  kiln_model *model = NULL;
  kiln_context *context = NULL;
  float x[6] = {1, 2, 3, 4, 5, 6}, y[6] = {1, 1, 1, 1, 1, 1};
  int64_t dims[2] = {2, 3};
  kiln_value inputs[2] = {KILN_TENSOR_INIT(x, dims, 2, KILN_F32), KILN_TENSOR_INIT(y, dims, 2, KILN_F32)};
  kiln_value outputs[2] = {KILN_VALUE_INIT, KILN_VALUE_INIT};
  if (argc != 2)
    return 2;
  if (kiln_model_load_file(argv[1], &model, &status) ||
      kiln_context_create(model, NULL, &context, &status) ||
      kiln_context_run(context, inputs, 2, outputs, 2, NULL, &status)) {
    fprintf(stderr, "%s\n", status.message);
    return 1;
  }
  float last = ((float *)outputs[0].u.tensor.data)[5];
  int failed = last != 21.f || forbidden();
  kiln_value_release(&outputs[0]);
  kiln_value_release(&outputs[1]);
  kiln_context_release(context);
  kiln_model_release(model);
  printf("%s: last value %g\n", failed ? "FAILED" : "ok", last);
  return failed;
}
