// Names that break writers that do not escape.
#pragma once

#include <string>
#include <utility>
#include <vector>

// Given, and what is left of it as text: controls and bidirectional overrides dropped, broken UTF-8 replaced.
inline std::vector<std::pair<std::string, std::string>> hostile_strings() {
  return {
      {"\"quoted\" 'single'", "\"quoted\" 'single'"},
      {"ends in \\", "ends in \\"},
      {"\\\\\\", "\\\\\\"},
      {"\\\"", "\\\""},
      {"\\N \\G \\n \\l \\E", "\\N \\G \\n \\l \\E"},
      {"&lt;b&gt; & &amp; &#60;", "&lt;b&gt; & &amp; &#60;"},
      {"node", "node"},
      {"strict digraph subgraph edge", "strict digraph subgraph edge"},
      {"<b>html</b>", "<b>html</b>"},
      {"<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"},
      {"]]> --> </script> <!-- <![CDATA[", "]]> --> </script> <!-- <![CDATA["},
      {"</script><script>alert(1)</script>", "</script><script>alert(1)</script>"},
      {"</title></style></template></svg>", "</title></style></template></svg>"},
      {"a;b [shape=box] {}|->", "a;b [shape=box] {}|->"},
      {"\"]; x [label=\"injected", "\"]; x [label=\"injected"},
      {"two\nlines", "two\nlines"},
      {std::string("nul\0 bell\a del\x7f tab\t", 21), "nul bell del tab"},
      {"escape \x1b[31m", "escape [31m"},
      {"broken \xff\xc3 \xed\xa0\x80 \xf5", "broken \uFFFD\uFFFD \uFFFD\uFFFD\uFFFD \uFFFD"},
      {"\xc0\xaf overlong", "\uFFFD\uFFFD overlong"},
      {"not a character \uFFFE", "not a character \uFFFD"},
      {"\u202E right to left \u2066", " right to left "},
      {"\u65e5\u672c\u8a9e \u00e9 \U0001F600", "\u65e5\u672c\u8a9e \u00e9 \U0001F600"},
      {"\u2028 line separator \u0085", "\u2028 line separator "},
      {"#", "#"},
      {"// comment /* */", "// comment /* */"},
      {"javascript:alert(1)", "javascript:alert(1)"},
      {"${x} {{x}} %s %n", "${x} {{x}} %s %n"},
      {"../../etc/passwd", "../../etc/passwd"},
      {"__proto__", "__proto__"},
  };
}
