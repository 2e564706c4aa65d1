#include "models/profile/link_profile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

TransferCurve curve(std::vector<double> bytes, std::vector<double> us) {
  return {Grade::measured, "test", std::move(bytes), std::move(us), {}};
}

TEST(TransferCurve, IsLogLinearBetweenPoints) {
  const TransferCurve c = curve({100, 10000}, {10, 40});
  EXPECT_DOUBLE_EQ(c.time_us(100), 10);
  EXPECT_NEAR(c.time_us(1000), 20, 1e-12);  // halfway in logarithms: sqrt(10 x 40)
  EXPECT_NEAR(c.time_us(10000), 40, 1e-12);
}

TEST(TransferCurve, KeepsTheFirstTimeBelowAndTheLastRateAbove) {
  const TransferCurve c = curve({100, 10000}, {10, 40});
  EXPECT_DOUBLE_EQ(c.time_us(1), 10);
  EXPECT_DOUBLE_EQ(c.time_us(0), 10);
  EXPECT_DOUBLE_EQ(c.time_us(30000), 120);  // three times 10000 bytes
}

TEST(TransferCurve, NeverFallsWithSize) {
  // The third point was measured faster than the second (a protocol switch); a larger message still takes no
  // less.
  const TransferCurve c = curve({100, 200, 400, 800}, {10, 50, 30, 60});
  double last = 0;
  for (double size = 50; size < 5000; size *= 1.1) {
    EXPECT_GE(c.time_us(size), last);
    last = c.time_us(size);
  }
  EXPECT_DOUBLE_EQ(c.time_us(400), 50);
}

LinkProfile sample() {
  LinkProfile profile;
  profile.name = "toy-link";
  profile.link = "roce";
  profile.provenance = "test";
  profile.line_gbps = 25;
  profile.send = curve({1024, 2048}, {10, 12.345678});
  profile.staged = curve({1024}, {30});
  profile.collectives = {{"all_reduce", 2, curve({1024, 4096}, {15, 16})}};
  return profile;
}

TEST(LinkProfile, KnowsWhatOtherMachinesReach) {
  LinkProfile profile = sample();
  profile.hosts = HostRange{10, 40, 12, 50, Grade::fitted, "six machines"};
  const LinkProfile again = read_link_profile(JsonValue::parse(write_link_profile(profile), "written"));
  ASSERT_TRUE(again.hosts.has_value());
  EXPECT_EQ(again.hosts->busbw_low, 10);
  EXPECT_EQ(again.hosts->busbw_high, 40);
  EXPECT_EQ(again.hosts->send_low, 12);
  EXPECT_EQ(again.hosts->send_high, 50);
  EXPECT_EQ(again.hosts->source, "six machines");
  profile.hosts->busbw_low = 41;
  try {
    read_link_profile(JsonValue::parse(write_link_profile(profile), "turned"));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "turned: hosts.busbw_gbps: found 41 to 40, expected the lowest rate and the highest");
  }
}

TEST(LinkProfile, WritesWhatItReads) {
  const std::string text = write_link_profile(sample());
  const LinkProfile again = read_link_profile(JsonValue::parse(text, "written"));
  EXPECT_EQ(write_link_profile(again), text);
  EXPECT_EQ(again.send.us[1], 12.35);  // four digits
  EXPECT_TRUE(again.staged);
  ASSERT_NE(again.collective("all_reduce", 2), nullptr);
  EXPECT_EQ(again.collective("all_reduce", 2)->us[1], 16);
  EXPECT_EQ(again.collective("all_reduce", 4), nullptr);
}

TEST(LinkProfile, KeepsAnOwnKernelBesideNccl) {
  LinkProfile profile = sample();
  profile.collectives.push_back({"all_reduce", 2, curve({1024}, {4}), "custom"});
  const LinkProfile again = read_link_profile(JsonValue::parse(write_link_profile(profile), "written"));
  EXPECT_EQ(again.collective("all_reduce", 2)->us[0], 15);
  ASSERT_NE(again.custom("all_reduce", 2), nullptr);
  EXPECT_EQ(again.custom("all_reduce", 2)->us[0], 4);
  EXPECT_EQ(again.custom("all_gather", 2), nullptr);
  EXPECT_EQ(sample().custom("all_reduce", 2), nullptr);
  // It reads its peers' memory, which messages staged through the host's never do.
  const LinkProfile staged = through_host_memory(again);
  EXPECT_EQ(staged.custom("all_reduce", 2), nullptr);
  EXPECT_NE(staged.collective("all_reduce", 2), nullptr);
  profile.collectives.push_back(profile.collectives.back());
  EXPECT_THROW(read_link_profile(JsonValue::parse(write_link_profile(profile), "twice")), InputError);
}

