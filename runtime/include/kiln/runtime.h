/* The C API of the Kiln runtime: load compiled models, look at them, run them. Needs no compiler; kiln/compiler.h adds
 * compiling.
 *
 * Conventions
 * - Functions that can fail return 0, or the number of an error (412 for KILN-E0412), and describe it in `status` where
 *   that is not null. No function throws or aborts for what a caller can get wrong.
 * - Structures that may grow begin with `size`: start them from their *_INIT macro, which sets it to the structure's
 *   size. Fields that a caller's older structure does not have keep their defaults; unknown ones of a newer caller must
 *   be zero.
 * - Strings are UTF-8, end in NUL, and belong to the object they were asked of.
 * - Models may be used from several threads at once, contexts and states from one at a time (a run, or a call that
 *   looks at a state, is refused while another run works on that state). */
#ifndef KILN_RUNTIME_H
#define KILN_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define KILN_API
#else
#define KILN_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Grows by one with every addition to this header. */
#define KILN_API_VERSION 8
/* Of the library in use. */
KILN_API uint32_t kiln_api_version(void);
KILN_API const char *kiln_version(void);

/* ---- Errors ---- */

typedef struct kiln_status {
  size_t size;
  int32_t code;  /* 0: ok; 412 for KILN-E0412 */
  char *message; /* null when ok; ends with the code: "... [KILN-E0412]"; freed by kiln_status_clear */
} kiln_status;
#define KILN_STATUS_INIT {sizeof(kiln_status), 0, NULL}
/* Frees the message and makes the status ok. A status that is passed to a function is cleared first. */
KILN_API void kiln_status_clear(kiln_status *status);

/* ---- Values ---- */

/* Element types. The numbers are those of the artifact format. Bool is one byte, 0 or 1. */
typedef enum kiln_dtype {
  KILN_F32 = 1,
  KILN_F64 = 2,
  KILN_F16 = 3,
  KILN_BF16 = 4,
  KILN_I8 = 5,
  KILN_I16 = 6,
  KILN_I32 = 7,
  KILN_I64 = 8,
  KILN_U8 = 9,
  KILN_U16 = 10,
  KILN_U32 = 11,
  KILN_U64 = 12,
  KILN_BOOL = 13
} kiln_dtype;
/* "f32", and its bytes; null and 0 for an unknown number. */
KILN_API const char *kiln_dtype_name(int32_t dtype);
KILN_API size_t kiln_dtype_bytes(int32_t dtype);

/* Where a tensor's elements lie. */
typedef enum kiln_memory_space {
  KILN_HOST = 0 /* the only one so far; any other is refused */
} kiln_memory_space;

/* Which of the last fields of a kiln_tensor count. Since API version 5. */
typedef enum kiln_tensor_flags { KILN_HAS_STRIDES = 1, KILN_HAS_CAPACITY = 2 } kiln_tensor_flags;

/* A tensor: dense and row-major, or with strides. */
typedef struct kiln_tensor {
  void *data;          /* aligned to its element size; not looked at when there are no elements */
  const int64_t *dims; /* `rank` of them */
  int32_t rank;
  int32_t dtype;
  int32_t space; /* a kiln_memory_space */
  int32_t flags; /* kiln_tensor_flags; 0: the fields below are not looked at */
  /* Inputs and outputs of a run: how far elements lie apart along each dim, in elements; any sign, and 0. What is not
   * dense is copied, so `data` may be aligned to anything. Elements of an output must not share memory. */
  const int64_t *strides;
  /* Outputs of a run, dense: bytes at `data`, of which the result takes what it needs. Its dims are written to `dims`,
   * an array of the caller's, `rank` long. A result of more bytes is an error that says how many (E0509). */
  size_t capacity;
} kiln_tensor;

typedef enum kiln_value_kind {
  KILN_NONE = 0, /* no value: an absent optional, or an output that the library is to allocate */
  KILN_TENSOR = 1,
  KILN_SEQUENCE = 2 /* a list of tensors; since API version 6 */
} kiln_value_kind;

/* A tagged value. Its layout is frozen. Who makes a value keeps its memory alive; a value from the library is freed
 * with kiln_value_release. */
