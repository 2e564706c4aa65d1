#include "models/hardware/catalogue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "models/base/error.hpp"
#include "models/hardware/catalogue_reader.hpp"

namespace sextant {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(HardwareCatalogue, HoldsEveryPartOnce) {
  const HardwareCatalogue& catalogue = hardware_catalogue();
  EXPECT_EQ(catalogue.gpus.size(), 18u);
  std::set<std::string> names;
  for (const Gpu& part : catalogue.gpus) EXPECT_TRUE(names.insert(part.name).second) << part.name;
  for (const Nic& part : catalogue.nics) EXPECT_TRUE(names.insert(part.name).second) << part.name;
  for (const Switch& part : catalogue.switches) EXPECT_TRUE(names.insert(part.name).second) << part.name;
  for (const NodeType& part : catalogue.node_types) EXPECT_TRUE(names.insert(part.name).second) << part.name;
}

TEST(HardwareCatalogue, GivesEveryGpuANodeTypeAndSources) {
  for (const Gpu& gpu : hardware_catalogue().gpus) {
    EXPECT_FALSE(gpu.sources.empty()) << gpu.name;
    int hosts = 0;
    for (const NodeType& type : hardware_catalogue().node_types)
      hosts +=
          static_cast<int>(std::count(type.form_factors.begin(), type.form_factors.end(), gpu.form_factor));
    EXPECT_GE(hosts, 1) << gpu.name;
  }
}

// Sparsity doubles a rate (B300's fp4 only gains 18/14): a sparse figure in a dense place would show here.
TEST(HardwareCatalogue, SparseRatesExceedDenseOnes) {
  for (const Gpu& gpu : hardware_catalogue().gpus)
    for (const auto& [type, sparse] : gpu.sparse_tflops) {
      const auto dense = gpu.dense_tflops.find(type);
      if (dense == gpu.dense_tflops.end()) continue;
      EXPECT_GT(sparse.value, 1.2 * dense->second.value) << gpu.name << " " << type;
    }
}

// 97,887 MiB x 2^20 = 102,641,958,912 B, not 96 GB; 143,771 MiB = 150.755e9 B, not 141 GB.
TEST(Gpus, HaveTheMemoryThatTheDriverReports) {
  for (const char* name : {"rtx-pro-6000-workstation", "rtx-pro-6000-max-q", "rtx-pro-6000-server"})
    EXPECT_DOUBLE_EQ(find_gpu(name).memory_bytes.value, 102'641'958'912.0) << name;
  EXPECT_DOUBLE_EQ(find_gpu("h200-sxm").memory_bytes.value, 143'771.0 * 1'048'576);
  EXPECT_DOUBLE_EQ(find_gpu("h100-sxm").memory_bytes.value, 81'559.0 * 1'048'576);
  EXPECT_DOUBLE_EQ(find_gpu("gb300").memory_bytes.value, 284'208.0 * 1'048'576);
}

TEST(Gpus, KeepConflictsAsNotes) {
  const Gpu& server = find_gpu("rtx-pro-6000-server");
  EXPECT_DOUBLE_EQ(memory_gbps(server), 1597);
  EXPECT_THAT(server.memory_gbps->note, HasSubstr("1792"));
  EXPECT_DOUBLE_EQ(memory_gbps(find_gpu("rtx-pro-6000-workstation")), 1792);
  EXPECT_THAT(find_gpu("rtx-pro-6000-max-q").memory_gbps->note, HasSubstr("the reverse"));
}

TEST(Gpus, WithoutATrustworthyBandwidthSaySo) {
  Gpu unknown = find_gpu("h100-nvl");
  unknown.memory_gbps.reset();
  EXPECT_THAT(message_of([&] { memory_gbps(unknown); }),
              HasSubstr("gpu h100-nvl: no trustworthy memory bandwidth is known"));
}

TEST(Lookup, NamesTheNearest) {
  EXPECT_THAT(message_of([] { find_gpu("h100-smx"); }),
              AllOf(HasSubstr("gpu: found \"h100-smx\""), HasSubstr("did you mean 'h100-sxm'")));
  EXPECT_THAT(message_of([] { find_nic("connectx-7-20"); }), HasSubstr("did you mean 'connectx-7-200'"));
  EXPECT_THAT(message_of([] { find_switch("qm9700"); }), HasSubstr("expected one of mikrotik-crs804-ddq"));
  EXPECT_THAT(message_of([] { find_node_type("workstaton"); }), HasSubstr("did you mean 'workstation'"));
}

// Lanes x GT/s x 128/130 / 8: 16 x 32 x 128/130 / 8 = 63.0; Gen3 x16 15.75; Gen5 x8 31.5; Gen1 x16
// (8b/10b) 4.
TEST(Pcie, BandwidthFollowsTheCoding) {
  EXPECT_NEAR(pcie_gbps(3, 16), 15.75, 0.01);
  EXPECT_NEAR(pcie_gbps(4, 16), 31.51, 0.01);
  EXPECT_NEAR(pcie_gbps(5, 16), 63.02, 0.01);
  EXPECT_NEAR(pcie_gbps(5, 8), 31.51, 0.01);
  EXPECT_DOUBLE_EQ(pcie_gbps(1, 16), 4);
  EXPECT_THROW(pcie_gbps(0, 16), InputError);
  EXPECT_THROW(pcie_gbps(7, 16), InputError);
  EXPECT_THROW(pcie_gbps(5, 0), InputError);
}

Gpu gpu_from(const std::string& form, const std::string& memory, const std::string& more) {
  return read_gpu(JsonValue::parse(
      R"({"name": "x", "full_name": "X", "form_factor": ")" + form + R"(", "memory_mib": {"value": )" +
          memory +
          R"(, "grade": "assumed", "source": "test"}, "dense_tflops": {}, "compute_capability": "", "prices": [],
             "notes": [], "sources": [])" +
          more + "}",
      "gpus.json"));
}

TEST(BrokenCatalogue, IsRefused) {
  const std::string slot = R"(, "pcie_generation": 5, "pcie_lanes": 16)";
  EXPECT_DOUBLE_EQ(gpu_from("pcie", "1024", slot).memory_bytes.value, 1'073'741'824);
  EXPECT_THAT(message_of([&] { gpu_from("pcie", "96", slot); }),
              HasSubstr("gpus.json: memory_mib.value: found 96, expected a number from 1024"));
  EXPECT_THAT(message_of([&] { gpu_from("sxm", "1024", slot); }), HasSubstr("expected nvlink_gbps"));
  EXPECT_THAT(message_of([&] { gpu_from("pcie", "1024", R"(, "pcie_generation": 5, "pcie_lanes": 0)"); }),
              HasSubstr("expected both or neither"));
  EXPECT_THAT(message_of([&] { gpu_from("pcie", "1024", R"(, "pcie_generation": 0, "pcie_lanes": 0)"); }),
              HasSubstr("host_gbps"));
  EXPECT_THAT(message_of([&] { gpu_from("pci", "1024", slot); }), HasSubstr("did you mean 'pcie'"));
  EXPECT_THAT(message_of([&] { gpu_from("pcie", "1024", slot + R"(, "power_wats": 1)"); }),
              HasSubstr("did you mean 'power_watts'"));
}

}  // namespace
}  // namespace sextant