LinkProfile with_ring() {
  LinkProfile profile = sample();
  profile.collectives[0].nvls_from = 4096;
  profile.collectives[0].curve.median_error = 0.0123;
  profile.collectives[0].curve.p90_error = 0.1;
  RingModel& ring = profile.ring.emplace();
  ring.grade = Grade::fitted;
  ring.source = "test";
  ring.compute_capability = 90;
  ring.channels = 24;
  ring.operations = {{"all_reduce",
                      {{"ll", 5.25, 0.5, 170}, {"simple", 20, 0, 340}},
                      {{0.9, 1.1}, 0.02, 0.1},
                      {{0.8, 1.3}, 0.06, 0.2}}};
  return profile;
}

TEST(LinkProfile, KeepsTheRingModel) {
  const std::string text = write_link_profile(with_ring());
  const LinkProfile again = read_link_profile(JsonValue::parse(text, "written"));
  EXPECT_EQ(write_link_profile(again), text);
  EXPECT_EQ(again.collectives[0].nvls_from, 4096);
  EXPECT_EQ(again.collectives[0].curve.p90_error, 0.1);
  ASSERT_TRUE(again.ring);
  ASSERT_NE(again.ring->operation("all_reduce"), nullptr);
  EXPECT_EQ(again.ring->operation("all_reduce")->protocols[0].hop_us, 0.5);
  EXPECT_EQ(again.ring->operation("all_reduce")->beyond.spread.high, 1.3);
  EXPECT_EQ(again.ring->operation("all_gather"), nullptr);
  EXPECT_FALSE(through_host_memory(again).ring) << "its lines are of peer access";
  EXPECT_FALSE(read_link_profile(JsonValue::parse(write_link_profile(sample()), "none")).ring);
}

TEST(LinkProfile, NamesWhatIsWrongInTheRingModel) {
  const auto message = [](const std::string& from, const std::string& to) -> std::string {
    std::string text = write_link_profile(with_ring());
    text.replace(text.find(from), from.size(), to);
    try {
      read_link_profile(JsonValue::parse(text, "f"));
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message("\"ll\"", "\"simple\""),
              HasSubstr("f: ring.operations[0].protocols[1]: found simple twice"));
  EXPECT_THAT(message("\"busbw_gbps\": 340", "\"busbw_gbps\": 0"),
              HasSubstr("busbw_gbps: found 0, expected a number above 0"));
  EXPECT_THAT(message("\"between\"", "\"betwen\""), HasSubstr("between"));
  EXPECT_THAT(message("\"nvls_from\": 4096", "\"nvls_from\": -1"), HasSubstr("nvls_from: found -1"));
}

TEST(LinkProfile, NamesWhatIsWrong) {
  const auto message = [](const std::string& from, const std::string& to) -> std::string {
    std::string text = write_link_profile(sample());
    text.replace(text.find(from), from.size(), to);
    try {
      read_link_profile(JsonValue::parse(text, "f"));
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message("\"roce\"", "\"rocee\""),
              HasSubstr("f: link: found \"rocee\", expected one of nvlink"));
  EXPECT_THAT(message("[1024, 2048]", "[2048, 1024]"), HasSubstr("f: send.bytes: found 1024 after 2048"));
  EXPECT_THAT(message("[1024, 2048]", "[1024]"), HasSubstr("f: send.us: found 2 times, expected 1"));
  EXPECT_THAT(message("[10, 12.35]", "[10, -1]"),
              HasSubstr("f: send.us[1]: found -1, expected a number above 0"));
}

TEST(LinkProfile, EveryShippedOneReadsAndStaysBelowItsLine) {
  const std::string prefix = "calibrate/profiles/link.";
  for (const EmbeddedFile& file : embedded_files(prefix)) {
    const std::string path(file.path);
    const LinkProfile profile =
        find_link_profile(path.substr(prefix.size(), path.size() - prefix.size() - 5));
    EXPECT_EQ(prefix + profile.name + ".json", path);
    const double gigabyte = 1e9;
    EXPECT_GE(profile.send.time_us(gigabyte), gigabyte / (profile.line_gbps * 1e3)) << path;
  }
}

TEST(LinkProfile, MeasuredBandwidthOf200GbitRoce) {
  // 23.0 GB/s of all-reduce busbw with three GPUs (Distributed Inference on Workstation Blackwell, Part 1):
  // busbw = 2 (n - 1) / n x size / time, within 1 % of it at 1 GB.
  const LinkProfile profile = find_link_profile("roce-200");
  const double size = 1e9, us = profile.collective("all_reduce", 3)->time_us(size);
  EXPECT_NEAR(4.0 / 3 * size / us / 1e3, 23.0, 0.23);
}

}  // namespace
}  // namespace sextant
