#include "models/profile/profile_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

/// A folder of a user's own profiles, named by SEXTANT_PROFILES.
class OwnProfiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "sextant_own_profiles_" + std::to_string(getpid());
    std::filesystem::create_directories(folder_);
    setenv("SEXTANT_PROFILES", folder_.c_str(), 1);
  }
  void TearDown() override {
    unsetenv("SEXTANT_PROFILES");
    std::filesystem::remove_all(folder_);
  }
  void add(const std::string& file, const std::string& text) const {
    write_text_file(folder_ + "/" + file, text);
  }
  static std::string error(const std::string& kind, const std::string& name) {
    try {
      profile_document(kind, name);
      return "accepted";
    } catch (const InputError& refused) {
      return refused.what();
    }
  }
  std::string folder_;
};

TEST_F(OwnProfiles, StandBeforeTheShippedOnes) {
  add("link.roce-200.json", R"({"name": "roce-200", "mine": true})");
  EXPECT_TRUE(profile_document("link", "roce-200").object().has("mine"));
  EXPECT_FALSE(profile_document("link", "roce-400").object().has("mine"));  // the shipped one
  EXPECT_EQ(own_profile_file("link", "roce-200"), folder_ + "/link.roce-200.json");
  EXPECT_EQ(own_profile_file("link", "roce-400"), std::nullopt);
}

// A copy of another card's profile under this card's name would predict the wrong card without a word.
TEST_F(OwnProfiles, OfAnotherNameThanTheirFileAreRefused) {
  add("gpu.h200-sxm.json", R"({"gpu": "l40s"})");
  EXPECT_THAT(error("gpu", "h200-sxm"),
              HasSubstr("gpu.h200-sxm.json: gpu: found \"l40s\", expected \"h200-sxm\""));
  add("link.ib-200.json", R"({"name": "ib-400"})");
  EXPECT_THAT(error("link", "ib-200"),
              HasSubstr("link.ib-200.json: name: found \"ib-400\", expected \"ib-200\""));
  // an A100 of 40 GB is a card of its own, not a variant of the A100
  add("gpu.a100-sxm-40gb.json", R"({"gpu": "a100-sxm"})");
  EXPECT_THAT(error("gpu", "a100-sxm-40gb"), HasSubstr("found \"a100-sxm\", expected \"a100-sxm-40gb\""));
}

TEST_F(OwnProfiles, MayBeVariantsOfACard) {
  add("gpu.h200-sxm-tables.json", R"({"gpu": "h200-sxm"})");  // as the shipped one of that name
  EXPECT_EQ(error("gpu", "h200-sxm-tables"), "accepted");
  add("gpu.h200-sxm-old.json", R"({"gpu": "h200-sxm"})");
  EXPECT_EQ(error("gpu", "h200-sxm-old"), "accepted");
}

TEST_F(OwnProfiles, NeedAFolder) {
  setenv("SEXTANT_PROFILES", (folder_ + "/none").c_str(), 1);
  EXPECT_EQ(error("gpu", "l40s"),
            "SEXTANT_PROFILES: found no '" + folder_ + "/none', expected a folder of profiles");
  add("file", "");
  setenv("SEXTANT_PROFILES", (folder_ + "/file").c_str(), 1);
  EXPECT_EQ(error("gpu", "l40s"),
            "SEXTANT_PROFILES: found the file '" + folder_ + "/file', expected a folder of profiles");
  setenv("SEXTANT_PROFILES", "", 1);
  EXPECT_EQ(error("gpu", "l40s"), "accepted");
}

}  // namespace
}  // namespace sextant
