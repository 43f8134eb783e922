#include "io/posix/directory_arbiter.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

namespace {

constexpr std::string_view kEpochPrefix = "epoch-";
constexpr size_t kEpochDigits = 20;
constexpr std::string_view kClaimPrefix = ".claim-";
constexpr std::string_view kHeadLine = "lockstep-epoch 1";

struct Claim {
  Epoch epoch;
  std::string node;
  std::string id;

  std::string text() const {
    return fmt::format("{}\nepoch {}\nnode {}\nclaim {}\n", kHeadLine, epoch.value, node, id);
  }
};

std::string epoch_name(Epoch epoch) {
  return fmt::format("{}{:020}", kEpochPrefix, epoch.value);
}

std::optional<Epoch> epoch_of_name(std::string_view name) {
  if (name.size() != kEpochPrefix.size() + kEpochDigits || !name.starts_with(kEpochPrefix)) {
    return std::nullopt;
  }
  name.remove_prefix(kEpochPrefix.size());
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return Epoch(value);
}

// The value of the line that starts with `key`, and the text after it.
std::optional<std::string> take_line(std::string_view& text, std::string_view key) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos || !text.starts_with(key)) return std::nullopt;
  std::string value(text.substr(key.size(), end - key.size()));
  text.remove_prefix(end + 1);
  return value;
}

std::optional<Claim> parse_claim(std::string_view text) {
  const auto head = take_line(text, kHeadLine);
  const auto epoch = take_line(text, "epoch ");
  auto node = take_line(text, "node ");
  auto id = take_line(text, "claim ");
  if (!head || !head->empty() || !epoch || !node || !id || !text.empty()) return std::nullopt;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(epoch->data(), epoch->data() + epoch->size(), number);
  if (error != std::errc() || end != epoch->data() + epoch->size()) return std::nullopt;
  return Claim{Epoch(number), std::move(*node), std::move(*id)};
}

