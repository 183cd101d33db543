// What a measurement adds to a box: text, fill, marks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diagram/canvas.hpp"

namespace weft::diagram {

struct Mark {
  std::string text = {};   // a line of the box; empty: none
  std::string value = {};  // of the attribute weft_<overlay>
  std::string fill = {};   // empty: as without an overlay
  bool alarm = false;      // red border, diagonals
};

class Overlay {
 public:
  Overlay(const Snapshot& s, const Canvas& canvas, DiagramOverlay kind);

  Mark mark(const Box& box) const;
  std::string caption() const;  // what stands under the title; empty: nothing
  bool is_critical(std::uint32_t edge) const { return edge < critical_.size() && critical_[edge]; }
  bool is_bad(NodeId n) const;    // its value has NaN or infinite elements
  std::string_view name() const;  // "time"

 private:
  struct Sum {  // over what a box holds
    double forward = 0, backward = 0, kept = 0, bytes = 0, flops = 0;
    double least = 0, most = 0;  // of gradient norms
    std::uint64_t bad = 0, bad_gradients = 0, elements = 0, measured = 0, tested = 0;
    double worst_error = 0;
    NodeId failed = no_node;
    bool origin = false, peak = false;
  };
  void add(Sum& sum, NodeId n) const;
  Mark time_mark(const Sum& sum) const;
  Mark memory_mark(const Sum& sum) const;
  Mark flops_mark(const Sum& sum) const;
  Mark gradient_mark(const Sum& sum, const Box& box) const;
  Mark nonfinite_mark(const Sum& sum) const;
  Mark gradcheck_mark(const Sum& sum) const;
  double share(double value, double total) const { return total > 0 ? value / total : 0; }

  const Snapshot& s_;
  const Box* first_box_;
  DiagramOverlay kind_;
  std::vector<Sum> sums_;  // per box
  Sum total_;
  double most_ = 0;  // of one box: the warm end of the scale
  double median_norm_ = 0;
  std::vector<bool> critical_;  // per edge
  double peak_bytes_ = 0;
  NodeId peak_ = no_node;
};

// Live bytes peak there if the record were run as it stands: what rules keep stays until they have run, other
// values until their last consumer, gradients until their rule has run. `backward`: without a gradient call
// only the forward is looked at.
struct MemoryPeak {
  NodeId node = no_node;
  double bytes = 0;
};
MemoryPeak memory_peak(const Snapshot& s);

std::string quantity(double value, std::string_view unit);  // "208.0 MFLOP", "1.5 MB", three or four digits
std::string three_digits(double value);                     // "0.00123", "12.3"

}  // namespace weft::diagram
