#include "calibrate/measure/nccl/plan/child_process.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

/// A shell as the child; the pipe's number is its $2.
ChildProgram shell(const std::string& script) {
  return {"/bin/sh", {"-c", script, "sh"}, {{"SEXTANT_TEST_WORD", "ring"}}, "--child-rows"};
}
const auto never = [] { return false; };

TEST(ChildProcess, HearsLinesAndSeesTheEnvironment) {
  std::vector<std::string> lines;
  const ChildEnd end = run_child_program(
      shell("echo first $SEXTANT_TEST_WORD >&$2; echo second >&$2; exit 3"),
      [&](const std::string& line) { lines.push_back(line); }, never);
  EXPECT_EQ(lines, (std::vector<std::string>{"first ring", "second"}));
  EXPECT_EQ(end.code, 3);
}

TEST(ChildProcess, PassesAnInterruptOn) {
  bool started = false;
  const ChildEnd end = run_child_program(
      shell("trap 'exit 130' INT; echo up >&$2; while :; do sleep 0.05; done"),
      [&](const std::string&) { started = true; }, [&] { return started; });
  EXPECT_EQ(end.code, 130);
}

TEST(ChildProcess, TellsTheSignalThatKilledIt) {
  EXPECT_EQ(run_child_program(
                shell("kill -9 $$"), [](const std::string&) {}, never)
                .code,
            128 + 9);
}

TEST(ChildProcess, RefusesAProgramThatIsNotThere) {
  EXPECT_THROW(run_child_program(
                   {"/no/such/program", {}, {}, "--x"}, [](const std::string&) {}, never),
               Error);
}

}  // namespace
}  // namespace sextant::nccl
