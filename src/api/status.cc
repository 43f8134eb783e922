#include "api/status.h"

#include <algorithm>
#include <array>
#include <utility>

#include "api/json_fields.h"

namespace lockstep::api {
namespace {

template <typename Enum>
struct Name {
  Enum value;
  std::string_view text;
};

constexpr std::array kStateNames{
    Name{ReplicaState::kStarting, "starting"},
    Name{ReplicaState::kSolo, "solo"},
    Name{ReplicaState::kCloning, "cloning"},
    Name{ReplicaState::kProtected, "protected"},
    Name{ReplicaState::kFailingOver, "failing-over"},
    Name{ReplicaState::kWaitingForArbiter, "waiting-for-arbiter"},
    Name{ReplicaState::kHalted, "halted"},
    Name{ReplicaState::kDiverged, "diverged"},
    Name{ReplicaState::kOff, "off"},
    Name{ReplicaState::kGone, "gone"},
};

constexpr std::array kRoleNames{Name{Role::kPrimary, "primary"}, Name{Role::kBackup, "backup"},
                                Name{Role::kNone, "none"}};

constexpr std::array kErrorCodes{
    ErrorCode::kInvalid, ErrorCode::kNotFound,     ErrorCode::kInUse,
    ErrorCode::kCorrupt, ErrorCode::kIncompatible, ErrorCode::kUnavailable,
    ErrorCode::kNoSpace, ErrorCode::kDiverged,     ErrorCode::kSystem};

template <typename Enum, size_t kCount>
std::string_view name_of(const std::array<Name<Enum>, kCount>& names, Enum value) {
  const auto found = std::ranges::find(names, value, &Name<Enum>::value);
  return found == names.end() ? "?" : found->text;
}

template <typename Enum, size_t kCount>
std::optional<Enum> value_of(const std::array<Name<Enum>, kCount>& names, std::string_view text) {
  const auto found = std::ranges::find(names, text, &Name<Enum>::text);
  if (found == names.end()) return std::nullopt;
  return found->value;
}

}  // namespace

std::string_view to_string(ReplicaState state) {
  return name_of(kStateNames, state);
}

std::optional<ReplicaState> parse_replica_state(std::string_view text) {
  return value_of(kStateNames, text);
}

std::string_view to_string(Role role) {
  return name_of(kRoleNames, role);
}

template <>
std::optional<ReplicaState> parse_enum<ReplicaState>(std::string_view text) {
  return value_of(kStateNames, text);
}

template <>
std::optional<Role> parse_enum<Role>(std::string_view text) {
  return value_of(kRoleNames, text);
}

template <>
std::optional<ErrorCode> parse_enum<ErrorCode>(std::string_view text) {
  const auto found = std::ranges::find(kErrorCodes, text, [](ErrorCode code) {
    return std::string_view(lockstep::to_string(code));
  });
  if (found == kErrorCodes.end()) return std::nullopt;
  return *found;
}

// The lists of fields. `auto&` stands for both the type and its const form.
template <typename T, typename U>
concept IsA = std::same_as<std::remove_const_t<T>, U>;

void visit_fields(auto&& fields, IsA<EntryTraffic> auto& traffic) {
  fields("entries", traffic.entries);
  fields("bytes", traffic.bytes);
  fields("bits_per_second", traffic.bits_per_second);
}

void visit_fields(auto&& fields, IsA<FailoverRecord> auto& failover) {
  fields("when", failover.when);
  fields("blackout_ms", failover.blackout_ms);
  fields("reason", failover.reason);
}

void visit_fields(auto&& fields, IsA<EngineStatus> auto& engine) {
  fields("name", engine.name);
  fields("steps_per_second", engine.steps_per_second);
  fields("walks", engine.walks);
  fields("superblocks", engine.superblocks);
  fields("instructions", engine.instructions);
  fields("code_bytes", engine.code_bytes);
  fields("invalidated", engine.invalidated);
  fields("evicted", engine.evicted);
  fields("interpreted_steps", engine.interpreted_steps);
  fields("data_misses", engine.data_misses);
  fields("fetch_misses", engine.fetch_misses);
  fields("cold_exits", engine.cold_exits);
  fields("budget_exits", engine.budget_exits);
  fields("step_exits", engine.step_exits);
  fields("leave_exits", engine.leave_exits);
  fields("single_steps", engine.single_steps);
}

void visit_fields(auto&& fields, IsA<ReplicaStatus> auto& status) {
  fields("vm", status.vm);
  fields("node", status.node);
  fields("role", status.role);
  fields("state", status.state);
  fields("reason", status.reason);
  fields("pid", status.pid);
  fields("epoch", status.epoch);
  fields("step", status.step);
  fields("guest_time_s", status.guest_time_s);
  fields("peer_connected", status.peer_connected);
  fields("heartbeat_age_ms", status.heartbeat_age_ms);
  fields("lag_ms", status.lag_ms);
  fields("unacknowledged_bytes", status.unacknowledged_bytes);
  fields("channel_sent_bytes", status.channel_sent_bytes);
  fields("channel_received_bytes", status.channel_received_bytes);
  fields("hold_time_p50_us", status.hold_time_p50_us);
  fields("hold_time_p99_us", status.hold_time_p99_us);
  fields("throttle_permille", status.throttle_permille);
  fields("log", status.log);
  fields("failovers", status.failovers);
  fields("engine", status.engine);
  fields("divergence", status.divergence);
}

void visit_fields(auto&& fields, IsA<EventRecord> auto& event) {
  fields("when", event.when);
  fields("kind", event.kind);
  fields("text", event.text);
}

void visit_fields(auto&& fields, IsA<ReplicaView> auto& view) {
  fields("alive", view.alive);
  visit_fields(fields, view.status);
}

void visit_fields(auto&& fields, IsA<Error> auto& error) {
  fields("code", error.code);
  fields("what", error.what);
  fields("object", error.object);
  fields("advice", error.advice);
}

namespace {

// A guest's or a file's bytes may stand in texts: what is not UTF-8 is replaced, never thrown at.
std::string dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

template <typename T>
Result<T> parse(std::string_view text, const std::string& object,
                void (*read)(const Json&, T&, ParseFailure&)) {
  const Json json = Json::parse(text, nullptr, false);
  ParseFailure failure;
  T value{};
  if (json.is_discarded()) {
    failure.set("", "is not JSON");
  } else {
    read(json, value, failure);
  }
  if (!failure.failed()) return value;
  return fail(ErrorCode::kIncompatible, "cannot understand the answer from", object,
              failure.text + "; are both programs of one version?");
}

template <typename T>
Result<T> parse_fields(std::string_view text, const std::string& object) {
  return parse<T>(text, object, [](const Json& json, T& value, ParseFailure& failure) {
    from_value(json, value, "", failure);
  });
}

Json gateway_json(const GatewayView& gateway) {
  Json out = Json::object();
  out["alive"] = gateway.alive;
  out["pid"] = gateway.pid;
  out["problem"] = gateway.problem;
  out["details"] = Json::parse(gateway.details_json, nullptr, false);
  if (!out["details"].is_object()) out["details"] = Json::object();
  return out;
}

struct GatewayFields {
  bool alive = false;
  int pid = 0;
  std::string problem;
};

void visit_fields(auto&& fields, IsA<GatewayFields> auto& gateway) {
  fields("alive", gateway.alive);
  fields("pid", gateway.pid);
  fields("problem", gateway.problem);
}

void read_gateway(Json json, GatewayView& gateway, ParseFailure& failure) {
  if (!json.is_object()) return failure.set("gateway", "must be an object");
  const auto details = json.find("details");
  if (details == json.end() || !details->is_object()) {
    return failure.set("gateway.details", "must be an object");
  }
  gateway.details_json = dump(*details);
  json.erase("details");
  GatewayFields known;
  from_value(json, known, "gateway", failure);
  gateway.alive = known.alive;
  gateway.pid = known.pid;
  gateway.problem = known.problem;
}

struct VmFields {
  std::string name;
  ReplicaState state = ReplicaState::kGone;
  std::string reason;
  std::vector<ReplicaView> replicas;
};

void visit_fields(auto&& fields, IsA<VmFields> auto& vm) {
  fields("name", vm.name);
  fields("state", vm.state);
  fields("reason", vm.reason);
  fields("replicas", vm.replicas);
}

// The replica whose state is the VM's, or null without any.
const ReplicaView* deciding_replica(const VmStatus& vm) {
  const auto best = std::ranges::max_element(vm.replicas, {}, [](const ReplicaView& view) {
    return std::pair(view.alive + (view.alive && view.status.role == Role::kPrimary),
                     view.status.epoch);
  });
  return best == vm.replicas.end() ? nullptr : &*best;
}

}  // namespace

double ReplicaStatus::log_bits_per_second() const {
  double sum = 0;
  for (const auto& [kind, traffic] : log) sum += traffic.bits_per_second;
  return sum;
}

ReplicaState VmStatus::state() const {
  const ReplicaView* replica = deciding_replica(*this);
  return replica == nullptr ? ReplicaState::kOff : replica->status.state;
}

std::string VmStatus::reason() const {
  const ReplicaView* replica = deciding_replica(*this);
  return replica == nullptr ? "not started" : replica->status.reason;
}

std::string to_json(const ReplicaStatus& status) {
  return dump(to_value(status));
}

std::string to_json(const std::vector<EventRecord>& events) {
  return dump(to_value(events));
}

std::string to_json(const VmStatus& status) {
  Json out = to_value(VmFields{status.name, status.state(), status.reason(), status.replicas});
  out["gateway"] = gateway_json(status.gateway);
  return dump(out, 2);
}

std::string to_json(const Error& error) {
  return dump(to_value(error));
}

Result<ReplicaStatus> parse_replica_status(std::string_view json, const std::string& object) {
  return parse_fields<ReplicaStatus>(json, object);
}

Result<std::vector<EventRecord>> parse_events(std::string_view json, const std::string& object) {
  return parse_fields<std::vector<EventRecord>>(json, object);
}

Result<VmStatus> parse_vm_status(std::string_view json, const std::string& object) {
  return parse<VmStatus>(json, object, [](const Json& read, VmStatus& vm, ParseFailure& failure) {
    const auto gateway = read.find("gateway");
    if (!read.is_object() || gateway == read.end()) return failure.set("gateway", "is missing");
    read_gateway(*gateway, vm.gateway, failure);
    Json rest = read;
    rest.erase("gateway");
    VmFields known;
    from_value(rest, known, "", failure);
    vm.name = known.name;
    vm.replicas = known.replicas;
  });
}

Result<Error> parse_error(std::string_view json, const std::string& object) {
  return parse_fields<Error>(json, object);
}

}  // namespace lockstep::api
