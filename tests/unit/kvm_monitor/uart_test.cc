#include "experiments/peers/kvm_monitor/uart.h"

#include <gtest/gtest.h>

#include <string>

namespace kvm_monitor {
namespace {

class UartTest : public testing::Test {
 protected:
  std::string sent_;
  Uart uart_{[this](uint8_t byte) { sent_ += static_cast<char>(byte); }};
};

TEST_F(UartTest, WhatIsWrittenLeavesAtOnce) {
  EXPECT_EQ(uart_.read(5), 0x60);
  uart_.write(0, 'a');
  EXPECT_EQ(sent_, "a");
  EXPECT_EQ(uart_.read(5), 0x60);
  EXPECT_FALSE(uart_.interrupts());
}

TEST_F(UartTest, TheDivisorIsNotSent) {
  uart_.write(3, 0x80);
  uart_.write(0, 1);
  uart_.write(1, 2);
  EXPECT_EQ(uart_.read(0), 1);
  EXPECT_EQ(uart_.read(1), 2);
  uart_.write(3, 0x03);
  EXPECT_EQ(sent_, "");
  EXPECT_EQ(uart_.read(1), 0);
  EXPECT_FALSE(uart_.interrupts());
}

TEST_F(UartTest, ReceivedBytesKeepTheirOrderAndTheLineIsHighUntilTheLastIsRead) {
  uart_.write(1, 0x01);
  EXPECT_FALSE(uart_.interrupts());
  uart_.receive("xy");
  uart_.receive("z");
  std::string got;
  while ((uart_.read(5) & 1) != 0) {
    EXPECT_TRUE(uart_.interrupts());
    EXPECT_EQ(uart_.read(2), 4);
    got += static_cast<char>(uart_.read(0));
  }
  EXPECT_EQ(got, "xyz");
  EXPECT_FALSE(uart_.interrupts());
  EXPECT_EQ(uart_.read(2), 1);
  EXPECT_EQ(uart_.read(0), 0);
}

TEST_F(UartTest, NothingInterruptsThatWasNotAskedFor) {
  uart_.receive("x");
  uart_.write(0, 'y');
  EXPECT_FALSE(uart_.interrupts());
  EXPECT_EQ(uart_.read(2), 1);
}

// How Linux sends: asks to be told that the transmitter is empty, and is, and again after each byte.
TEST_F(UartTest, AnEmptyTransmitterIsToldOnceForEachByte) {
  uart_.write(1, 0x02);
  EXPECT_TRUE(uart_.interrupts());
  EXPECT_EQ(uart_.read(2), 2);
  EXPECT_FALSE(uart_.interrupts());
  uart_.write(0, 'a');
  EXPECT_TRUE(uart_.interrupts());
  EXPECT_EQ(uart_.read(2), 2);
  EXPECT_FALSE(uart_.interrupts());
  uart_.write(1, 0x02);  // as it was: nothing new was asked
  EXPECT_FALSE(uart_.interrupts());
}

TEST_F(UartTest, ReceivingComesBeforeSending) {
  uart_.write(1, 0x03);
  uart_.receive("x");
  EXPECT_EQ(uart_.read(2), 4);
  EXPECT_EQ(uart_.read(0), 'x');
  EXPECT_EQ(uart_.read(2), 2);
}

// What a driver does to find out whether there is a UART.
TEST_F(UartTest, LooksLikeOneToADriver) {
  uart_.write(1, 0x0f);
  EXPECT_EQ(uart_.read(1), 0x0f);
  uart_.write(1, 0);
  EXPECT_EQ(uart_.read(1), 0);
  uart_.write(7, 0xa5);
  EXPECT_EQ(uart_.read(7), 0xa5);
  uart_.write(2, 0x01);
  EXPECT_EQ(uart_.read(2) & 0xc0, 0) << "it has no queues to switch on";
  uart_.write(4, 0x1a);
  EXPECT_EQ(uart_.read(6) & 0xf0, 0x90) << "looped: RTS is CTS, OUT2 is carrier";
  uart_.write(0, 'l');
  EXPECT_EQ(sent_, "") << "looped";
  EXPECT_EQ(uart_.read(0), 'l');
  uart_.write(4, 0x0b);
  EXPECT_EQ(uart_.read(6), 0xb0);
}

}  // namespace
}  // namespace kvm_monitor
