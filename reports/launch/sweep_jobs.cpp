#include "reports/launch/sweep_jobs.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "reports/launch/quoting.hpp"
#include "reports/launch/yaml.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

constexpr int requeues_at_most = 3;
constexpr auto rows_in_pods = "/rows";

std::vector<std::string> quoted(const std::vector<std::string>& words) {
  std::vector<std::string> texts;
  texts.reserve(words.size());
  for (const std::string& word : words) texts.push_back(shell_word(word));
  return texts;
}

std::string batch_head(const SweepJobs& jobs, const std::string& job, const SlurmPlaces& places) {
  std::string text = "#!/usr/bin/env bash\n#SBATCH --job-name=sextant-" + job +
                     "\n#SBATCH --requeue\n#SBATCH --open-mode=append\n" + shell_comment(jobs.title) +
                     "set -euo pipefail\n";
  if (!places.profiles.empty()) text += "export SEXTANT_PROFILES=" + shell_word(places.profiles) + "\n";
  return text;
}

std::string array_script(const SweepJobs& jobs, const SlurmPlaces& places) {
  std::vector<std::string> words = quoted(jobs.words);
  words.insert(words.begin(), {shell_word(places.program), "sweep"});
  for (const char* word : {"--rows", "ROWS", "--shard", "auto", "--threads", "\"${SLURM_CPUS_PER_TASK:-1}\""})
    words.emplace_back(word);
  for (std::string& word : words)
    if (word == "ROWS") word = shell_word(places.rows);
  words.insert(words.end(), {"||", "status=$?"});
  return batch_head(jobs, "sweep", places) + "status=0\n" + shell_command(words) +
         "\n# A shard that a signal ended goes back to the queue and resumes from its rows.\n" +
         fmt::format(
             "if ((status > 128 && ${{SLURM_RESTART_COUNT:-0}} < {})); then\n"
             "  scontrol requeue \"${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}\"\nfi\nexit "
             "\"$status\"\n",
             requeues_at_most);
}

std::string merge_script(const SweepJobs& jobs, const SlurmPlaces& places) {
  const std::vector<std::string> words = {shell_word(places.program),
                                          "sweep",
                                          "--merge",
                                          "--rows",
                                          shell_word(places.rows),
                                          "--csv",
                                          shell_word(places.rows + "/sweep.csv"),
                                          "--json",
                                          shell_word(places.rows + "/sweep.json")};
  return batch_head(jobs, "merge", places) + "exec " + shell_command(words) + "\n";
}

std::string submit_script(const SweepJobs& jobs) {
  return "#!/usr/bin/env bash\n" + shell_comment("Submits " + jobs.title + "; arguments go to sbatch.") +
         fmt::format(
             "set -euo pipefail\n"
             "cd -- \"$(dirname -- \"$(readlink -f -- \"${{BASH_SOURCE[0]}}\")\")\"\n"
             "array=$(sbatch --parsable --array=1-{} --cpus-per-task={} --output=shard-%a.log \"$@\" "
             "array.sbatch)\n"
             "array=${{array%%;*}}\n"
             "# The merge says itself what is missing, so it also runs after shards that failed.\n"
             "merge=$(sbatch --parsable --dependency=\"afterany:$array\" --output=merge.log \"$@\" "
             "merge.sbatch)\n"
             "echo \"shards: job $array; merge: job ${{merge%%;*}}\"\n",
             jobs.shards, jobs.threads);
}

Json pod(const SweepPods& pods, const std::vector<std::string>& arguments, const Json& environment,
         std::uint64_t threads) {
  Json args = Json::array();
  for (const std::string& word : arguments) args.push_back(kubernetes_text(word));
  Json container = {{"name", "sextant"},
                    {"image", pods.image},
                    {"command", {"sextant", "sweep"}},
                    {"args", args},
                    {"env", environment},
                    {"resources", {{"requests", {{"cpu", fmt::format("{}", threads)}}}}},
                    {"volumeMounts",
                     {{{"name", "scenario"}, {"mountPath", "/sweep"}, {"readOnly", true}},
                      {{"name", "rows"}, {"mountPath", rows_in_pods}}}}};
  return {{"restartPolicy", "Never"},
          {"containers", Json::array({container})},
          {"volumes",
           {{{"name", "scenario"}, {"configMap", {{"name", kubernetes_name(pods.name) + "-scenario"}}}},
            {{"name", "rows"}, {"persistentVolumeClaim", {{"claimName", pods.claim}}}}}}};
}

Json job(const std::string& name, Json spec, const Json& pod_spec) {
  // Bad input stays bad: exit code 2 ends the job, whatever else ends a pod lets another take its place.
  spec["podFailurePolicy"] = {
      {"rules",
       {{{"action", "FailJob"},
         {"onExitCodes", {{"containerName", "sextant"}, {"operator", "In"}, {"values", {2}}}}}}}};
  spec["template"] = {{"metadata", {{"labels", {{"app.kubernetes.io/name", name}}}}}, {"spec", pod_spec}};
  return {{"apiVersion", "batch/v1"}, {"kind", "Job"}, {"metadata", {{"name", name}}}, {"spec", spec}};
}

}  // namespace

SlurmScripts slurm_sweep(const SweepJobs& jobs, const SlurmPlaces& places) {
  return {array_script(jobs, places), merge_script(jobs, places), submit_script(jobs)};
}

std::string kubernetes_sweep(const SweepJobs& jobs, const SweepPods& pods) {
  constexpr std::uint64_t retries_of_a_shard = 3, merge_waits_seconds = 7ULL * 24 * 3600;
  const std::string name = kubernetes_name(pods.name);
  const Json scenario = {{"apiVersion", "v1"},
                         {"kind", "ConfigMap"},
                         {"metadata", {{"name", name + "-scenario"}}},
                         {"data", {{"scenario.json", pods.scenario}}}};
  std::vector<std::string> words = jobs.words;
  for (const char* word : {"--rows", rows_in_pods, "--shard", "auto", "--threads"}) words.emplace_back(word);
  words.push_back(fmt::format("{}", jobs.threads));
  const Json environment = {{{"name", "JOB_COMPLETIONS"}, {"value", fmt::format("{}", jobs.shards)}}};
  const Json shards = job(name + "-shards",
                          {{"completions", jobs.shards},
                           {"parallelism", jobs.shards},
                           {"completionMode", "Indexed"},
                           {"backoffLimit", retries_of_a_shard * jobs.shards}},
                          pod(pods, words, environment, jobs.threads));
  const std::string rows = rows_in_pods;
  const Json merge = job(name + "-merge", {{"completions", 1}, {"backoffLimit", retries_of_a_shard}},
                         pod(pods,
                             {"--merge", "--rows", rows, "--wait", fmt::format("{}", merge_waits_seconds),
                              "--csv", rows + "/sweep.csv", "--json", rows + "/sweep.json"},
                             Json::array(), 1));
  return shell_comment(jobs.title + ": kubectl apply -f FILE") + yaml(scenario) + "---\n" + yaml(shards) +
         "---\n" + yaml(merge);
}

}  // namespace sextant
