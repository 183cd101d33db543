#include "gradcheck/diagnosis.hpp"

#include "gradcheck/jacobian_error.hpp"

namespace weft {

Diagnosis diagnose(const WrongJacobian& wrong) {
  const diagnosis::JacobianError error(wrong);
  if (error.wrong_entries == 0) return {};
  // What explains every entry comes before what explains where they stand.
  constexpr std::string (*finders[])(const diagnosis::JacobianError&) = {
      diagnosis::find_not_finite,
      diagnosis::find_zero,
      diagnosis::find_single_precision,
      diagnosis::find_factor,
      diagnosis::find_scalar_gy,
      diagnosis::find_ignored_gy,
      diagnosis::find_exchanged_gradients,
      diagnosis::find_window,
      diagnosis::find_wrong_reduction,
      diagnosis::find_overwritten,
      diagnosis::find_moved_axes,
      diagnosis::find_window_support,
      diagnosis::find_ties,
      diagnosis::find_lost_coupling,
      diagnosis::find_missing_term,
      diagnosis::find_row_factors,
      diagnosis::find_whole_ratios,
      diagnosis::find_moved_index,
      diagnosis::find_wrong_mask,
      diagnosis::find_wrong_slice,
      diagnosis::find_wrong_values,
  };
  Diagnosis result{.pattern = diagnosis::draw_support(error), .likely = {}};
  for (const auto find : finders) {
    result.likely = find(error);
    if (!result.likely.empty()) break;
  }
  return result;
}

}  // namespace weft
