#include "hv-mm/xen/xen_calls.h"

namespace nopte::hv {

using namespace abi::xen;

namespace {

constexpr Status status_of(XenErrno error) {
  switch (error) {
    case XenErrno::kNone:
      return Status::kOk;
    case XenErrno::kRestart:
      return Status::kAgain;
    case XenErrno::kPerm:
      return Status::kPermission;
    case XenErrno::kFault:
      return Status::kBadAddress;
    case XenErrno::kBusy:
      return Status::kBusy;
    case XenErrno::kNosys:
      return Status::kUnsupported;
    case XenErrno::kInval:
      break;
  }
  return Status::kInvalid;
}

}  // namespace

CallResult XenCalls::call(u64 number, const abi::Registers& arguments) {
  XenErrno error = XenErrno::kRestart;
  steps_ = 0;
  if (types_.begin_call()) {
    error = number == kMulticall ? multicall(arguments[0], arguments[1]) : perform(number, arguments);
  }
  if (error == XenErrno::kNone) [[likely]]
    return 0;
  ++(error == XenErrno::kRestart ? counters_.restarts : counters_.refused);
  return {status_of(error), as_value(error)};
}

XenErrno XenCalls::perform(u64 number, Arguments arguments) {
  switch (number) {
    case kUpdateVaMapping:
      ++counters_.update_va_mappings;
      return update_va_mapping(Gva(arguments[0]), arguments[1], arguments[2]);
    case kMmuUpdate:
      ++counters_.mmu_updates;
      return for_each(arguments, &XenCalls::one_update);
    case kMmuextOp:
      ++counters_.mmuext_ops;
      return for_each(arguments, &XenCalls::one_operation);
    case kMulticall:  // inside a multicall
      return XenErrno::kInval;
    default:
      return XenErrno::kNosys;
  }
}

template <class Element>
XenErrno XenCalls::for_each(Arguments arguments, XenErrno (XenCalls::*step)(const Element&)) {
  const u64 count = arguments[1], done_out = arguments[2];
  if (arguments[3] != kDomainSelf) return XenErrno::kPerm;
  if (count > kMaxBatch) return XenErrno::kInval;
  if (done_out % sizeof(u32) != 0 || (done_out != 0 && !pointers_.find(Gva(done_out), Access::kWrite))) {
    return XenErrno::kFault;
  }
  GuestList list(pointers_, arguments[0], Access::kRead);
  XenErrno error = XenErrno::kNone;
  u32 done = 0;
  for (; done < count; ++done) {
    Element element;
    error = !types_.finish()      ? XenErrno::kRestart
            : !list.next(element) ? XenErrno::kFault
                                  : (this->*step)(element);
    if (error != XenErrno::kNone) break;
  }
  steps_ += done;
  // The list may have taken the page away.
  if (done_out != 0 && !pointers_.write(Gva(done_out), done) && error == XenErrno::kNone) {
    return XenErrno::kFault;
  }
  return error;
}

// Each call's result is written behind it. It stops at the first that has to be restarted; no call begins
// when the calls before it have done a whole batch of work.
XenErrno XenCalls::multicall(u64 list, u64 count) {
  ++counters_.multicalls;
  if (count > kMaxBatch) return XenErrno::kInval;
  GuestList calls(pointers_, list, Access::kWrite);
  for (u64 index = 0; index < count; ++index) {
    MulticallEntry entry;
    if (!calls.next(entry)) return XenErrno::kFault;
    const XenErrno error =
        steps_ >= kMaxBatch || !types_.finish() ? XenErrno::kRestart : perform(entry.op, entry.args);
    ++steps_;
    const u64 result = error == XenErrno::kNone ? 0 : as_value(error);
    const u64 at = list + index * sizeof(entry) + __builtin_offsetof(MulticallEntry, result);
    if (!pointers_.write(Gva(at), result)) return XenErrno::kFault;
    if (error == XenErrno::kRestart) return error;
  }
  return XenErrno::kNone;
}

XenErrno XenCalls::one_update(const MmuUpdate& request) {
  const u64 command = request.ptr & kCommandMask;
  if (command == kMachphysUpdate) return XenErrno::kNosys;
  const u64 address = request.ptr & ~kCommandMask;
  if (address % sizeof(u64) != 0) return XenErrno::kNosys;  // a command that there is not
  return types_.update(address >> kPageShift, static_cast<unsigned>(address % kPageBytes / sizeof(u64)),
                       pt::Entry(request.val), command == kPreserveAd);
}

XenErrno XenCalls::update_va_mapping(Gva va, u64 value, u64 flags) {
  const u64 type = flags & kFlushTypeMask, whose = flags & ~kFlushTypeMask;
  bool flush = type == kFlushTlb || type == kFlushPage;
  if (flush && whose != kFlushLocal && whose != kFlushAllVcpus) {
    u8 mask = 0;
    if (!pointers_.read(Gva(whose), &mask, sizeof(mask))) return XenErrno::kFault;
    flush = (mask & 1) != 0;
  }
  const auto table = pointers_.leaf_table(va);
  if (!table) return XenErrno::kInval;
  const XenErrno error = types_.update(*table, pt::table_index(va, 1), pt::Entry(value), false);
  if (error == XenErrno::kNone && flush) {
    type == kFlushPage ? types_.flush_page(va) : types_.flush();
  }
  return error;
}

XenErrno XenCalls::one_operation(const MmuextOp& operation) {
  switch (static_cast<Mmuext>(operation.cmd)) {
    case Mmuext::kPinL1:
    case Mmuext::kPinL2:
    case Mmuext::kPinL3:
    case Mmuext::kPinL4:
      return types_.pin(operation.arg1, operation.cmd + 1);
    case Mmuext::kUnpin:
      return types_.unpin(operation.arg1);
    case Mmuext::kNewBaseptr:
      return types_.set_base(operation.arg1);
    case Mmuext::kTlbFlushLocal:
    case Mmuext::kTlbFlushAll:
      types_.flush();
      return XenErrno::kNone;
    case Mmuext::kInvlpgLocal:
    case Mmuext::kInvlpgAll:
      types_.flush_page(Gva(operation.arg1));
      return XenErrno::kNone;
    case Mmuext::kTlbFlushMulti:
    case Mmuext::kInvlpgMulti:
      return flush_masked(operation.arg2);
    case Mmuext::kClearPage:
    case Mmuext::kCopyPage:
      return clear_or_copy(operation);
    case Mmuext::kNewUserBaseptr:
      break;
  }
  return XenErrno::kNosys;
}

XenErrno XenCalls::flush_masked(u64 pointer) {
  u8 mask = 0;
  if (!pointers_.read(Gva(pointer), &mask, sizeof(mask))) return XenErrno::kInval;
  if (mask & 1) types_.flush();
  return XenErrno::kNone;
}

XenErrno XenCalls::clear_or_copy(const MmuextOp& operation) {
  const u64 to = operation.arg1, from = operation.arg2;
  const bool copies = static_cast<Mmuext>(operation.cmd) == Mmuext::kCopyPage;
  const MachineFrames& frames = types_.frames();
  if (copies && !frames.owns(from)) return XenErrno::kInval;
  if (const XenErrno error = types_.hold_writable(to); error != XenErrno::kNone) {
    return error == XenErrno::kRestart ? error : XenErrno::kInval;
  }
  if (copies) {
    if (to != from) copy_(frames.pointer(to), frames.pointer(from));
  } else {
    zero_(frames.pointer(to));
  }
  types_.release_writable(to);
  return XenErrno::kNone;
}

}  // namespace nopte::hv