typedef struct kiln_value {
  uint32_t kind;
  uint32_t reserved; /* 0 */
  union {
    kiln_tensor tensor;
    struct {
      struct kiln_value *items;
      size_t count;
    } sequence;
    uint64_t space[6];
  } u;
  void (*release)(struct kiln_value *value); /* null when the library owns nothing of it */
  void *owner;
} kiln_value;
#define KILN_VALUE_INIT {KILN_NONE, 0, {{NULL, NULL, 0, 0, KILN_HOST, 0, NULL, 0}}, NULL, NULL}
/* A tensor in host memory that the caller owns. */
#define KILN_TENSOR_INIT(data, dims, rank, dtype) \
  {KILN_TENSOR, 0, {{data, dims, rank, dtype, KILN_HOST, 0, NULL, 0}}, NULL, NULL}
/* Frees what the library owns and makes the value KILN_NONE. */
KILN_API void kiln_value_release(kiln_value *value);

/* Bytes with an owner. */
typedef struct kiln_bytes {
  const void *data;
  size_t size;
  void (*release)(void *owner); /* null: nothing to free */
  void *owner;
} kiln_bytes;
#define KILN_BYTES_INIT {NULL, 0, NULL, NULL}
KILN_API void kiln_bytes_release(kiln_bytes *bytes);

/* ---- Models ---- */

typedef struct kiln_model kiln_model; /* immutable, but for constants that are bound; counted references */

/* Maps an artifact; its weights are used in place, so the file must stay as it is while the model lives. So must files
 * that it was compiled to find weights in; one that is missing, or has another size, is an error (E0609). */
KILN_API int kiln_model_load_file(const char *path, kiln_model **model, kiln_status *status);
/* Copies the bytes. */
KILN_API int kiln_model_load_bytes(const void *data, size_t size, kiln_model **model, kiln_status *status);
/* Takes the bytes over (also on failure) and uses them in place; `bytes` becomes empty. */
KILN_API int kiln_model_take_bytes(kiln_bytes *bytes, kiln_model **model, kiln_status *status);
KILN_API void kiln_model_retain(kiln_model *model);
KILN_API void kiln_model_release(kiln_model *model);

/* The artifact's bytes, valid while the model lives: written to a file they can be loaded again. */
KILN_API int kiln_model_bytes(const kiln_model *model, const void **data, size_t *size, kiln_status *status);
/* Writes these bytes to a file, which is replaced whole or not at all. Weights in other files stay there: where the
 * artifact names them relative to its folder (kiln_constant_info::path), the copy finds them beside itself only. */
KILN_API int kiln_model_save(const kiln_model *model, const char *path, kiln_status *status);
/* Compares the weights with their checksums, which loading does not; those in other files too. */
KILN_API int kiln_model_verify(const kiln_model *model, kiln_status *status);
/* The host program as text. */
KILN_API const char *kiln_model_text(kiln_model *model);

typedef struct kiln_model_info {
  size_t size;
  const char *name, *producer, *target, *precision;
  uint32_t format_version;
  uint32_t input_count, output_count, symbol_count, step_count, kernel_count, constant_count;
  uint64_t artifact_bytes, code_bytes, weights_bytes;
  int64_t arena_bytes; /* intermediate results and kernel workspaces; -1 when it depends on the inputs */
  /* Since API version 4. What stands above of names, inputs, outputs, symbols and the arena is of the first entry. */
  uint32_t entry_count, state_count;
} kiln_model_info;
#define KILN_MODEL_INFO_INIT {sizeof(kiln_model_info), NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
KILN_API int kiln_model_get_info(const kiln_model *model, kiln_model_info *info, kiln_status *status);

typedef struct kiln_dim {
  int64_t value;    /* -1 when it depends on the inputs */
  const char *text; /* "224", "N", "N*3+1" */
} kiln_dim;

