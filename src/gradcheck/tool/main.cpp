// The command line of weft-gradcheck.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "gradcheck/token.hpp"
#include "gradcheck/tool/tool.hpp"

namespace weft {

namespace tool {

ExitCode exit_code(Verdict verdict) {
  if (verdict == Verdict::agree) return agree;
  return verdict == Verdict::disagree ? disagree : unresolved;
}

std::vector<Case> cases_of(const Project& project, const std::string& text) {
  const std::uint64_t usual = GradcheckOptions().seed;
  std::vector<Case> cases;
  if (text == "all") {
    for (const OpInfo* info : project.infos) cases.push_back({info, {}, usual});
    return cases;
  }
  std::string next = "weft-gradcheck list";
  try {
    const Token token = parse_token(text);
    const OpInfo& info = op_of(token, project.infos);
    next += fmt::format(" {}", info.name);
    Case one{&info, {}, token.seed.value_or(usual)};
    if (!token.sample.empty()) one.sample = sample_of(token, info);
    cases.push_back(one);
  } catch (const Error& error) {
    throw UsageError(error.what(), next);
  }
  return cases;
}

void require_one_sample(const std::vector<Case>& cases, std::string_view who) {
  if (cases.size() != 1)
    throw UsageError(fmt::format("{} needs one sample, found {} ops", who, cases.size()),
                     "weft-gradcheck list");
  const std::string_view op = cases[0].info->name;
  const std::string next = fmt::format("weft-gradcheck list {}", op);
  if (!cases[0].sample) throw UsageError(fmt::format("{} needs one sample of {}, found none", who, op), next);
  const Sample& sample = cases[0].info->samples.list()[*cases[0].sample];
  if (!sample.throws.empty())
    throw UsageError(
        fmt::format("{} needs gradients, but this sample of {} throws '{}'", who, op, sample.throws), next);
}

std::string token_of(const Case& one) {
  Token token{.op = std::string(one.info->name), .sample = {}, .seed = one.seed};
  if (one.sample) token.sample = sample_names(*one.info)[*one.sample];
  return to_string(token);
}

OpCase op_case_of(const Case& one, const GradcheckOptions& options) {
  const Sample& sample = one.info->samples.list()[*one.sample];
  OpCase op(*one.info, sample.attributes, sample_inputs(*one.info, sample, one.seed, DType::f64),
            token_of(one), options);
  op.run_reference(true);
  return op;
}

Progress::Progress(std::size_t count) : count_(count), is_terminal_(isatty(STDERR_FILENO) != 0) {}
Progress::~Progress() { clear(); }
void Progress::clear() {
  if (is_terminal_) fmt::print(stderr, "\r\033[K");
}
void Progress::next(std::string_view what) {
  ++done_;
  if (is_terminal_) fmt::print(stderr, "\r\033[K[{}/{}] {}", done_, count_, what);
}

namespace {

constexpr const char* about =
    "Are an op's gradients the derivatives of what it computes?\n"
    "Exit codes: 0 agree, 1 disagree, 2 unresolved, 3 usage, 4 internal error.";

struct Arguments {
  RunOptions run;
  int budget = 0;
  std::string listed_op, bugs_op, token;
  bool as_json = false;
};

void add_run(CLI::App& app, Arguments& arguments) {
  RunOptions& o = arguments.run;
  CLI::App* run = app.add_subcommand("run", "Checks ops or single samples");
  run->add_option("case", o.cases, "An op, a token such as conv2d:s2x3_p2x0x0x1:5eed, or all")->required();
  run->add_option("--oracle", o.oracles, "Only these: dual, difference")
      ->delimiter(',')
      ->check(CLI::IsMember({"dual", "difference"}));
  run->add_option("--seeds", o.seeds, "How many seeds, from the token's on")->check(CLI::PositiveNumber);
  run->add_option("--budget", arguments.budget, "Milliseconds for a sample")->check(CLI::PositiveNumber);
  run->add_option("--json", o.json, "Writes the report as JSON");
  run->add_option("--junit", o.junit, "Writes the report as JUnit XML");
  run->add_option("--jacobian", o.jacobian, "Writes every entry of one sample's Jacobians as CSV");
  run->add_option("--diagram", o.diagram, "Draws one sample's record: .svg .png .pdf .dot");
}

// Called once the arguments are known.
int dispatch(const CLI::App& app, const Project& project, Arguments& arguments) {
  if (app.got_subcommand("list")) return list(project, arguments.listed_op, arguments.as_json);
  if (app.got_subcommand("bugs")) return bugs(project, arguments.bugs_op);
  if (app.got_subcommand("explain")) return explain(project, arguments.token);
  if (arguments.budget > 0) arguments.run.budget = arguments.budget / 1000.0;
  return run(project, arguments.run);
}

int fail(ExitCode code, std::string_view text, std::string_view next) {
  fmt::print(stderr, "weft-gradcheck: {}\n", text);
  if (!next.empty()) fmt::print(stderr, "Try: {}\n", next);
  return code;
}

int run_tool(int argc, char** argv, const Project& project) {
  CLI::App app(about, "weft-gradcheck");
  Arguments arguments;
  app.set_version_flag("--version", "weft-gradcheck " WEFT_VERSION);
  app.require_subcommand(1);
  CLI::App* listing = app.add_subcommand("list", "Ops: samples, what these leave out, the error noticed");
  listing->add_option("op", arguments.listed_op, "The samples of this one");
  listing->add_flag("--json", arguments.as_json, "As JSON");
  add_run(app, arguments);
  app.add_subcommand("bugs", "Which sample and check finds which planted bug")
      ->add_option("op", arguments.bugs_op, "Only this one's");
  app.add_subcommand("explain", "One entry of a sample's Jacobian and its differences, step by step")
      ->add_option("token", arguments.token, "Such as conv2d:s2x3_p2x0x0x1:5eed")
      ->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help, --version
    return app.exit(wanted) == 0 ? agree : internal;
  } catch (const CLI::ParseError& error) {
    std::string text = error.what();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return fail(usage, text, "weft-gradcheck --help");
  }
  return dispatch(app, project, arguments);
}

}  // namespace

}  // namespace tool

int gradcheck_main(int argc, char** argv, std::span<const OpInfo* const> infos,
                   std::span<const PlantedBug> bugs) {
  try {
    return tool::run_tool(argc, argv, {infos, bugs});
  } catch (const tool::UsageError& error) {
    return tool::fail(tool::usage, error.what(), error.next());
  } catch (const std::exception& error) {
    return tool::fail(tool::internal, fmt::format("internal error: {}", error.what()), {});
  }
}

}  // namespace weft
