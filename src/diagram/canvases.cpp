#include "diagram/canvases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "core/hash128.hpp"
#include "diagram/text_parts.hpp"

namespace weft::diagram {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t max_canvases = 400;
constexpr unsigned max_processes = 8;

// What one canvas shows.
struct Job {
  std::vector<NodeId> members;  // ascending; empty: all
  FoldOptions fold;
  Picture picture;
};

std::string svg_of(const fs::path& picture) {
  std::ifstream in(picture, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  const std::size_t begin = text.find("<svg");
  return begin == std::string::npos ? std::string() : text.substr(begin);
}

std::vector<NodeId> members_of(const Canvas& canvas, std::uint32_t group) {
  std::vector<NodeId> members;
  std::vector<std::uint32_t> stack{group};
  while (!stack.empty()) {
    const std::uint32_t g = stack.back();
    stack.pop_back();
    for (const Group::Item& item : canvas.groups[g].items) {
      if (item.is_group)
        stack.push_back(item.id);
      else
        members.push_back(item.id);
    }
  }
  std::ranges::sort(members);
  return members;
}

nlohmann::json ranges_of(const std::vector<NodeId>& members) {
  nlohmann::json ranges = nlohmann::json::array();
  for (std::size_t i = 0; i < members.size();) {
    std::size_t end = i + 1;
    while (end < members.size() && members[end] == members[end - 1] + 1) ++end;
    ranges.push_back({members[i], members[end - 1]});
    i = end;
  }
  return ranges;
}

class CanvasMaker {
 public:
  CanvasMaker(const Scene& scene, const fs::path& folder, DiagramReport& report)
      : scene_(scene),
        folder_(folder),
        report_(report),
        deadline_(Clock::now() + 6 * layout_budget(scene.options)) {}

  std::vector<DrawnCanvas> make() {
    jobs_.push_back({{}, scene_.options.fold, {}});
    canvases_.emplace_back();
    for (std::size_t done = 0; done < jobs_.size();) {
      const std::size_t end = jobs_.size();
      draw(done, end);
      for (; done < end; ++done) collect(done);
    }
    return std::move(canvases_);
  }

 private:
  void draw(std::size_t first, std::size_t end) {
    const std::size_t most =
        std::min<std::size_t>(max_processes, std::max(1u, std::thread::hardware_concurrency()));
    for (; first < end; first += most) {
      std::vector<std::jthread> threads;
      for (std::size_t j = first; j < std::min(first + most, end); ++j) {
        threads.emplace_back([this, j] {
          try {
            draw(j);
          } catch (const std::exception&) {  // a full disk: this canvas stays without a picture
            jobs_[j].picture.result.end = LayoutEnd::failed;
          }
        });
      }
    }
  }

  void draw(std::size_t j) {
    Job& job = jobs_[j];
    const auto left = std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now());
    if (left <= milliseconds(0)) {
      job.picture.result.end = LayoutEnd::timed_out;
      return;
    }
    Scene part = scene_;
    part.options.fold = job.fold;
    if (j > 0) show_only(part, job.members);
    const fs::path own = folder_ / fmt::format("canvas{}", j);
    fs::create_directory(own);
    job.picture = draw_picture(part, own, "svg", std::min(layout_budget(scene_.options), left), true);
    if (job.picture.is_drawn()) canvases_[j].svg = svg_of(own / "picture");
  }

  // And, outside of every scope, what they take from elsewhere.
  void show_only(Scene& part, const std::vector<NodeId>& members) const {
    std::vector<bool> shown(scene_.s.node_count()), outside(scene_.s.node_count());
    for (const NodeId n : members) shown[n] = scene_.view.shown[n];
    for (const NodeId n : members) {
      for (const NodeId input : scene_.s.inputs(n)) outside[input] = outside[input] || !shown[input];
    }
    for (NodeId n = 0; n < scene_.s.node_count(); ++n) {
      outside[n] = outside[n] && scene_.view.shown[n];
      shown[n] = shown[n] || outside[n];
    }
    part.view.shown = std::move(shown);
    part.view.outside = std::move(outside);
  }

  void collect(std::size_t j) {
    const Picture& picture = jobs_[j].picture;
    const Canvas canvas = picture.canvas;  // a copy: jobs are added
    report_.layout_time += std::chrono::duration<double>(picture.layout_time).count();
    for (const Degradation degradation : picture.degraded) note(degradation);
    if (picture.text_cut) note(Degradation::text_cut);
    if (!picture.is_drawn()) {
      note(picture.result.end == LayoutEnd::no_helper   ? Degradation::no_layout
           : picture.result.end == LayoutEnd::timed_out ? Degradation::timed_out
                                                        : Degradation::failed);
    }
    if (j == 0) {
      report_.visible = canvas.visible;
      report_.hidden = canvas.hidden;
    }
    canvases_[j].boxes = nlohmann::json::array();
    for (const Box& box : canvas.boxes) {
      if (box.kind != BoxKind::group) continue;
      const std::vector<NodeId> members = members_of(canvas, box.id);
      const bool is_all = members.size() == jobs_[j].members.size();  // nothing would be gained
      const auto [to, shift] =
          is_all ? std::pair<std::int64_t, std::int64_t>(-1, 0) : canvas_for(canvas, box.id, members);
      canvases_[j].boxes.push_back({{"id", fmt::format("s{}", box.id)},
                                    {"name", canvas.groups[box.id].path},
                                    {"about", totals_text(canvas.groups[box.id].totals)},
                                    {"ranges", ranges_of(members)},
                                    {"to", to},
                                    {"shift", shift}});
    }
  }

  void note(Degradation degradation) {
    if (std::ranges::find(report_.degraded, degradation) == report_.degraded.end())
      report_.degraded.push_back(degradation);
  }

  // What a run of ids holds, with operands counted from its start.
  std::optional<Hash128> content_of(const std::vector<NodeId>& members) const {
    const Snapshot& s = scene_.s;
    const NodeId first = members.front();
    if (members.back() - first + 1 != members.size()) return {};
    std::map<NodeId, std::size_t> elsewhere;  // numbered as they are met
    Hash128 hash;
    hash.add(members.size());
    for (const NodeId n : members) {
      hash.add(static_cast<std::uint64_t>(s.kind(n))).add(s.op_of[n]).add(s.attributes[n]).add(s.type_of[n]);
      hash.add(s.scope_of(n) - s.scope_of(first)).add(s.inputs(n).size());
      for (const NodeId input : s.inputs(n)) {
        if (input >= first) {
          hash.add(1).add(input - first);
          continue;
        }
        const auto [entry, is_new] = elsewhere.try_emplace(input, elsewhere.size());
        hash.add(2).add(entry->second).add(s.type_of[input]).add(s.kind(input) == NodeKind::parameter);
      }
    }
    return hash;
  }

  std::pair<std::int64_t, std::int64_t> canvas_for(const Canvas& canvas, std::uint32_t g,
                                                   const std::vector<NodeId>& members) {
    const Group& group = canvas.groups[g];
    if (const std::optional<Hash128> content = content_of(members)) {
      const auto key = std::pair(content->high, content->low);
      const auto [entry, is_new] = known_.try_emplace(key, std::pair(jobs_.size(), members.front()));
      if (!is_new)
        return {static_cast<std::int64_t>(entry->second.first),
                static_cast<std::int64_t>(members.front()) - static_cast<std::int64_t>(entry->second.second)};
    }
    if (jobs_.size() >= max_canvases) return {-1, 0};
    FoldOptions fold = scene_.options.fold;
    fold.closed.clear();
    fold.repeats = group.repeats < 2;
    fold.depth = static_cast<int>(group.depth) + (group.repeats < 2 ? 1 : 0);
    if (group.repeats > 1 && !group.items.empty()) fold.depth = static_cast<int>(group.depth) - 1;
    jobs_.push_back({members, fold, {}});
    canvases_.emplace_back();
    return {static_cast<std::int64_t>(jobs_.size() - 1), 0};
  }

  const Scene& scene_;
  const fs::path& folder_;
  DiagramReport& report_;
  const Clock::time_point deadline_;
  std::vector<Job> jobs_;
  std::vector<DrawnCanvas> canvases_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::pair<std::size_t, NodeId>> known_;
};

}  // namespace

std::vector<DrawnCanvas> draw_canvases(const Scene& scene, const fs::path& folder, DiagramReport& report) {
  return CanvasMaker(scene, folder, report).make();
}

}  // namespace weft::diagram