/* What an input or output is. Since API version 6; in older ones all are tensors. */
typedef enum kiln_port_kind {
  KILN_PORT_TENSOR = 0,
  KILN_PORT_SEQUENCE = 1, /* a KILN_SEQUENCE of tensors of one element type */
  KILN_PORT_OPTIONAL = 2, /* a tensor, or KILN_NONE where it is absent */
  KILN_PORT_OPTIONAL_SEQUENCE = 3
} kiln_port_kind;

/* Of a sequence, element type and dims are those of each item. */
typedef struct kiln_port_info {
  size_t size;
  const char *name;
  int32_t dtype;
  int32_t rank; /* -1: the items of a sequence differ in it */
  const kiln_dim *dims;
  /* Since API version 6. */
  int32_t kind;   /* a kiln_port_kind */
  int32_t length; /* of a sequence: how many items, which then may differ in their dims (value -1 and text "?"); -1
                     where only a run tells, and for others */
  /* Since API version 8. */
  int32_t growing; /* of a state that grows: the axis along which, whose dim has the value -1; of all others -1 */
  int32_t reserved;
} kiln_port_info;
#define KILN_PORT_INFO_INIT {sizeof(kiln_port_info), NULL, 0, 0, NULL, 0, -1, -1, 0}
KILN_API int kiln_model_get_input(const kiln_model *model, size_t index, kiln_port_info *info, kiln_status *status);
KILN_API int kiln_model_get_output(const kiln_model *model, size_t index, kiln_port_info *info, kiln_status *status);

/* A symbolic size: bound from a dim of an input or state, or computed from earlier symbols. */
typedef struct kiln_symbol_info {
  size_t size;
  const char *name;
  int64_t low, high;      /* inclusive range, checked when inputs are bound; INT64_MAX: unbounded */
  int32_t input, dim;     /* -1 when computed; numbers after those of the inputs are the entry's states. Of a sequence
                             or optional, a dim of its items, or -1: how many there are, which of an optional is 0 or 1 */
  const char *expression; /* null when bound */
} kiln_symbol_info;
#define KILN_SYMBOL_INFO_INIT {sizeof(kiln_symbol_info), NULL, 0, 0, 0, 0, NULL}
KILN_API int kiln_model_get_symbol(const kiln_model *model, size_t index, kiln_symbol_info *info, kiln_status *status);

/* ---- Entries (since API version 4)
 *
 * An artifact that was compiled from several models has an entry for each, and they share weights, kernels and states.
 * Functions that name no entry are about the first one. */

typedef struct kiln_entry_info {
  size_t size;
  const char *name;
  uint32_t input_count, output_count, symbol_count, state_count;
  int64_t arena_bytes; /* -1 when it depends on the inputs */
} kiln_entry_info;
#define KILN_ENTRY_INFO_INIT {sizeof(kiln_entry_info), NULL, 0, 0, 0, 0, 0}
KILN_API int kiln_model_get_entry(const kiln_model *model, size_t entry, kiln_entry_info *info, kiln_status *status);
/* The number of the entry of that name. */
KILN_API int kiln_model_find_entry(const kiln_model *model, const char *name, size_t *entry, kiln_status *status);
KILN_API int kiln_model_get_entry_input(const kiln_model *model, size_t entry, size_t index, kiln_port_info *info,
                                        kiln_status *status);
KILN_API int kiln_model_get_entry_output(const kiln_model *model, size_t entry, size_t index, kiln_port_info *info,
                                         kiln_status *status);
KILN_API int kiln_model_get_entry_symbol(const kiln_model *model, size_t entry, size_t index, kiln_symbol_info *info,
                                         kiln_status *status);

/* What an entry does with a state. */
typedef struct kiln_entry_state_info {
  size_t size;
  uint32_t state; /* the number of the model's state */
  int32_t reads;  /* not 0: its value before a run counts */
  int32_t writes; /* not 0: a run leaves a new value */
  int32_t rank;
  const kiln_dim *dims; /* in the entry's own sizes */
} kiln_entry_state_info;
#define KILN_ENTRY_STATE_INFO_INIT {sizeof(kiln_entry_state_info), 0, 0, 0, 0, NULL}
KILN_API int kiln_model_get_entry_state(const kiln_model *model, size_t entry, size_t index,
                                        kiln_entry_state_info *info, kiln_status *status);

