// The container over a fake machine and a recording mode: a test makes exits, and looks at what they left.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "fake_host.h"
#include "hv-mm/container/setup.h"
#include "hv-mm/exits.h"
#include "hv-mm/launch.h"

namespace nopte::hv {

inline constexpr u64 kRip = 0xffff'ffff'8010'0000;

class FakeMode final : public ModeHandler {
 public:
  std::vector<u8> code;
  u64 cr3 = 0x5000;
  std::vector<u64> invalidated;
  std::vector<u64> memory_calls;
  bool inject = false;

  u64 offered = 0;

  bool draws = true;

  const char* name() const override { return "fake"; }
  bool draw(pt::PictureWriter& picture) override {
    if (!draws) return false;
    picture.begin(SpaceId(7));
    picture.end_regions();
    picture.end();
    return true;
  }
  u64 features() const override { return offered; }
  Result<void> write_msr(u32 msr, u64) override {
    return msr == 0x4b56'4d00 ? Result<void>() : Fail(Status::kPermission);
  }
  void on_page_fault(Vcpu& vcpu, Gva va, u64 error) override {
    if (inject) {
      vcpu.inject_page_fault(va, error);
    }
  }
  void on_nested_fault(Vcpu&, u64, u64) override {}
  Result<u64> read_cr3(Vcpu&) override { return cr3; }
  Result<void> write_cr3(Vcpu&, u64 value) override {
    if (value % 4096 != 0) {
      return Fail(Status::kInvalid);
    }
    cr3 = value;
    return {};
  }
  void on_invlpg(Vcpu&, Gva va) override { invalidated.push_back(va.value()); }
  CallResult on_memory_call(Vcpu&, u64 number, const abi::Registers& r) override {
    memory_calls.push_back(number);
    return {Status::kOk, r[0] + 1};
  }
  Result<void> read_guest(const Vcpu&, Gva va, std::span<u8> bytes) override {
    const u64 at = va.value() - kRip;
    if (at + bytes.size() > 4096) {
      return Fail(Status::kBadAddress);
    }
    std::memset(bytes.data(), 0x90, bytes.size());
    std::memcpy(bytes.data(), code.data(), std::min(code.size(), bytes.size()));
    return {};
  }
};

class Exits : public ::testing::Test {
 protected:
  Exits()
      : vmcb(std::make_unique<Vmcb>()), bitmaps(std::make_unique<PermissionBitmaps>()), vcpu(*vmcb, 0x1000) {
    set_up_container(vcpu, *bitmaps, 0x2000);
    vmcb->cr3 = 0x5000;
    set_entry_state(vcpu, kRip, 0x7000);
  }
  void exit(u64 code, u64 info1 = 0, u64 info2 = 0) {
    vmcb->exit_code = code;
    vmcb->exit_info1 = info1;
    vmcb->exit_info2 = info2;
    vmcb->event_injection = 0;
    handler.handle();
    vmcb->exit_int_info = 0;
  }
  void run(std::vector<u8> code, u64 exit_code) {
    mode.code = std::move(code);
    vmcb->rip = kRip;
    exit(exit_code);
  }
  u8 injected() const {
    return vmcb->event_injection & kEventValid ? static_cast<u8>(vmcb->event_injection) : 0xff;
  }
  Status call(abi::Call number, const abi::Registers& arguments) {
    vcpu.registers().arguments = arguments;
    vmcb->rax = static_cast<u64>(number);
    exit(exit_code::kVmmcall);
    return static_cast<Status>(vmcb->rax);
  }

  std::unique_ptr<Vmcb> vmcb;
  std::unique_ptr<PermissionBitmaps> bitmaps;
  Vcpu vcpu;
  FakeMode mode;
  FakeHost host;
  Counters counters;
  ExitHandler handler{vcpu, mode, host, counters};
};

}  // namespace nopte::hv
