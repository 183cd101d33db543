// The hand signs of the examples: from the files of a folder, or drawn.
#pragma once

#include <filesystem>
#include <vector>
#include <weft/hdf5.hpp>

namespace examples {

// The files train_signs.h5 and test_signs.h5 of `folder`; where that is empty, 1080 and 120 drawn signs,
// which are written into `drawn` in the same layout first. Throws weft::FileError.
weft::SignsData load_signs(const std::filesystem::path& folder, const std::filesystem::path& drawn,
                           std::uint64_t seed);

// Images [n, h, w, 3] of u8 as f32 around 0: x / 255 - 1 / 2.
weft::Tensor centred(const weft::Tensor& images);

// The test photos that do not show up, but for compression, among the training photos: those whose nearest
// training photo is further than a root mean square of 5 grey levels away.
std::vector<std::int64_t> clean_rows(const weft::SignsData& data);

// "0.858", and " (108 clean: 0.852)" where some test photos are copies of training photos.
std::string accuracy_text(const weft::SignsData& data, const weft::Tensor& logits);

// The rows whose prediction is wrong, with both labels: a PNG for a person to look at.
void save_mistakes(const weft::SignsData& data, const weft::Tensor& predicted,
                   const std::filesystem::path& file);

}  // namespace examples