typedef enum kiln_step_kind {
  KILN_STEP_LAUNCH = 0, /* generated code */
  KILN_STEP_CALL = 1,   /* a reference kernel */
  KILN_STEP_COPY = 2,
  KILN_STEP_FUNCTION = 3, /* a function of the program: a call, a branch, a loop; its steps are listed too */
  KILN_STEP_HOST = 4      /* a host kernel: an op that is done well without generated code */
} kiln_step_kind;

typedef struct kiln_step_info {
  size_t size;
  int32_t kind;
  int32_t kernel;        /* index; -1 when it launches none */
  const char *node;      /* name of the model node */
  const char *operation; /* kernel family, or the op that a host or reference kernel computes */
  const char *problem;   /* what a launch computes, as text; "" for others */
  const char *config;    /* how: the configuration that was chosen; "" for others */
  /* Since API version 7. */
  const char *source; /* who chose it, and why: "default", "cache" ...; "" for others */
  double price;       /* seconds that a call was estimated to take on one core, at nominal sizes; 0 for others */
} kiln_step_info;
#define KILN_STEP_INFO_INIT {sizeof(kiln_step_info), 0, 0, NULL, NULL, NULL, NULL, NULL, 0}
KILN_API int kiln_model_get_step(const kiln_model *model, size_t index, kiln_step_info *info, kiln_status *status);

/* ---- Running ---- */

typedef struct kiln_context kiln_context; /* arena and scratch for one run at a time; keeps its model alive */

typedef struct kiln_context_options {
  size_t size;
  int32_t threads; /* 0: the CPUs this process may use. Results do not depend on it. */
  int32_t unused;  /* not looked at: padding in API version 1 */
  /* Since API version 2. Not 0: each buffer of a run gets memory of its own between inaccessible pages, filled with NaN
   * before. A step that touches memory outside its buffers then faults or ends the run with an error that names its
   * node. Slow; for finding mistakes of the compiler. */
  int32_t guard_pages;
  /* Since API version 3. The most bytes that a run may hold: arena, scratch and values that it allocates; 0: no limit.
   * A run that needs more ends with an error. */
  int64_t memory_limit;
} kiln_context_options;
#define KILN_CONTEXT_OPTIONS_INIT {sizeof(kiln_context_options), 0, 0, 0, 0}

/* `options` may be null. */
KILN_API int kiln_context_create(kiln_model *model, const kiln_context_options *options, kiln_context **context,
                                 kiln_status *status);
KILN_API void kiln_context_release(kiln_context *context);
/* Ends the run under way in `context`, if any, before its next step. From any thread, and from signal handlers. */
KILN_API void kiln_context_cancel(kiln_context *context);
/* The step that a run in `context` is in; -1 outside of runs. May be called from a signal handler. */
KILN_API int64_t kiln_context_current_step(const kiln_context *context);

/* ---- States (since API version 4)
 *
 * A state is a tensor that outlives runs: an input and an output of the model that were declared to be one when it was
 * compiled. It is neither passed to a run nor returned: runs read it and change it in place. A kiln_state holds values
 * of all states of a model. Contexts share it when their runs are given the same one; it works for one of them at a
 * time: a run that finds it in use by another is refused (E0522) and changes nothing.
 *
 * A run that fails or is cancelled poisons the states that it may have written: runs that read them and kiln_state_get
 * are refused (E0521) until they are set or reset, or written as a whole by an entry that does not read them.
 *
 * A state may grow along one axis (kiln_port_info::growing): runs leave it longer than they found it. It begins with no
 * element along that axis. Its memory grows with it, which moves what is there: kiln_state_reserve tells beforehand how
 * much there will be. Only a run that ends well changes its length. */

typedef struct kiln_state kiln_state;

typedef struct kiln_size {
  const char *name;
  int64_t value;
} kiln_size;

/* Name, element type and dims. A dim whose value is not known has the text of its size, which kiln_state_create is
 * told. */
KILN_API int kiln_model_get_state(const kiln_model *model, size_t index, kiln_port_info *info, kiln_status *status);

