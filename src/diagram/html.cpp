#include "diagram/html.hpp"

#include <fmt/format.h>

#include <array>
#include <ostream>

#include "diagram/canvases.hpp"
#include "diagram/escape.hpp"
#include "diagram/json.hpp"
#include "diagram/text_parts.hpp"
#include "viewer_files.hpp"

namespace weft::diagram {

namespace {

// RFC 4648.
std::string base64_of_hex(std::string_view hex) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k)
      out.push_back(i + k < bytes.size() + 1 ? alphabet[group >> (18 - 6 * k) & 63] : '=');
  }
  return out;
}

std::string html_text(std::string_view text) {
  bool cut = false;
  std::string out;
  for (const char c : shortened(text, max_label_columns, cut)) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

constexpr std::string_view help =
    "<dl><dt>wheel, drag, pinch</dt><dd>zoom, move</dd><dt>click, Enter</dt><dd>inspect, open a folded "
    "box</dd>"
    "<dt>arrows</dt><dd>to an input, a consumer, the box before, the box after</dd>"
    "<dt>Backspace</dt><dd>up</dd><dt>/</dt><dd>search: name, scope, op, type; nan, unused, flops&gt;1e9</dd>"
    "<dt>t</dt><dd>table of all nodes</dd><dt>f</dt><dd>fit</dd><dt>+ -</dt><dd>zoom</dd>"
    "<dt>?</dt><dd>this list</dd><dt>Esc</dt><dd>close</dd></dl>";

std::string overlay_options() {
  std::string options;
  for (const std::string_view name :
       {"shape", "time", "memory", "flops", "gradient", "nonfinite", "gradcheck"})
    options += fmt::format("<option>{}</option>", name);
  return options;
}

std::string totals_line(const Scene& scene, const DiagramReport& report) {
  std::string text = counted(scene.s.node_count(), "node") + ", " + counted(scene.s.edge_count(), "edge");
  for (const Degradation degradation : report.degraded) text += "; " + to_string(degradation);
  return text;
}

}  // namespace

void write_html(const Scene& scene, const std::filesystem::path& folder, std::ostream& out,
                DiagramReport& report) {
  const std::vector<DrawnCanvas> canvases = draw_canvases(scene, folder, report);
  nlohmann::json boxes = nlohmann::json::array();
  for (const DrawnCanvas& canvas : canvases) boxes.push_back(canvas.boxes);
  constexpr std::array<const char*, 7> overlays = {"shape",    "time",      "memory",   "flops",
                                                   "gradient", "nonfinite", "gradcheck"};
  const nlohmann::json data = {{"graph", json_of(scene.s)},
                               {"canvases", boxes},
                               {"overlay", overlays[static_cast<std::size_t>(scene.options.overlay)]}};
  const std::string title = html_text(scene.options.title);
  out << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      << "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-"
      << base64_of_hex(viewer_script_sha256) << "'; style-src 'sha256-" << base64_of_hex(viewer_style_sha256)
      << "'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" << title
      << "</title>\n<style>" << viewer_style << "</style>\n</head>\n<body>\n"
      << "<header><h1>" << title << "</h1><label>overlay <select id=\"overlay\">" << overlay_options()
      << "</select></label><input id=\"search\" type=\"search\" placeholder=\"search (/)\" "
         "aria-label=\"search\">"
      << "<button id=\"up\">up</button><button id=\"fit\">fit</button><button id=\"tables\">table</button>"
      << "<button id=\"keys\">keys</button></header>\n"
      << "<nav><span id=\"crumbs\" role=\"navigation\" aria-label=\"place\"></span><span id=\"legend\">"
      << "<span id=\"scale\" hidden></span><span id=\"caption\"></span></span></nav>\n"
      << "<main><div id=\"canvas\">" << canvases[0].svg
      << "</div><aside id=\"inspector\" aria-label=\"inspector\"><p>" << html_text(totals_line(scene, report))
      << "</p></aside></main>\n"
      << "<div id=\"table\" role=\"table\" aria-label=\"nodes\" hidden><div id=\"heads\" class=\"row\"></div>"
      << "<div id=\"rows\"></div><button id=\"close\">close</button></div>\n<div id=\"help\" role=\"dialog\" "
      << "aria-label=\"keys\" hidden>" << help
      << "</div>\n<div id=\"live\" class=\"live\" aria-live=\"polite\"></div>\n";
  for (std::size_t i = 1; i < canvases.size(); ++i)
    out << "<template id=\"t" << i << "\">" << canvases[i].svg << "</template>\n";
  out << "<script type=\"application/json\" id=\"weft-data\">" << text_of_json(data, true)
      << "</script>\n<script>" << viewer_script << "</script>\n</body>\n</html>\n";
}

}  // namespace weft::diagram
