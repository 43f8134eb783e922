#include "devices/virtio/block/block.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lockstep::devices::virtio {
namespace {

// Feature bits, §5.2.3.
constexpr uint64_t kFeatureSizeMax = uint64_t{1} << 1;
constexpr uint64_t kFeatureSegmentMax = uint64_t{1} << 2;
constexpr uint64_t kFeatureReadOnly = uint64_t{1} << 5;
constexpr uint64_t kFeatureBlockSize = uint64_t{1} << 6;
constexpr uint64_t kFeatureFlush = uint64_t{1} << 9;
constexpr uint64_t kFeatureDiscard = uint64_t{1} << 13;
constexpr uint64_t kFeatureWriteZeroes = uint64_t{1} << 14;

// Request types and status, §5.2.6.
constexpr uint32_t kTypeIn = 0;
constexpr uint32_t kTypeOut = 1;
constexpr uint32_t kTypeFlush = 4;
constexpr uint32_t kTypeGetId = 8;
constexpr uint32_t kTypeDiscard = 11;
constexpr uint32_t kTypeWriteZeroes = 13;
constexpr uint8_t kStatusOk = 0;
constexpr uint8_t kStatusIoError = 1;
constexpr uint8_t kStatusUnsupported = 2;

constexpr uint64_t kHeaderBytes = 16;
constexpr uint64_t kRangeBytes = 16;
constexpr uint32_t kRangeUnmap = 1;

constexpr uint16_t kRequestQueue = 0;

// Bytes that have to be held somewhere until the completion.
uint64_t carried_bytes(DiskOperation operation, uint64_t length) {
  return operation == DiskOperation::kRead || operation == DiskOperation::kWrite ? length : 0;
}

}  // namespace

Block::Block(Configuration configuration, OutputSink& sink)
    : configuration_(std::move(configuration)), sink_(sink) {
  if (configuration_.serial.size() > kSerialBytes) configuration_.serial.resize(kSerialBytes);
}

uint64_t Block::features() const {
  uint64_t features = kFeatureSizeMax | kFeatureSegmentMax | kFeatureBlockSize | kFeatureFlush;
  features |= configuration_.read_only ? kFeatureReadOnly : kFeatureDiscard | kFeatureWriteZeroes;
  return features;
}

void Block::read_configuration(uint64_t offset, std::span<std::byte> out) const {
  // struct virtio_blk_config, §5.2.4. Fields without their feature are zero.
  Bytes space;
  ByteWriter writer(space);
  writer.fixed<uint64_t>(configuration_.capacity_bytes / kSectorSize);
  writer.fixed<uint32_t>(kMaxSegmentBytes);
  writer.fixed<uint32_t>(kMaxSegments);
  writer.fixed<uint32_t>(0);  // geometry
  writer.fixed<uint32_t>(kSectorSize);
  writer.fixed<uint64_t>(0);  // topology
  writer.fixed<uint8_t>(0);   // writeback
  writer.fixed<uint8_t>(0);
  writer.fixed<uint16_t>(1);  // num_queues
  const bool writable = !configuration_.read_only;
  writer.fixed<uint32_t>(writable ? kMaxDiscardSectors : 0);
  writer.fixed<uint32_t>(writable ? 1 : 0);  // max_discard_seg
  writer.fixed<uint32_t>(writable ? kDiscardAlignmentSectors : 0);
  writer.fixed<uint32_t>(writable ? kMaxDiscardSectors : 0);
  writer.fixed<uint32_t>(writable ? 1 : 0);  // max_write_zeroes_seg
  writer.fixed<uint32_t>(0);                 // write_zeroes_may_unmap
  read_from_bytes(space, offset, out);
}

bool Block::at_limit() const {
  return outstanding_.size() >= kQueueSize ||
         outstanding_.size() + abandoned_.size() >= kMaxInFlight ||
         bytes_in_flight_ >= kMaxBytesInFlight;
}

void Block::notified(uint16_t queue_index) {
  CHECK(queue_index == kRequestQueue);
  submit_available();
}

void Block::submit_available() {
  if (at_limit() || !transport_->running()) return;
  drain(*transport_, kRequestQueue, [this](Chain& chain) {
    handle(chain);
    return !at_limit();
  });
  transport_->queue(kRequestQueue).request_notification();
  transport_->signal_used(kRequestQueue);
}

void Block::handle(Chain& chain) {
  std::byte raw[kHeaderBytes];
  if (gather(transport_->memory(), chain.readable, 0, raw) != kHeaderBytes ||
      chain.writable.empty()) {
    return transport_->fail_device();
  }
  ByteReader reader(raw);
  Header header;
  header.type = reader.fixed<uint32_t>();
  reader.fixed<uint32_t>();  // reserved
  header.sector = reader.fixed<uint64_t>();
  switch (header.type) {
    case kTypeIn:
    case kTypeOut:
      return handle_transfer(chain, header);
    case kTypeFlush:
      return submit(chain, DiskOperation::kFlush, 0, 0);
    case kTypeGetId:
      return answer_identity(chain);
    case kTypeDiscard:
    case kTypeWriteZeroes:
      return handle_range(chain, header);
    default:
      return finish(chain.head, chain.writable, kStatusUnsupported, 0);
  }
}