/* All zero, and no element of those that grow. `sizes`: a value for each name in the dims of the model's states, but
 * for the dim along which one grows, and for no other; null where the dims are numbers. Keeps its model alive. */
KILN_API int kiln_state_create(kiln_model *model, const kiln_size *sizes, size_t size_count, kiln_state **state,
                               kiln_status *status);
KILN_API void kiln_state_release(kiln_state *state);
/* Another one with equal values; what is poisoned is so in the copy. */
KILN_API int kiln_state_copy(kiln_state *state, kiln_state **copy, kiln_status *status);
/* Copies the value of the state of that name out: into the tensor, whose type and dims must be the state's, or where
 * that is KILN_NONE into one that is allocated. */
KILN_API int kiln_state_get(kiln_state *state, const char *name, kiln_value *value, kiln_status *status);
/* Copies a tensor of the state's type and dims in. Along the axis that a state grows along it may have any number of
 * elements. */
KILN_API int kiln_state_set(kiln_state *state, const char *name, const kiln_value *value, kiln_status *status);
/* Since API version 8. Has a state that grows make room for so many elements along its axis; a null name: all that do.
 */
KILN_API int kiln_state_reserve(kiln_state *state, const char *name, int64_t capacity, kiln_status *status);
/* Since API version 8. Gives a state that grows another number of elements along its axis: takes back the last ones, or
 * adds zeros; a null name: all that do. */
KILN_API int kiln_state_resize(kiln_state *state, const char *name, int64_t length, kiln_status *status);
/* Makes one zero, and one that grows empty; a null name: all. */
KILN_API int kiln_state_reset(kiln_state *state, const char *name, kiln_status *status);
/* Whether a state is not poisoned. */
KILN_API int kiln_state_is_valid(kiln_state *state, const char *name, int *valid, kiln_status *status);

/* ---- Constants (since API version 5) ----
 *
 * A model that was compiled to have constants bound (kiln_compile_options::bind) holds none of their bytes: the host
 * gives them, before the first run and whenever they change. A run before all are bound is refused (E0524). */

typedef enum kiln_constant_source {
  KILN_CONSTANT_SECTION = 0, /* the artifact's own */
  KILN_CONSTANT_FILE = 1,    /* a range of another file */
  KILN_CONSTANT_BOUND = 2,   /* given by the host */
  KILN_CONSTANT_DERIVED = 3  /* made of another constant, in the form that kernels read */
} kiln_constant_source;

typedef struct kiln_constant_info {
  size_t size;
  const char *name; /* the one to bind it by; of others, for people */
  int32_t dtype;
  int32_t rank;
  const int64_t *dims;
  int32_t source;   /* a kiln_constant_source */
  int32_t is_bound; /* 0: its bytes, or those that it is made of, are still to be bound */
  const char *path; /* of the file, as the artifact names it; null for others */
  uint64_t offset;  /* in the file or section */
  int32_t from;     /* the number of the constant that it is made of; -1 for others */
} kiln_constant_info;
#define KILN_CONSTANT_INFO_INIT {sizeof(kiln_constant_info), NULL, 0, 0, NULL, 0, 0, NULL, 0, -1}
/* There are kiln_model_info::constant_count. */
KILN_API int kiln_model_get_constant(const kiln_model *model, size_t index, kiln_constant_info *info,
                                     kiln_status *status);

typedef struct kiln_named_value {
  const char *name;
  kiln_value value;
} kiln_named_value;
/* Binds constants, or binds them anew, each a tensor of the constant's type and dims (E0525) that is aligned to its
 * elements. An error changes nothing.
 *
 * All of them change at once. From any thread, also while contexts of the model run: a run works to its end with the
 * constants that were bound when it began, and one that begins after this call has returned sees all of the new ones.
 *
 * The memory is borrowed and read in place, so it must live, and stay as it is while runs are under way. What
 * kernels read in another form, or in the memory of a device that has its own, is made here, anew for those that are
 * named here and for no other: bind a constant again after its memory was written. A value whose `release` is not
 * null is taken over, and becomes KILN_NONE: it is released, on any thread, when another one is bound in its place
 * and the last run that began before is over, or with the model. Memory of other values may go when, after such a
 * call or a release of the model, no such run is under way. */
