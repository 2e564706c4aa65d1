#include "sim/scenario/scenario.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"
#include "models/profile/engine_profile.hpp"
#include "sim/scenario/purchase_question.hpp"

namespace sextant {
namespace {

std::string relative_to_scenario(const JsonValue& value, const std::string& path) {
  const std::filesystem::path given(path);
  if (given.is_absolute()) return path;
  return (std::filesystem::path(value.file()).parent_path() / given).string();
}

/// Looks a name up in a catalogue; the error of an unknown one names where in the scenario it stands.
template <class Find>
auto looked_up(const JsonValue& where, const Find& find) {
  try {
    return find();
  } catch (const InputError& error) {
    const std::string message = error.what();
    const std::size_t found = message.find("found ");
    where.fail(found == std::string::npos ? message : message.substr(found));
  }
}

/// Above tp, `ep` counts the GPUs of replicas that are data-parallel ranks of one server and share experts.
void check_sharing(const JsonValue& degree, int ep, const FixedDeployment& deployment) {
  const std::int64_t gpus = static_cast<std::int64_t>(deployment.tp) * deployment.dp;
  if (ep % deployment.tp != 0 || gpus % ep != 0)
    degree.fail(
        fmt::format("found {}, expected 1, tp, which is {}, or (experts shared by data-parallel "
                    "attention) a multiple of tp that divides tp x dp, which is {}",
                    ep, deployment.tp, gpus));
  if (deployment.pp > 1)
    degree.fail(fmt::format("found {} with pp {}, expected pp 1 where data-parallel ranks share experts", ep,
                            deployment.pp));
}

/// `ep`, or vLLM's `enable_expert_parallel`, which divides the experts among the whole tensor-parallel group.
int read_expert_parallel(const JsonObject& object, const FixedDeployment& deployment) {
  const auto degree = object.find("ep"), enabled = object.find("enable_expert_parallel");
  const int by_switch = enabled && enabled->boolean() ? deployment.tp : 1;
  if (!degree) return by_switch;
  const auto ep = static_cast<int>(degree->integer({1, 1e6}));
  if (ep != 1 && ep != deployment.tp) check_sharing(*degree, ep, deployment);
  const bool shares = ep > deployment.tp;
  if (enabled && (shares ? !enabled->boolean() : ep != by_switch))
    enabled->fail(fmt::format("found {}, expected what ep {} says", enabled->boolean(), ep));
  return ep;
}

bool keeps_states(const Architecture& model) {
  return std::any_of(model.kinds.begin(), model.kinds.end(),
                     [](const LayerKind& kind) { return std::holds_alternative<Mamba2>(kind.mixer); });
}

std::optional<FixedDeployment> read_deployment(const JsonValue& value) {
  if (value.is_text()) {
    if (value.text() != "search")
      value.fail(
          fmt::format("found \"{}\", expected \"search\" or an object with tp, pp and dp", value.text()));
    return std::nullopt;
  }
  const JsonObject object = value.object();
  constexpr Range degree{1, 1e6};
  FixedDeployment deployment;
  deployment.where = value.where();
  deployment.tp = static_cast<int>(object.integer_or("tp", 1, degree));
  deployment.pp = static_cast<int>(object.integer_or("pp", 1, degree));
  deployment.dp = static_cast<int>(object.integer_or("dp", 1, degree));
  deployment.ep = read_expert_parallel(object, deployment);
  if (const auto layers = object.find("layers")) {
    for (const JsonValue& count : layers->array())
      deployment.layers.push_back(static_cast<int>(count.integer({1, 1e6})));
    if (static_cast<int>(deployment.layers.size()) != deployment.pp)
      layers->fail(
          fmt::format("found {} stages, expected pp, which is {}", deployment.layers.size(), deployment.pp));
  }
  if (const auto placement = object.find("placement")) {
    for (const JsonValue& gpu : placement->array()) deployment.placement.push_back(gpu.text());
    const std::size_t expected = static_cast<std::size_t>(deployment.tp) *
                                 static_cast<std::size_t>(deployment.pp) *
                                 static_cast<std::size_t>(deployment.dp);
    if (deployment.placement.size() != expected)
      placement->fail(fmt::format("found {} GPUs, expected tp x pp x dp, which is {}",
                                  deployment.placement.size(), expected));
  }
  object.finish();
  return deployment;
}

void read_connector(const JsonObject& object, Scenario& scenario) {
  constexpr auto key = "kv_connector";
  PrefillPool& pool = *scenario.prefill;
  pool.kv_connector = static_cast<KvConnector>(object.choice(key, {"NixlConnector", "P2pNcclConnector"}));
  pool.where = object.at(key).where();
  const FixedDeployment &prefill = pool.deployment, &decode = *scenario.deployment;
  if (pool.kv_connector == KvConnector::p2p_nccl &&
      (prefill.tp != decode.tp || prefill.pp != 1 || decode.pp != 1))
    object.at(key).fail(
        fmt::format("found P2pNcclConnector with tp {} x pp {} and tp {} x pp {}, expected one tp and pp 1 "
                    "in both pools: a GPU sends to the one of its rank",
                    prefill.tp, prefill.pp, decode.tp, decode.pp));
}

/// {"prefill": {...}, "decode": {...}, "first_token": "decode", "kv_connector": "NixlConnector"}
void read_pools(const JsonValue& value, Scenario& scenario) {
  const JsonObject object = value.object();
  const auto pool = [&](const char* key) {
    const JsonValue given = object.at(key);
    if (given.is_text())
      given.fail(
          "found a text, expected an object with tp, pp and dp: a search for pools is \"deployment\": "
          "\"search\" with search.disaggregation");
    return *read_deployment(given);
  };
  scenario.prefill.emplace();
  scenario.prefill->deployment = pool("prefill");
  scenario.deployment = pool("decode");
  if (object.has("first_token"))
    scenario.prefill->first_token =
        static_cast<FirstToken>(object.choice("first_token", {"decode", "prefill"}));
  if (object.has("kv_connector")) read_connector(object, scenario);
  object.finish();
}

ServiceLevel read_bound(const std::string& metric, const JsonValue& value) {
  const std::vector<std::pair<std::string, double>> known = named_metrics(ServingMetrics{});
  std::vector<std::string> names;
  for (const auto& [name, unused] : known) names.push_back(name);
  if (std::find(names.begin(), names.end(), metric) == names.end())
    value.fail(fmt::format("found the unknown metric '{}'{}", metric, did_you_mean(metric, names)));
  if (!value.is_text()) value.fail("found no bound, expected text such as \"<=2000\" or \">=10\"");
  const std::string text = value.text();
  ServiceLevel level{metric, true, 0};
  const bool at_least = text.starts_with(">=");
  level.at_most = !at_least;
  const char* begin = text.data() + 2;
  const char* end = text.data() + text.size();
  const bool shaped = (at_least || text.starts_with("<=")) && begin < end;
  // A number beyond what a double holds (1e400) is read in full and still an error.
  const std::from_chars_result read = shaped ? std::from_chars(begin, end, level.bound)
                                             : std::from_chars_result{begin, std::errc::invalid_argument};
  if (read.ec != std::errc() || read.ptr != end || !(level.bound >= 0))
    value.fail(fmt::format("found \"{}\", expected a bound such as \"<=2000\" or \">=10\"", text));
  return level;
}

/// "<=2000", or [">=5", "<=2000"] for a bound on either side.
void read_bounds(const std::string& metric, const JsonValue& value, std::vector<ServiceLevel>& slo) {
  if (!value.is_array()) return slo.push_back(read_bound(metric, value));
  for (const JsonValue& bound : value.array()) slo.push_back(read_bound(metric, bound));
}

/// "ttft:200 tpot:50", as vllm bench serve --goodput takes them: milliseconds.
RequestBounds read_goodput_words(const JsonValue& value) {
  const std::string all = value.text();
  RequestBounds bounds;
  std::istringstream words(all);
  for (std::string word; words >> word;) {
    const std::size_t colon = std::min(word.find(':'), word.size());
    const std::string name = word.substr(0, colon);
    double* bound = name == "ttft"   ? &bounds.ttft_ms
                    : name == "tpot" ? &bounds.tpot_ms
                    : name == "e2el" ? &bounds.e2el_ms
                                     : nullptr;
    const char* begin = word.data() + std::min(colon + 1, word.size());
    const char* end = word.data() + word.size();
    double ms = 0;
    const std::from_chars_result read = std::from_chars(begin, end, ms);
    if (bound == nullptr || *bound > 0 || read.ec != std::errc() || read.ptr != end ||
        !(ms >= 1e-3 && ms <= 1e12))
      value.fail(
          fmt::format("found \"{}\", expected ttft, tpot and e2el with milliseconds, such as "
                      "\"ttft:200 tpot:50\"",
                      all));
    *bound = ms;
  }
  if (bounds.ttft_ms + bounds.tpot_ms + bounds.e2el_ms <= 0) value.fail("found no bound, expected some");
  return bounds;
}

RequestBounds read_goodput(const JsonValue& value) {
  if (value.is_text()) return read_goodput_words(value);
  const JsonObject object = value.object();
  constexpr Range ms{1e-3, 1e12};
  RequestBounds bounds{object.number_or("ttft_ms", 0, ms), object.number_or("tpot_ms", 0, ms),
                       object.number_or("e2el_ms", 0, ms)};
  object.finish();
  return bounds;
}

Economics read_economics(const JsonValue& value) {
  const JsonObject object = value.object();
  Economics economics;
  economics.capital_usd = object.number("capital_usd", {0, 1e12});
  constexpr Range years{0.01, 100};
  economics.years = economics.capital_usd > 0 ? object.number("years", years)
                                              : object.number_or("years", economics.years, years);
  economics.power_watts = object.number_or("power_watts", 0, {0, 1e10});
  economics.electricity_usd_per_kwh = object.number_or("electricity_usd_per_kwh", 0, {0, 1000});
  economics.utilisation = object.number_or("utilisation", 1, {0.001, 1});
  object.finish();
  return economics;
}

/// The highest load at which the SLO holds needs an SLO that a load can break.
void check_highest(const JsonObject& document, const Scenario& scenario) {
  const JsonValue workload = document.at("workload");
  if (scenario.slo.empty())
    workload.fail(
        "found \"highest\" without bounds in \"slo\", expected some: the highest load is the one at which "
        "they hold (of \"goodput\" alone, add \"goodput_fraction\": \">=0.99\")");
  for (const ServiceLevel& level : scenario.slo) {
    const bool breaks_with_load =
        level.at_most ? level.metric.ends_with("_ms") : level.metric == "goodput_fraction";
    if (!breaks_with_load)
      workload.fail(fmt::format(
          "found \"highest\" with a {} bound on {}, expected upper bounds on latencies and lower ones "
          "on goodput_fraction alone: they are what a higher load breaks",
          level.at_most ? "<=" : ">=", level.metric));
  }
}

Variant read_variant(const JsonValue& value) {
  const JsonObject object = value.object();
  Variant variant;
  variant.name = object.text("name");
  for (const auto& [path, to] : object.at("set").object().entries())
    variant.changes.emplace_back(path, to.dump());
  object.finish();
  return variant;
}

/// What ranks that share experts are not simulated with.
void check_shared_experts(const JsonObject& document, const Scenario& scenario) {
  const auto shares = [](const FixedDeployment& deployment) { return deployment.ep > deployment.tp; };
  if (scenario.prefill && (shares(*scenario.deployment) || shares(scenario.prefill->deployment)))
    document.at("deployment")
        .fail(
            "found ep above tp where prefill and decode are apart, expected experts shared by data-parallel "
            "ranks "
            "in one pool only");
  if (!scenario.deployment || !shares(*scenario.deployment)) return;
  const std::string where =
      fmt::format("where data-parallel ranks share experts (ep {})", scenario.deployment->ep);
  if (!scenario.faults.empty())
    document.at("faults").fail(fmt::format("found faults {}, expected none", where));
  if (scenario.engine.speculation)
    document.at("engine").fail(fmt::format("found speculative_config {}, expected none", where));
}

/// vLLM: a format of the checkpoint's own is the default, and of compressed-tensors the only one.
KvFormat read_kv(const std::optional<JsonValue>& kv, const Architecture& model) {
  const auto& published = model.quantisation;
  const std::string asked = published && !published->kv.empty() ? published->kv : "bf16";
  if (!kv) return kv_format(asked);
  KvFormat format = looked_up(*kv, [&] { return kv_format(kv->text()); });
  if (published && published->kv_fixed && format.name != asked)
    kv->fail(fmt::format("found \"{}\", expected \"{}\" (or nothing), as the model's kv_cache_scheme says",
                         format.name, asked));
  return format;
}

/// vllm/config/cache.py up to v0.16 has a list (1, 8, 16, 32, 64, 128, 256); since then attention kernels ask
/// for multiples of 16, of which the list's 1 and 8 remain.
void check_block_size(const JsonObject& engine) {
  constexpr std::int64_t kernel_multiple = 16;
  const auto size = engine.find("block_size");
  if (!size) return;
  const std::int64_t tokens = size->integer({1, 1 << 16});
  if (tokens != 1 && tokens != 8 && tokens % kernel_multiple != 0)
    size->fail(fmt::format("found {}, expected 1, 8 or a multiple of {}", tokens, kernel_multiple));
}

/// An unknown name is said where it stands; what is wrong inside the profile, by the profile's own file.
void check_profile(const JsonValue& profile) {
  const std::string name = profile.text();
  try {
    find_engine_profile(name);
  } catch (const InputError& error) {
    const std::string message = error.what();
    if (!message.starts_with("found ")) throw;
    profile.fail(message);
  }
}

/// What the engine's options by themselves take and no engine does, said with file and path.
void check_engine(const JsonObject& engine) {
  if (const auto profile = engine.find("profile")) check_profile(*profile);
  check_block_size(engine);
}

/// vLLM's verify_equal_vocab_size_if_draft_model (vllm/config/speculative.py).
void check_vocabulary(const JsonValue& where, const Architecture& draft, const Architecture& model) {
  if (draft.vocabulary == model.vocabulary) return;
  where.fail(fmt::format("found {} with a vocabulary of {}, expected that of {}, which is {}", draft.name,
                         draft.vocabulary, model.name, model.vocabulary));
}

/// vLLM's hf_config_override (vllm/config/speculative.py) finds layers to draft with in few families.
void check_prediction_layers(const JsonValue& where, const Architecture& model) {
  if (model.prediction_layers != 0) return;
  where.fail(
      fmt::format("found mtp with {}, expected a model with num_nextn_predict_layers above 0, or "
                  "draft_model, eagle or ngram",
                  model.name));
}

}  // namespace

ServedModel read_model(const JsonValue& value) {
  const JsonObject object = value.object();
  std::string name = object.text("name");
  const bool is_path = name.find('/') != std::string::npos || name.ends_with(".json");
  if (is_path) name = relative_to_scenario(value, name);
  ServedModel model;
  model.architecture = is_path ? find_model(name).architecture
                               : looked_up(object.at("name"), [&] { return find_model(name); }).architecture;
  const auto weights = object.find("weights"), kv = object.find("kv");
  const auto& published = model.architecture.quantisation;
  const std::string stored = published ? published->format : "bf16";
  model.weights =
      weights ? looked_up(*weights, [&] { return weight_format(weights->text()); }) : weight_format(stored);
  if (published && model.weights.name != stored)
    weights->fail(
        fmt::format("found \"{}\", expected \"{}\" (or nothing), as the model's "
                    "quantization_config says",
                    model.weights.name, stored));
  model.kv = read_kv(kv, model.architecture);
  object.finish();
  return model;
}

EngineOptions read_engine(const JsonObject& object, const Cluster& cluster, const ServedModel& model) {
  const auto engine = object.find("engine");
  if (engine) check_engine(engine->object());
  EngineOptions options = read_engine_options(engine ? &*engine : nullptr, cluster);
  const std::int64_t longest = model.architecture.max_position;
  if (options.max_model_len > longest)
    engine->fail(fmt::format("found max_model_len {}, expected at most {}, the model's own limit",
                             options.max_model_len, longest));
  if (options.max_model_len == 0) options.max_model_len = longest;
  // vLLM's own rule: a prompt that may not be cut must fit one step.
  if (!options.enable_chunked_prefill && options.max_num_batched_tokens < options.max_model_len)
    engine->fail(
        fmt::format("found max_num_batched_tokens {} without chunked prefill, expected at least "
                    "max_model_len, which is {}",
                    options.max_num_batched_tokens, options.max_model_len));
  return options;
}

void add_drafter(const JsonObject& object, const EngineOptions& engine, ServedModel& model) {
  if (!engine.speculation) return;
  const JsonValue config = object.at("engine").object().at("speculative_config");
  const Speculation::Method method = engine.speculation->method;
  if (method == Speculation::Method::mtp)
    check_prediction_layers(config.object().at("method"), model.architecture);
  const bool has_own_model = method == Speculation::Method::draft_model;
  const JsonValue where = has_own_model ? config.object().at("model") : config;
  model.drafter = looked_up(
      where, [&] { return make_drafter(*engine.speculation, model.architecture, model.weights, model.kv); });
  if (has_own_model) check_vocabulary(where, model.drafter->architecture, model.architecture);
}

double Economics::usd_per_hour(double predicted_gpu_watts) const {
  constexpr double hours_per_year = 24 * 365.25;
  const double watts = power_watts > 0 ? power_watts : predicted_gpu_watts;
  return capital_usd / (years * hours_per_year) / utilisation + watts / 1000 * electricity_usd_per_kwh;
}

std::vector<std::pair<std::string, double>> named_metrics(const ServingMetrics& m) {
  std::vector<std::pair<std::string, double>> named = {
      {"request_throughput", m.request_throughput},
      {"output_throughput", m.output_throughput},
      {"total_token_throughput", m.total_token_throughput},
      {"request_goodput", m.request_goodput},
      {"goodput_fraction", m.goodput_fraction},
  };
  const std::vector<std::pair<std::string, LatencySummary>> latencies = {
      {"ttft", m.ttft}, {"tpot", m.tpot}, {"itl", m.itl}, {"e2el", m.e2el}};
  for (const auto& [name, summary] : latencies) {
    named.emplace_back("mean_" + name + "_ms", summary.mean);
    named.emplace_back("median_" + name + "_ms", summary.median);
    named.emplace_back("p90_" + name + "_ms", summary.p90);
    named.emplace_back("p99_" + name + "_ms", summary.p99);
  }
  return named;
}

Scenario read_scenario(const JsonValue& document) {
  const JsonObject object = document.object();
  Scenario scenario;
  scenario.name = object.text("name");
  scenario.description = object.text_or("description", "");
  if (asks_for_purchase(document))
    object.at("cluster").fail(
        "found 'choose-from', expected 'nodes': a purchase is planned by 'sextant plan' alone");
  scenario.cluster = read_cluster(object.at("cluster"));
  if (const auto background = object.find("background"))
    scenario.cluster.background = read_background(*background, scenario.cluster);
  if (const auto faults = object.find("faults")) scenario.faults = read_faults(*faults, scenario.cluster);
  if (const auto several = object.find("models"))
    several->fail(
        "found several models on one cluster, expected 'model': a mix of models is planned by 'sextant plan' "
        "alone");
  scenario.model = read_model(object.at("model"));
  const JsonValue deployment = object.at("deployment");
  if (!deployment.is_text() && (deployment.object().has("prefill") || deployment.object().has("decode")))
    read_pools(deployment, scenario);
  else
    scenario.deployment = read_deployment(deployment);
  scenario.engine = read_engine(object, scenario.cluster, scenario.model);
  add_drafter(object, scenario.engine, scenario.model);
  check_shared_experts(object, scenario);
  if (const auto search = object.find("search")) {
    if (scenario.deployment)
      search->fail("found a fixed deployment beside it, expected \"deployment\": \"search\"");
    scenario.search = read_search(document, scenario.cluster);
    if (!scenario.search.choices.empty()) {
      scenario.model = scenario.search.choices.front().model;
      scenario.engine = scenario.search.choices.front().engine;
    }
  }
  const std::vector<SearchChoice>& choices = scenario.search.choices;
  const auto offloads = [](const EngineOptions& engine) { return engine.kv_offloading_gib > 0; };
  if (keeps_states(scenario.model.architecture) &&
      (offloads(scenario.engine) ||
       std::any_of(choices.begin(), choices.end(),
                   [&](const SearchChoice& choice) { return offloads(choice.engine); })))
    object.at("engine").fail(
        "found kv_offloading_size for a model with state-space layers, expected none: vLLM's connector takes "
        "one group of KV blocks, which such layers do not fit in");
  // A KV connector takes one group of blocks: vLLM turns its hybrid KV cache manager off beside one.
  if (scenario.prefill) scenario.engine.disable_hybrid_kv_cache_manager = true;
  for (SearchChoice& choice : scenario.search.choices)
    if (choice.apart) choice.engine.disable_hybrid_kv_cache_manager = true;
  const bool apart = scenario.prefill || std::any_of(choices.begin(), choices.end(),
                                                     [](const SearchChoice& choice) { return choice.apart; });
  if (apart && !scenario.faults.empty())
    object.at("faults").fail("found faults where prefill and decode are apart, expected one pool");
  if (scenario.prefill && (scenario.engine.speculation || offloads(scenario.engine)))
    object.at("engine").fail(
        "found speculation or KV offloading where prefill and decode are apart, expected neither");
  const auto router = object.find("router");
  scenario.router = read_router(router ? &*router : nullptr);
  scenario.workload = read_workload(object.at("workload"));
  const auto by_priority = [](const EngineOptions& engine) {
    return engine.scheduling_policy == SchedulingPolicy::priority;
  };
  if (!scenario.workload.priorities.empty() && !by_priority(scenario.engine) &&
      std::none_of(choices.begin(), choices.end(),
                   [&](const SearchChoice& choice) { return by_priority(choice.engine); }))
    object.at("workload")
        .fail(
            "found priorities with the scheduling policy fcfs, expected engine.scheduling_policy "
            "\"priority\": vLLM "
            "refuses them otherwise");
  scenario.model.architecture.sampling =
      scenario.workload.sampling.over(scenario.model.architecture.sampling);
  for (SearchChoice& choice : scenario.search.choices)
    choice.model.architecture.sampling = scenario.workload.sampling.over(choice.model.architecture.sampling);
  if (scenario.workload.find_highest && !scenario.faults.empty())
    object.at("workload").fail("found a load of \"highest\" with faults, expected a number");
  if (const auto slo = object.find("slo")) {
    const JsonObject bounds = slo->object();
    if (const auto goodput = bounds.find("goodput")) scenario.goodput = read_goodput(*goodput);
    for (const auto& [metric, bound] : bounds.entries())
      if (metric != "goodput") read_bounds(metric, bound, scenario.slo);
    if (const auto found = contradiction(scenario.slo)) slo->fail(*found);
  }
  if (const auto economics = object.find("economics")) scenario.economics = read_economics(*economics);
  if (const auto variants = object.find("variants"))
    for (const JsonValue& variant : variants->array()) scenario.variants.push_back(read_variant(variant));
  if (const auto uplink = object.find("uplink")) scenario.uplink = read_uplink(*uplink);
  object.finish();
  if (scenario.search.objective == Objective::cost && !scenario.economics)
    object.at("search").fail("found the objective cost without \"economics\", expected what it costs there");
  if (scenario.workload.find_highest) check_highest(object, scenario);
  return scenario;
}

}  // namespace sextant