// A name that is one path component and one line.
bool usable_name(std::string_view name) {
  if (name.empty() || name.size() > DirectoryArbiter::kMaxNameBytes || name[0] == '.') return false;
  return std::ranges::none_of(
      name, [](char c) { return c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string random_identity() {
  uint64_t words[2] = {};
  CHECK(::getrandom(words, sizeof words, 0) == static_cast<ssize_t>(sizeof words));
  return fmt::format("{:016x}{:016x}", words[0], words[1]);
}

// The directory of one VM, for the time of one call.
class VmDirectory {
 public:
  VmDirectory(std::string path, const DirectoryArbiter::Interceptor& interceptor)
      : path_(std::move(path)), interceptor_(interceptor) {}

  struct Listing {
    std::vector<Epoch> epochs;  // ascending
    std::vector<std::string> claims;
    Epoch newest() const { return epochs.empty() ? Epoch() : epochs.back(); }
  };

  // False: there is no such directory yet (only when not `create`).
  Result<bool> open(const std::string& parent, std::string_view vm, bool create);
  Result<Listing> list();
  Result<Claim> read_claim(Epoch epoch);
  // Durable under `name`. Gives the time of the file, by the clock of the storage.
  Result<int64_t> write_claim(const std::string& name, const Claim& claim);
  // As link(2): 0 or errno.
  int link_claim(const std::string& name, Epoch epoch);
  void remove(const std::string& name);
  Status make_durable();
  // `storage_time`: unknown when nothing was written just now; then no claim's age is known.
  void sweep(const Listing& listing, std::optional<int64_t> storage_time);

 private:
  // False, with errno set: the call must not be made.
  bool allowed(std::string_view call) const {
    const int reason = interceptor_ ? interceptor_(call) : 0;
    errno = reason;
    return reason == 0;
  }
  std::unexpected<Error> failed(std::string what, const std::string& name) const {
    return fail_errno(std::move(what), path_ + "/" + name,
                      "the arbiter needs a shared directory that can be written");
  }

  const std::string path_;
  const DirectoryArbiter::Interceptor& interceptor_;
  Fd fd_;
};

Result<bool> VmDirectory::open(const std::string& parent, std::string_view vm, bool create) {
  const Fd base(
      allowed("open directory") ? ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1);
  if (!base.valid()) {
    return fail_errno("cannot open the arbiter's directory", parent,
                      "make it, or check the path in [protection] arbiter");
  }
  const std::string name(vm);
  if (create) {
    const bool made = allowed("mkdirat") && ::mkdirat(base.get(), name.c_str(), 0777) == 0;
    if (!made && errno != EEXIST) return failed("cannot make the VM's directory", "");
    if (!allowed("fsync parent") || ::fsync(base.get()) != 0) {
      return failed("cannot make the VM's directory durable", "");
    }
  }
  fd_ = Fd(allowed("openat vm")
               ? ::openat(base.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
               : -1);
  if (fd_.valid()) return true;
  if (errno == ENOENT && !create) return false;
  return failed("cannot open the VM's directory", "");
}

Result<VmDirectory::Listing> VmDirectory::list() {
  // A descriptor of its own: a shared one would share its place in the listing.
  Fd copy(allowed("open listing") ? ::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                  : -1);
  if (!copy.valid()) return failed("cannot list", "");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy.get()), ::closedir);
  if (!stream) return failed("cannot list", "");
  copy.release();
  Listing listing;
  while (true) {
    errno = 0;
    const dirent* entry = allowed("readdir") ? ::readdir(stream.get()) : nullptr;
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (const auto epoch = epoch_of_name(name)) listing.epochs.push_back(*epoch);
    if (name.starts_with(kClaimPrefix)) listing.claims.emplace_back(name);
  }
  if (errno != 0) return failed("cannot list", "");
  std::ranges::sort(listing.epochs);
  return listing;
}

Result<Claim> VmDirectory::read_claim(Epoch epoch) {
  const std::string name = epoch_name(epoch);
  const Fd file(allowed("open claim") ? ::openat(fd_.get(), name.c_str(), O_RDONLY | O_CLOEXEC)
                                      : -1);
  if (!file.valid()) return failed("cannot read the claim", name);
  std::string text(DirectoryArbiter::kMaxClaimBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t count =
        allowed("read") ? ::read(file.get(), text.data() + size, text.size() - size) : -1;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("cannot read the claim", name);
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  auto claim = parse_claim(std::string_view(text).substr(0, size));
  if (!claim || claim->epoch != epoch) {
    return fail(ErrorCode::kCorrupt, "not a claim of this arbiter:", path_ + "/" + name,
                "stop all replicas of this VM, then remove its directory");
  }
  return std::move(*claim);
}

Result<int64_t> VmDirectory::write_claim(const std::string& name, const Claim& claim) {
  Fd file(allowed("create claim")
              ? ::openat(fd_.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)
              : -1);
  if (!file.valid()) return failed("cannot write a claim", name);
  const std::string text = claim.text();
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t count =
        allowed("write") ? ::write(file.get(), text.data() + size, text.size() - size) : -1;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("cannot write a claim", name);
    size += static_cast<size_t>(count);
  }
  struct stat attributes = {};
  if (!allowed("fsync claim") || ::fsync(file.get()) != 0 || !allowed("fstat") ||
      ::fstat(file.get(), &attributes) != 0) {
    return failed("cannot make a claim durable", name);
  }
  // NFS reports some failures of writing only here.
  if (!allowed("close") || ::close(file.release()) != 0) {
    return failed("cannot make a claim durable", name);
  }
  return attributes.st_mtim.tv_sec;
}

int VmDirectory::link_claim(const std::string& name, Epoch epoch) {
  const bool linked = allowed("linkat") && ::linkat(fd_.get(), name.c_str(), fd_.get(),
                                                    epoch_name(epoch).c_str(), 0) == 0;
  return linked ? 0 : errno;
}

void VmDirectory::remove(const std::string& name) {
  const int saved = errno;
  if (allowed("unlinkat")) ::unlinkat(fd_.get(), name.c_str(), 0);
  errno = saved;
}

Status VmDirectory::make_durable() {
  if (!allowed("fsync directory") || ::fsync(fd_.get()) != 0) {
    return failed("cannot make a claim durable", "");
  }
  return {};
}

// Old epochs and what crashed claimants left. Best effort: nothing depends on it.
void VmDirectory::sweep(const Listing& listing, std::optional<int64_t> storage_time) {
  for (const Epoch epoch : listing.epochs) {
    if (listing.newest() - epoch >= DirectoryArbiter::kKeptEpochs) remove(epoch_name(epoch));
  }
  if (!storage_time) return;
  for (const std::string& claim : listing.claims) {
    struct stat attributes = {};
    if (!allowed("fstatat") || ::fstatat(fd_.get(), claim.c_str(), &attributes, 0) != 0) continue;
    const int64_t age = *storage_time - attributes.st_mtim.tv_sec;
    if (age >= DirectoryArbiter::kStaleClaimSeconds) remove(claim);
  }
}

// What to say when another claim is the newest.
io::AcquireResult lost_to_newest(VmDirectory& directory, Epoch newest) {
  auto claim = directory.read_claim(newest);
  if (!claim) return io::AcquireResult::unreachable(std::move(claim.error()));
  return io::AcquireResult::lost(newest, std::move(claim->node));
}

// The epoch's file is ours. It counts when it is durable and still the newest.
io::AcquireResult confirm(VmDirectory& directory, Epoch epoch,
                          std::optional<int64_t> storage_time) {
  if (auto durable = directory.make_durable(); !durable) {
    return io::AcquireResult::unreachable(std::move(durable.error()));
  }
  const auto listing = directory.list();
  if (!listing) return io::AcquireResult::unreachable(listing.error());
  // Beside later epochs, this one may have been free only because it had been swept.
  if (listing->newest() > epoch) return lost_to_newest(directory, listing->newest());
  directory.sweep(*listing, storage_time);
  return io::AcquireResult::won(epoch);
}

// The answer when the register, as listed, decides it already.
std::optional<io::AcquireResult> decided_by(VmDirectory& directory, Epoch newest, Epoch from,
                                            const std::string& claim_id) {
  if (newest == from) return std::nullopt;
  if (newest < from) {
    return io::AcquireResult::unreachable(
        {ErrorCode::kCorrupt,
         fmt::format("the arbiter's register stands at epoch {}, behind epoch {}, in which this "
                     "node was live",
                     newest.value, from.value),
         "", "was the arbiter's directory replaced? put it back, or start the VM anew"});
  }
  auto claim = directory.read_claim(newest);
  if (!claim) return io::AcquireResult::unreachable(std::move(claim.error()));
  if (newest == from + 1 && claim->id == claim_id) {
    return confirm(directory, newest, std::nullopt);
  }
  return io::AcquireResult::lost(newest, std::move(claim->node));
}

}  // namespace

DirectoryArbiter::DirectoryArbiter(std::string directory, Interceptor interceptor)
    : directory_(std::move(directory)),
      interceptor_(std::move(interceptor)),
      claim_id_(random_identity()) {
}

Result<io::ArbiterRegister> DirectoryArbiter::read(std::string_view vm) {
  if (!usable_name(vm)) return fail(ErrorCode::kInvalid, "not a name for a VM:", std::string(vm));
  VmDirectory directory(directory_ + "/" + std::string(vm), interceptor_);
  const auto exists = directory.open(directory_, vm, false);
  if (!exists) return std::unexpected(exists.error());
  if (!*exists) return io::ArbiterRegister{};
  const auto listing = directory.list();
  if (!listing) return std::unexpected(listing.error());
  if (listing->epochs.empty()) return io::ArbiterRegister{};
  auto claim = directory.read_claim(listing->newest());
  if (!claim) return std::unexpected(std::move(claim.error()));
  return io::ArbiterRegister{claim->epoch, std::move(claim->node)};
}

io::AcquireResult DirectoryArbiter::acquire(std::string_view vm, Epoch from,
                                            std::string_view node) {
  if (!usable_name(vm) || !usable_name(node)) {
    return io::AcquireResult::unreachable(
        {ErrorCode::kInvalid, "not names for a VM and a node:", fmt::format("{}, {}", vm, node),
         "use letters, digits and dashes"});
  }
  VmDirectory directory(directory_ + "/" + std::string(vm), interceptor_);
  // Only before the first epoch there may be no directory yet.
  if (auto opened = directory.open(directory_, vm, from == Epoch()); !opened || !*opened) {
    if (!opened) return io::AcquireResult::unreachable(std::move(opened.error()));
    return *decided_by(directory, Epoch(), from, claim_id_);
  }
  const auto listing = directory.list();
  if (!listing) return io::AcquireResult::unreachable(listing.error());
  if (auto decided = decided_by(directory, listing->newest(), from, claim_id_)) return *decided;

  const Epoch epoch = from + 1;
  const std::string name = fmt::format("{}{}-{}", kClaimPrefix, claim_id_, claims_made_++);
  const auto storage_time = directory.write_claim(name, {epoch, std::string(node), claim_id_});
  if (!storage_time) {
    directory.remove(name);
    return io::AcquireResult::unreachable(storage_time.error());
  }
  const int reason = directory.link_claim(name, epoch);
  directory.remove(name);
  if (reason == 0) return confirm(directory, epoch, *storage_time);
  if (reason == EEXIST) {
    const auto again = directory.list();
    if (!again) return io::AcquireResult::unreachable(again.error());
    if (auto decided = decided_by(directory, again->newest(), from, claim_id_)) return *decided;
  }
  errno = reason;
  return io::AcquireResult::unreachable(
      fail_errno("cannot claim the epoch", directory_ + "/" + std::string(vm),
                 "the arbiter's directory must be on a file system with hard links")
          .error());
}

}  // namespace lockstep::posix
