// Lines of the counters channel.
#include "hv-mm/json_writer.h"

#include <gtest/gtest.h>

#include <string>

#include "hv-mm/counters.h"

namespace nopte::hv {
namespace {

TEST(JsonWriter, WritesNestedObjectsAndEscapes) {
  std::string line;
  const auto sink = [&](std::string_view piece) { line += piece; };
  JsonWriter json(sink);
  json.begin_object();
  json.member("a", u64{0});
  json.member("b", ~u64{0});
  json.begin_object("c");
  json.end_object();
  json.begin_object("d");
  json.member("e", std::string_view("q\"\\\n\xff", 5));
  json.member("f", u64{1});
  json.end_object();
  json.member("g", "h");
  json.end_object();
  json.end_line();
  EXPECT_EQ(
      line,
      "{\"a\":0,\"b\":18446744073709551615,\"c\":{},\"d\":{\"e\":\"q\\u0022\\u005c\\u000a\\u00ff\",\"f\":1},"
      "\"g\":\"h\"}\n");
}

TEST(Counters, SplitExitsAndAddUpCalls) {
  Counters counters;
  counters.exits[exit_code::kPageFault] = 5;
  counters.exits[exit_code::kCr3Write] = 1;
  counters.exits[exit_code::kIntr] = 3;
  counters.exits[exit_code::kCpuid] = 2;
  counters.exits[0x64] = 1;  // has no name
  counters.exits[Counters::exit_slot(0x400)] = 7;
  counters.exits[Counters::exit_slot(~u64{0})] = 1;
  counters.calls[static_cast<u32>(abi::Call::region_map)] = 4;
  counters.calls[static_cast<u32>(abi::Call::timer_set)] = 6;
  counters.calls[Counters::call_slot(~u64{0})] = 1;
  counters.refused_calls = 1;
  const Counters::Totals totals = counters.totals();
  EXPECT_EQ(totals.all, 32u);
  EXPECT_EQ(totals.memory, 5u + 1 + 7 + 4);
  EXPECT_EQ(totals.platform, 3u + 6 + 1);
  EXPECT_EQ(totals.all, totals.memory + totals.platform + totals.other);

  std::string line;
  const auto sink = [&](std::string_view piece) { line += piece; };
  JsonWriter json(sink);
  json.begin_object();
  counters.idle_ticks = 100;
  counters.reporting_ticks = 10;
  write_counters(json, counters, 1000);
  json.end_object();
  EXPECT_NE(line.find("\"hv_instructions\":1242,"), std::string::npos) << line;
  EXPECT_NE(line.find("\"exits\":{\"vmmcall\":12,"), std::string::npos) << line;
  EXPECT_NE(line.find("\"page_fault\":5,"), std::string::npos) << line;
  EXPECT_NE(line.find("\"nested_page_fault\":7,"), std::string::npos) << line;
  EXPECT_NE(line.find("\"unnamed\":1}"), std::string::npos) << line;
  EXPECT_NE(line.find("\"calls\":{\"region_map\":4,\"timer_set\":6,\"unknown\":1}"), std::string::npos)
      << line;
}

}  // namespace
}  // namespace nopte::hv
