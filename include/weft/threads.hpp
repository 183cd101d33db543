// How many threads compute. Each thread of the program that computes has a count of its own, which starts as
// the environment variable WEFT_NUM_THREADS, without it as OpenMP's OMP_NUM_THREADS, without that as the
// number of processors. Where WEFT_NUM_THREADS is no number from 1 to 1024, the first work that could be
// spread throws an Error that says so, unless set_threads() came before.
#pragma once

namespace weft {

// From now on the calling thread spreads its work over up to `n` threads: in weft's own loops, in oneDNN and
// in OpenBLAS. Work too small to gain stays on the calling thread. The same n gives the same bits from run to
// run; another n may round sums differently. Throws Error where n is not from 1 to 1024.
void set_threads(int n);
int threads();  // of the calling thread

}  // namespace weft