bool Block::within_disk(uint64_t sector, uint64_t length) const {
  const uint64_t sectors = configuration_.capacity_bytes / kSectorSize;
  return length % kSectorSize == 0 && sector <= sectors && length / kSectorSize <= sectors - sector;
}

void Block::handle_transfer(Chain& chain, const Header& header) {
  const bool is_write = header.type == kTypeOut;
  const uint64_t length =
      is_write ? total_length(chain.readable) - kHeaderBytes : total_length(chain.writable) - 1;
  if (length > kMaxRequestBytes || !within_disk(header.sector, length) ||
      (is_write && configuration_.read_only)) {
    return finish(chain.head, chain.writable, kStatusIoError, 0);
  }
  if (length == 0) return finish(chain.head, chain.writable, kStatusOk, 0);
  submit(chain, is_write ? DiskOperation::kWrite : DiskOperation::kRead,
         header.sector * kSectorSize, length);
}

void Block::handle_range(Chain& chain, const Header& header) {
  if (configuration_.read_only) return finish(chain.head, chain.writable, kStatusUnsupported, 0);
  // Exactly one struct virtio_blk_discard_write_zeroes, as the configuration says.
  std::byte raw[kRangeBytes];
  gather(transport_->memory(), chain.readable, kHeaderBytes, raw);
  if (total_length(chain.readable) != kHeaderBytes + kRangeBytes) {
    return finish(chain.head, chain.writable, kStatusIoError, 0);
  }
  ByteReader reader(raw);
  const auto sector = reader.fixed<uint64_t>();
  const auto sectors = reader.fixed<uint32_t>();
  const auto flags = reader.fixed<uint32_t>();
  const bool is_discard = header.type == kTypeDiscard;
  // §5.2.6.2: unknown flags, and unmap with a discard, are unsupported.
  const uint32_t known_flags = is_discard ? 0 : kRangeUnmap;
  if ((flags & ~known_flags) != 0) {
    return finish(chain.head, chain.writable, kStatusUnsupported, 0);
  }
  const uint64_t length = uint64_t{sectors} * kSectorSize;
  if (sectors > kMaxDiscardSectors || !within_disk(sector, length)) {
    return finish(chain.head, chain.writable, kStatusIoError, 0);
  }
  if (length == 0) return finish(chain.head, chain.writable, kStatusOk, 0);
  submit(chain, is_discard ? DiskOperation::kDiscard : DiskOperation::kWriteZeroes,
         sector * kSectorSize, length);
}

void Block::answer_identity(const Chain& chain) {
  Bytes identity(kSerialBytes, std::byte{0});
  const ByteView serial = as_byte_view(configuration_.serial);
  std::copy(serial.begin(), serial.end(), identity.begin());
  const uint64_t room = total_length(chain.writable) - 1;
  identity.resize(std::min<uint64_t>(identity.size(), room));
  scatter(transport_->memory(), chain.writable, 0, identity);
  finish(chain.head, chain.writable, kStatusOk, identity.size());
}

DiskRequest Block::disk_request(uint64_t number, const Request& request) const {
  DiskRequest out{configuration_.disk, number,         request.operation,
                  request.offset,      request.length, {}};
  if (request.operation == DiskOperation::kWrite) {
    out.data.resize(request.length);
    const size_t copied = gather(transport_->memory(), request.readable, kHeaderBytes, out.data);
    CHECK(copied == request.length);
  }
  return out;
}

void Block::submit(Chain& chain, DiskOperation operation, uint64_t offset, uint64_t length) {
  const uint64_t number = next_request_++;
  Request& request = outstanding_[number];
  request = {
      chain.head, operation, offset, length, std::move(chain.readable), std::move(chain.writable)};
  bytes_in_flight_ += carried_bytes(operation, length);
  sink_.disk_request(disk_request(number, request));
}

void Block::finish(uint16_t head, const Segments& writable, uint8_t status, uint64_t data_written) {
  const uint64_t status_offset = total_length(writable) - 1;
  const std::byte status_byte[] = {std::byte{status}};
  scatter(transport_->memory(), writable, status_offset, status_byte);
  // §2.7.8.2: the length counts bytes from the start on, so the status only after all the data.
  const uint64_t written = data_written == status_offset ? data_written + 1 : data_written;
  transport_->queue(kRequestQueue).push(head, static_cast<uint32_t>(written));
}