KILN_API int kiln_model_bind_constants(kiln_model *model, kiln_named_value *values, size_t count, kiln_status *status);

/* ---- Runs ---- */

typedef struct kiln_run_options {
  size_t size;
  void *stream; /* null: reserved for the queue of a device; anything else is refused */
  /* Since API version 4. */
  size_t entry;      /* its number */
  kiln_state *state; /* made for the context's model; null where the entry has no states */
} kiln_run_options;
#define KILN_RUN_OPTIONS_INIT {sizeof(kiln_run_options), NULL, 0, NULL}

/* Runs the model. Inputs and outputs stand in the signature's order. Dense inputs are read in
 * place. An output that is KILN_NONE is allocated, to be freed with kiln_value_release; one that is a tensor is written
 * in place, and its type and dims must be those of the result, unless it has a capacity. Bound outputs must not overlap
 * inputs or each other. `options` may be null.
 *
 * The items of a sequence are read in place where the model knows their number (kiln_port_info::length); else they are
 * copied beside each other, must have equal dims (E0204), and count towards the memory limit. An optional input is a
 * tensor or KILN_NONE. Outputs that are sequences or optionals must be KILN_NONE before: they are allocated, items and
 * all, and freed as one by kiln_value_release; an absent optional stays KILN_NONE. */
KILN_API int kiln_context_run(kiln_context *context, const kiln_value *inputs, size_t input_count, kiln_value *outputs,
                              size_t output_count, const kiln_run_options *options, kiln_status *status);

/* With profiling on, runs measure each step. */
KILN_API int kiln_context_set_profiling(kiln_context *context, int on, kiln_status *status);

/* One step of the last run. */
typedef struct kiln_step_profile {
  int64_t nanoseconds; /* 0 unless profiled */
  double flops;        /* floating-point operations */
  double bytes;        /* least memory traffic: operands read and results written once */
  int64_t grid;        /* workgroups of a launch, else 0 */
} kiln_step_profile;
/* Fills `count` entries, which must be the model's step count. */
KILN_API int kiln_context_get_profile(const kiln_context *context, kiln_step_profile *steps, size_t count,
                                      kiln_status *status);

/* About the sizes of the last run. */
typedef struct kiln_context_info {
  size_t size;
  int32_t threads;
  int64_t arena_bytes;           /* intermediate results and kernel workspaces */
  int64_t scratch_bytes;         /* of all threads */
  double flops, generated_flops; /* of the program, and the part in generated code */
  /* Since API version 4. Bytes that copies moved out of or into states; 0 where all of them changed in place. */
  int64_t state_bytes_copied;
} kiln_context_info;
#define KILN_CONTEXT_INFO_INIT {sizeof(kiln_context_info), 0, 0, 0, 0, 0, 0}
KILN_API int kiln_context_get_info(const kiln_context *context, kiln_context_info *info, kiln_status *status);

/* ---- Threads ---- */

/* CPUs this process may use: affinity mask and control group quota. */
KILN_API int32_t kiln_available_cpus(void);

/* Runs the indices [begin, end); `worker` is unique among those that run at the same time, and less than `threads`. */
typedef void (*kiln_parallel_body)(void *argument, int64_t begin, int64_t end, int32_t worker);

/* A host application's own thread pool. parallel_for runs `body` for all of [0, n), on at most `threads` threads at a
 * time, and returns when all are done; it may be called from several threads at once. */
typedef struct kiln_thread_pool {
  size_t size;
  void *context;
  void (*parallel_for)(void *context, int64_t n, int32_t threads, kiln_parallel_body body, void *argument);
} kiln_thread_pool;
#define KILN_THREAD_POOL_INIT {sizeof(kiln_thread_pool), NULL, NULL}
/* Uses `pool` (copied; its context must live on) for all later runs of the process; null: Kiln's own again. */
KILN_API int kiln_set_thread_pool(const kiln_thread_pool *pool, kiln_status *status);

#ifdef __cplusplus
}
#endif

#endif
