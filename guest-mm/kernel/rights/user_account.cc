#include "guest-mm/kernel/rights/user_account.h"

#include <boost/intrusive/set.hpp>

#include "guest-mm/core/made_at_first_use.h"

namespace nopte::guest {

namespace {

struct ByUser {
  using type = u32;
  u32 operator()(const UserAccount& account) const { return account.user; }
};
using Accounts = boost::intrusive::set<UserAccount, boost::intrusive::key_of_value<ByUser>>;

constinit MadeAtFirstUse<Accounts> g_accounts;

}  // namespace

Ref<UserAccount> UserAccount::of(u32 user) {
  const auto found = g_accounts().find(user);
  if (found != g_accounts().end()) {
    return Ref<UserAccount>(&*found);
  }
  auto* const account = make<UserAccount>(user);
  if (account != nullptr) {
    g_accounts().insert(*account);
  }
  return Ref<UserAccount>::adopt(account);
}

void UserAccount::release() {
  if (--references_ == 0) {
    g_accounts().erase(Accounts::s_iterator_to(*this));
    delete this;
  }
}

}  // namespace nopte::guest
