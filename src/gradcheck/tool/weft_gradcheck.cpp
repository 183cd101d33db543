// The command weft-gradcheck over weft's own ops.
#include "weft/gradcheck.hpp"

#ifdef WEFT_PLANTED_BUGS
#include "mutants/planted_bugs.hpp"
#endif

int main(int argc, char** argv) {
#ifdef WEFT_PLANTED_BUGS
  return weft::gradcheck_main(argc, argv, weft::all_ops(), weft::planted_bugs());
#else
  return weft::gradcheck_main(argc, argv, weft::all_ops());
#endif
}
