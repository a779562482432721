// How a constant is packed for a kernel: a closed list of steps over a dense tensor, plain code
// that gives the same bytes on every machine. Text form `permute[2,3,1,0]; reshape[576,64];
// pad[0,0,0,8]; cast[f32]` (pad: before.. then after.., filled with zeros); the empty text is the
// identity. `sums[]` of quads of bytes [n, k, columns, 4]: u8 become i8, less 128, and after the k of every n come the
// sums of each column over k and quads, an i32 in the place of a quad. `winograd[m]` turns trailing dims [3,3] of f32
// filters into [m+2,m+2] (Winograd.h).
#pragma once

#include "runtime/base/Tensor.h"

#include <string>
#include <string_view>
#include <vector>

namespace kiln {

struct RecipeStep {
  enum class Kind { Permute, Reshape, Pad, Cast, Winograd, Sums };
  Kind kind;
  std::vector<int64_t> values; // of permute, reshape, pad, winograd
  DType dtype = DType::F32;    // of cast
  bool operator==(const RecipeStep &) const = default;
};

struct Recipe {
  std::vector<RecipeStep> steps;

  Recipe &permute(std::vector<int64_t> perm);
  Recipe &reshape(std::vector<int64_t> dims);
  /// `amounts`: one before-count per dim, then one after-count per dim.
  Recipe &pad(std::vector<int64_t> amounts);
  Recipe &cast(DType to);
  Recipe &sums();
  Recipe &winograd(int64_t outputs);

  std::string print() const;
  static Result<Recipe> parse(std::string_view text);
  bool operator==(const Recipe &) const = default;
};

/// The packed tensor. Steps that do not fit the tensor are errors (E0805).
Result<Tensor> applyRecipe(const TensorView &input, const Recipe &recipe);
/// The type applyRecipe would give, without touching data.
struct RecipeType {
  DType dtype;
  std::vector<int64_t> dims;
};
Result<RecipeType> recipeType(DType dtype, std::span<const int64_t> dims, const Recipe &recipe);

} // namespace kiln