void Block::complete(const log::DiskCompletion& completion) {
  const bool had_stopped = at_limit();
  if (const auto found = outstanding_.find(completion.request); found != outstanding_.end()) {
    const Request request = std::move(found->second);
    outstanding_.erase(found);
    bytes_in_flight_ -= carried_bytes(request.operation, request.length);
    finish_outstanding(request, completion);
  } else if (const auto late = abandoned_.find(completion.request); late != abandoned_.end()) {
    bytes_in_flight_ -= late->second;
    abandoned_.erase(late);
  }
  if (had_stopped) submit_available();
}

void Block::finish_outstanding(const Request& request, const log::DiskCompletion& completion) {
  if (!transport_->running()) return;
  const bool is_read = request.operation == DiskOperation::kRead;
  bool ok = completion.status == log::DiskStatus::kOk;
  if (is_read && completion.data.size() != request.length) ok = false;
  uint64_t written = 0;
  if (ok && is_read) {
    written = scatter(transport_->memory(), request.writable, 0, completion.data);
  }
  finish(request.head, request.writable, ok ? kStatusOk : kStatusIoError, written);
  transport_->signal_used(kRequestQueue);
}

std::vector<DiskRequest> Block::outstanding() const {
  // Every abandoned number is below every outstanding one.
  std::vector<DiskRequest> requests;
  requests.reserve(abandoned_.size() + outstanding_.size());
  for (const auto& [number, bytes] : abandoned_) {
    requests.push_back({configuration_.disk, number, DiskOperation::kFlush, 0, 0, {}});
  }
  for (const auto& [number, request] : outstanding_) {
    requests.push_back(disk_request(number, request));
  }
  return requests;
}

void Block::abandon_outstanding() {
  for (const auto& [number, request] : outstanding_) {
    abandoned_[number] = carried_bytes(request.operation, request.length);
  }
  outstanding_.clear();
}

void Block::queue_stopped(uint16_t) {
  abandon_outstanding();
}

void Block::reset() {
  abandon_outstanding();
}

void Block::visit_request(StateVisitor& visitor, uint64_t& number, Request& request) {
  visitor.field("number", number);
  visitor.field("head", request.head);
  visitor.field("operation", request.operation);
  visitor.field("offset", request.offset);
  visitor.field("length", request.length);
  visit_segments(visitor, "readable", transport_->memory(), request.readable);
  visit_segments(visitor, "writable", transport_->memory(), request.writable);
}

bool Block::is_possible(const Request& request) const {
  if (request.operation > DiskOperation::kWriteZeroes || request.writable.empty()) return false;
  if (!within_disk(request.offset / kSectorSize, request.length)) return false;
  if (request.operation != DiskOperation::kWrite) return true;
  return request.length <= kMaxRequestBytes &&
         total_length(request.readable) == kHeaderBytes + request.length;
}

void Block::restore_request(StateVisitor& visitor) {
  uint64_t number = 0;
  Request request;
  visit_request(visitor, number, request);
  if (!is_possible(request) || number >= next_request_) return visitor.reject("operation");
  if (outstanding_.contains(number) || abandoned_.contains(number)) {
    return visitor.reject("number");
  }
  bytes_in_flight_ += carried_bytes(request.operation, request.length);
  outstanding_[number] = std::move(request);
}

void Block::restore_abandoned(StateVisitor& visitor) {
  uint64_t number = 0;
  uint64_t bytes = 0;
  visitor.field("number", number);
  visitor.field("bytes", bytes);
  if (number >= next_request_ || bytes > kMaxRequestBytes) return visitor.reject("bytes");
  if (abandoned_.contains(number)) return visitor.reject("number");
  bytes_in_flight_ += bytes;
  abandoned_[number] = bytes;
}

void Block::visit_state(StateVisitor& visitor) {
  visitor.enter("virtio-blk", configuration_.disk.value);
  visitor.field("next_request", next_request_);
  const uint64_t abandoned = visitor.count("abandoned", abandoned_.size(), kMaxInFlight);
  const uint64_t outstanding = visitor.count("outstanding", outstanding_.size(), kQueueSize);
  if (visitor.restoring()) {
    abandoned_.clear();
    outstanding_.clear();
    bytes_in_flight_ = 0;
    for (uint64_t i = 0; i < abandoned; ++i) restore_abandoned(visitor);
    for (uint64_t i = 0; i < outstanding; ++i) restore_request(visitor);
  } else {
    // A map's key cannot be visited in place.
    for (auto& [key, bytes] : abandoned_) {
      uint64_t number = key;
      visitor.field("number", number);
      visitor.field("bytes", bytes);
    }
    for (auto& [key, request] : outstanding_) {
      uint64_t number = key;
      visit_request(visitor, number, request);
    }
  }
  visitor.leave();
}

}  // namespace lockstep::devices::virtio
