#include "experiments/peers/kvm_monitor/counters_channel.h"

#include <gtest/gtest.h>

#include "experiments/peers/kvm_monitor/log_console.h"

namespace kvm_monitor {
namespace {

// Counters that each reading finds one further.
class ChannelTest : public testing::Test {
 protected:
  Counters read() {
    ++readings_;
    return {
        {{"exits", 100 * readings_}, {"io_exits", 10 * readings_}, {"irq_exits", readings_}, {"pf_taken", 0}},
        1000 * readings_};
  }
  void put(std::string_view text) {
    for (const char c : text) channel_.put(c);
  }
  uint64_t readings_ = 0;
  std::string written_;
  CountersChannel channel_{[this] { return read(); }, [this](std::string_view line) { written_ += line; }};
};

TEST_F(ChannelTest, ASpanBeginsBehindItsMark) {
  put("{\"event\":\"mark\",\"text\":\"begin x\",\"tsc\":77,\"idle_ns\":5,\"counters\":{\"faults\":3}}\n");
  EXPECT_EQ(written_,
            "{\"event\":\"mark\",\"text\":\"begin x\",\"tsc\":1077,\"idle_ns\":5,\"counters\":{\"faults\":3,"
            "\"exits_memory\":178,\"exits_platform\":22,\"kvm\":{\"exits\":200,\"io_exits\":20,\"irq_exits\":"
            "2}}}\n");
}

TEST_F(ChannelTest, ASpanEndsBeforeItsMark) {
  put("{\"event\":\"mark\",\"text\":\"end x\",\"tsc\":77,\"idle_ns\":5,\"counters\":{}}\n");
  EXPECT_EQ(written_,
            "{\"event\":\"mark\",\"text\":\"end x\",\"tsc\":77,\"idle_ns\":5,\"counters\":{"
            "\"exits_memory\":89,\"exits_platform\":11,\"kvm\":{\"exits\":100,\"io_exits\":10,\"irq_exits\":"
            "1}}}\n");
}

TEST_F(ChannelTest, LinesWithoutCountersAreLeftAsTheyAre) {
  for (const std::string line :
       {"{\"event\":\"power_off\",\"status\":125}", "no JSON", "", "}}", "{\"tsc\":"}) {
    written_.clear();
    put(line + "\n");
    EXPECT_TRUE(written_.starts_with(line.substr(0, line.size() - (line == "}}" ? 2 : 0)))) << line;
    EXPECT_TRUE(written_.ends_with("\n"));
  }
}

TEST_F(ChannelTest, TwoLinesAreTwoReadings) {
  put("{\"event\":\"mark\",\"text\":\"end a\",\"tsc\":1,\"counters\":{}}\n");
  written_.clear();
  put("{\"event\":\"mark\",\"text\":\"end b\",\"tsc\":1,\"counters\":{}}\n");
  EXPECT_NE(written_.find("\"exits\":300"), std::string::npos) << written_;
}

class LogTest : public ChannelTest {
 protected:
  void log(std::string_view text) {
    for (const char c : text) log_.write(0, static_cast<uint8_t>(c));
  }
  LogConsole log_{[this] { return read(); }, [this](std::string_view line) { written_ += line; }};
};

TEST_F(LogTest, AMarkInTheLogIsAnEvent) {
  log("Linux version 6.1\r\nbegin x\r\n");
  EXPECT_EQ(written_,
            "{\"event\":\"mark\",\"text\":\"begin x\",\"tsc\":3000,\"idle_ns\":0,\"counters\":{"
            "\"exits_memory\":267,\"exits_platform\":33,\"kvm\":{\"exits\":300,\"io_exits\":30,\"irq_exits\":"
            "3}}}\n");
}

TEST_F(LogTest, OtherLinesAndWhatWouldBreakALineOfJsonAreNone) {
  log("beginning\nend\nbegin \"x\"\nbegin a\\b\nbegin \x01\n\n[1.0] begin x\n");
  EXPECT_EQ(written_, "");
}

TEST_F(LogTest, TheDivisorIsNoText) {
  log_.write(3, 0x83);
  log("begin x\n");
  log_.write(3, 0x03);
  EXPECT_EQ(written_, "");
  log("end x\n");
  EXPECT_NE(written_.find("end x"), std::string::npos);
}

TEST_F(LogTest, IsAlwaysReadyAndNoUart) {
  EXPECT_EQ(LogConsole::read(5), 0x60);
  EXPECT_EQ(LogConsole::read(1), 0xff);
}

}  // namespace
}  // namespace kvm_monitor
