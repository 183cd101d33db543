// weft-layout FORMAT IN.dot OUT SECONDS: draws IN.dot with Graphviz's dot as svg, png or pdf. A process of
// its own, because Graphviz cannot be interrupted, may abort, and leaks: the library watches the clock and
// kills it.
//
// Exit status: 0 drawn; 3 drawn, a PNG with lowered resolution; 1 not drawn, a line on stderr says why.
// Anything that Graphviz has to say counts as not drawn.
#include <graphviz/gvc.h>
#include <graphviz/types.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

std::string graphviz_message;

int collect_message(char* text) {
  graphviz_message += text;
  return 0;
}

// The process ends with its parent, and by itself when it takes too much.
void limit_this_process(rlim_t seconds) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit processor_time{seconds, seconds};
  const rlimit address_space{rlim_t{2} << 30, rlim_t{2} << 30};
  const rlimit no_core_file{0, 0};
  setrlimit(RLIMIT_CPU, &processor_time);
  setrlimit(RLIMIT_AS, &address_space);
  setrlimit(RLIMIT_CORE, &no_core_file);
}

// Sets the resolution of a PNG: crisp text, but at most 16,000 pixels a side and 64 million in all. Returns
// the exit status.
int set_resolution(graph_t* graph) {
  constexpr double crisp = 144, lowest = 48, points_per_inch = 72;
  const pointf size = GD_bb(graph).UR;
  const double by_side = 16000 / std::max({size.x, size.y, 1.0});
  const double by_area = std::sqrt(64e6 / std::max(size.x * size.y, 1.0));
  const double dpi = std::min(crisp, points_per_inch * std::min(by_side, by_area));
  if (dpi < lowest) {
    std::fprintf(stderr, "a PNG of %.0f x %.0f points is too large to be read: use SVG\n", size.x, size.y);
    return 1;
  }
  GD_drawing(graph)->dpi = dpi;
  return dpi < crisp ? 3 : 0;
}

int draw(const char* format, const char* in, const char* out) {
  FILE* file = std::fopen(in, "r");
  if (!file) {
    std::perror(in);
    return 1;
  }
  GVC_t* context = gvContext();
  graph_t* graph = agread(file, nullptr);
  std::fclose(file);
  if (!graph || gvLayout(context, graph, "dot") != 0) return 1;
  const int status = std::strcmp(format, "png") == 0 ? set_resolution(graph) : 0;
  if (status == 1 || gvRenderFilename(context, graph, format, out) != 0) return 1;
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: weft-layout FORMAT IN.dot OUT SECONDS\n");
    return 1;
  }
  limit_this_process(std::strtoul(argv[4], nullptr, 10));
  agseterrf(collect_message);
  int status = draw(argv[1], argv[2], argv[3]);
  if (!graphviz_message.empty()) {
    std::fprintf(stderr, "Graphviz: %s\n", graphviz_message.c_str());
    status = 1;
  }
  return status;
}
