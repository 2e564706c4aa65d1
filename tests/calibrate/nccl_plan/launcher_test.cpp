#include "calibrate/measure/nccl/plan/launcher.hpp"

#include <gtest/gtest.h>

#include <map>

#include "calibrate/measure/nccl/plan/rendezvous.hpp"
#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

Environment of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

TEST(ProcessPlace, AloneWithoutALauncher) {
  const ProcessPlace place = process_place(of({}));
  EXPECT_EQ(place.size, 1);
  EXPECT_EQ(place.launcher, "");
}

TEST(ProcessPlace, OfOpenMpiInsideASlurmAllocation) {
  const ProcessPlace place = process_place(of({{"OMPI_COMM_WORLD_RANK", "3"},
                                               {"OMPI_COMM_WORLD_SIZE", "8"},
                                               {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                               {"PMIX_NAMESPACE", "prterun-7"},
                                               {"SLURM_PROCID", "0"},
                                               {"SLURM_STEP_NUM_TASKS", "1"}}));
  EXPECT_EQ(place.launcher, "Open MPI");
  EXPECT_EQ(place.rank, 3);
  EXPECT_EQ(place.size, 8);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.job, "prterun-7");
}

TEST(ProcessPlace, OfSlurmAndMpich) {
  EXPECT_EQ(process_place(of({{"SLURM_PROCID", "5"}, {"SLURM_STEP_NUM_TASKS", "6"}, {"SLURM_LOCALID", "2"}}))
                .local_rank,
            2);
  EXPECT_EQ(process_place(of({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MPI_LOCALRANKID", "1"}})).launcher,
            "PMI");
}

TEST(ProcessPlace, AnInteractiveSlurmShellIsNoLaunch) {
  EXPECT_EQ(process_place(of({{"SLURM_PROCID", "0"}})).size, 1);
}

TEST(ProcessPlace, RefusesHalfALauncher) {
  EXPECT_THROW(process_place(of({{"OMPI_COMM_WORLD_RANK", "3"}})), InputError);
  EXPECT_THROW(process_place(of({{"PMI_RANK", "2"}, {"PMI_SIZE", "2"}, {"MPI_LOCALRANKID", "0"}})),
               InputError);
  EXPECT_THROW(process_place(of({{"PMI_RANK", "x"}, {"PMI_SIZE", "2"}, {"MPI_LOCALRANKID", "0"}})),
               InputError);
}

TEST(MeetingPoint, FileThenAddressThenThisNode) {
  ProcessPlace place{0, 2, 0, "Open MPI", "job"};
  EXPECT_EQ(meeting_point("/shared/meet", place, of({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "1"}})).file,
            "/shared/meet");
  const MeetingPoint tcp = meeting_point("", place, of({{"MASTER_ADDR", "node1"}, {"MASTER_PORT", "29500"}}));
  EXPECT_EQ(tcp.host, "node1");
  EXPECT_EQ(tcp.port, 29500);
  const MeetingPoint local =
      meeting_point("", place, of({{"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}, {"TMPDIR", "/scratch"}}));
  EXPECT_TRUE(local.file.starts_with("/scratch/sextant-measure.")) << local.file;
  EXPECT_THROW(meeting_point("", place, of({{"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}})), InputError);
  EXPECT_THROW(meeting_point("", place, of({{"MASTER_ADDR", "node1"}})), InputError);
  EXPECT_THROW(meeting_point("", place, of({{"MASTER_ADDR", "node1"}, {"MASTER_PORT", "70000"}})),
               InputError);
}

}  // namespace
}  // namespace sextant::nccl
