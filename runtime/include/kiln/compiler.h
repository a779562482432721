/* The C API of the compiler: from a model to the bytes of an artifact, which kiln/runtime.h loads.
 *
 * A program links against libkiln alone. The first call here loads libkiln-compiler.so, which lies beside libkiln, and
 * with it LLVM; a program that only runs artifacts never does. See runtime.h for conventions. */
#ifndef KILN_COMPILER_H
#define KILN_COMPILER_H

#include "kiln/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kiln_severity { KILN_NOTE = 0, KILN_WARNING = 1 } kiln_severity;

/* Null strings and zero numbers mean the default, which is named first. */
typedef struct kiln_compile_options {
  size_t size;
  const char *target;        /* "host"; "x86-64-v3", "x86-64-v4+bf16+vnni", "interpreter" */
  const char *precision;     /* "default"; there is no other level so far */
  const char *const *shapes; /* sizes of inputs, one text per input: "x=1x3x224x224", "x=Nx3x224x224" (any, N is one
                              size everywhere), "x=1..64x3x224x224"; dims may also be separated by commas, and
                              one may follow the last: "x=max," is one size */
  size_t shape_count;
  const char *cache;        /* none; path of a tuning cache, read only */
  int32_t threads;          /* the CPUs this process may use; does not change the artifact's bytes */
  int32_t require_compiled; /* not 0: an operator without generated code is an error */
  const char *stop_after;   /* none; name of a stage: the result is then the IR's text instead of an artifact */
  const char *dump_dir;     /* none; directory for the IR after each stage and each kernel's texts */
  int32_t has_opt_limit;    /* not 0: at most opt_limit rewrites are made */
  int64_t opt_limit;
  /* Called for notes and warnings, on the calling thread; may be null. */
  void (*diagnostic)(void *context, kiln_severity severity, const char *message);
  void *diagnostic_context;
  /* Called with the stage under way and how much of it is done (total 0: unknown), often, from any thread but never
   * two at once; not 0 stops the compilation as soon as the kernels under way are done. May be null. */
  int (*progress)(void *context, const char *stage, uint64_t done, uint64_t total);
  void *progress_context;
  /* Since API version 2. */
  uint64_t choice_seed;       /* not 0: any legal configuration for each kernel, by this seed; for tests */
  const char *const *without; /* parts of the compiler to leave out: the switches of kiln compile --without */
  size_t without_count;
  const char *const *extra_outputs; /* names of values inside the model that become outputs as well, after its own */
  size_t extra_output_count;
  /* Since API version 4. "past=present": the input `past` and the output `present` are one state, named `past`, in
   * every model that has one of them or both. */
  const char *const *states;
  size_t state_count;
  /* Since API version 5. */
  const char *const *bind; /* initializers that kiln_model_bind_constants gives: "W"; "decode:W" of one of several
                              models; "all": those of floating-point elements, more than one of them. What sizes or
                              attributes are read from cannot be bound ("all" leaves it out). */
  size_t bind_count;
  const char *weights; /* "embedded"; "external": weights stay in the model's files, which the artifact names, relative
                          to its folder where they lie there or below. What was computed from them is embedded. */
} kiln_compile_options;
#define KILN_COMPILE_OPTIONS_INIT                                                                                    \
  {sizeof(kiln_compile_options), NULL, NULL, NULL, 0, NULL, 0, 0, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, 0, NULL, \
   0, NULL, 0, NULL, 0, NULL, 0, NULL}

/* Compiles a model file (ONNX or Kiln IR, told by its contents). The artifact goes to the file `output_path`, complete
 * or not at all, where that is not null, else to `artifact` (exactly one of the two). `options` may be null. */
KILN_API int kiln_compile_file(const char *model_path, const kiln_compile_options *options, const char *output_path,
                               kiln_bytes *artifact, kiln_status *status);
/* The same for a model in memory; external data is looked up in `base_dir`, or refused when that is null. */
KILN_API int kiln_compile_bytes(const void *model, size_t model_size, const char *base_dir,
                                const kiln_compile_options *options, const char *output_path, kiln_bytes *artifact,
                                kiln_status *status);

/* Since API version 4. A model that becomes an entry: a file, or bytes. */
typedef struct kiln_compile_model {
  const char *entry; /* the entry's name: a letter, then letters, digits, '_' and '-'. A single model may have none. */
  const char *path;  /* null: bytes */
  const void *data;
  size_t data_size;
  const char *base_dir; /* where external data of bytes lies; null: there is none */
  void *reserved[3];    /* null */
} kiln_compile_model;
#define KILN_COMPILE_MODEL_INIT                     \
  {                                                 \
    NULL, NULL, NULL, 0, NULL, { NULL, NULL, NULL } \
  }
/* Compiles several models into one artifact with an entry for each, in this order. Weights of equal bytes are stored
 * once. Of a size or value of one entry alone options speak as "decode:x=1x1". */
KILN_API int kiln_compile_models(const kiln_compile_model *models, size_t count, const kiln_compile_options *options,
                                 const char *output_path, kiln_bytes *artifact, kiln_status *status);
/* Whether a code of kiln_status says that something is not supported, as opposed to wrong. */
#define KILN_IS_UNSUPPORTED(code) ((code) >= 200 && (code) < 300)
/* Whether the compiler library can be loaded. */
KILN_API int kiln_compiler_available(kiln_status *status);

/* What libkiln-compiler.so exports; not for callers. */
typedef struct kiln_compile_request {
  size_t size;
  const kiln_compile_model *models;
  size_t model_count;
  const char *output_path;
  const kiln_compile_options *options; /* never null; complete for this header's version */
} kiln_compile_request;
typedef int (*kiln_compiler_compile_v2_fn)(const kiln_compile_request *request, kiln_bytes *artifact,
                                           kiln_status *status);

#ifdef __cplusplus
}
#endif

#endif
