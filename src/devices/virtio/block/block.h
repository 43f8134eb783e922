// virtio-blk (virtio 1.2 §5.2): one disk, one queue, many requests in flight.
//
// On a notification everything available is taken: what a write carries is copied out at once, and
// each request leaves through OutputSink::disk_request under a number that is never used again,
// not even after a reset. Its log::DiskCompletion writes data and status into the guest, whenever
// it is applied, in whatever order. What needs no disk (bad requests, the serial number) is
// answered at once.
//
// Invariants
//   1. A number is outstanding, abandoned (from before a reset, and not yet completed) or done; a
//      completion changes the guest only if its request is outstanding.
//   2. At most kQueueSize requests are outstanding, at most kMaxInFlight in flight (abandoned ones
//      with them), and they carry less than kMaxBytesInFlight bytes plus one request. At each of
//      these bounds chains stay in the ring until a completion makes room.
//
// A request that leaves the disk, that is not whole sectors or that is too long, or a write to a
// read-only disk, ends with VIRTIO_BLK_S_IOERR; an unknown type with VIRTIO_BLK_S_UNSUPP. A chain
// without a whole header or a status byte breaks the device.
//
// Owner: the vCPU thread. Units: bytes, and sectors of 512 bytes where the name says so.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "devices/device.h"
#include "devices/virtio/model.h"
#include "log/entry.h"

namespace lockstep::devices::virtio {

class Block : public Model {
 public:
  static constexpr uint16_t kQueueSize = 256;
  static constexpr uint64_t kSectorSize = 512;
  // Told to the driver: segments per request, so that with header and status a chain fits the
  // queue (§2.7.4.1), and bytes per segment.
  static constexpr uint32_t kMaxSegments = kQueueSize - 2;
  static constexpr uint32_t kMaxSegmentBytes = 256 * 1024;
  // Enforced: a firmware that ignores the limits above may still load a kernel in one read.
  static constexpr uint64_t kMaxRequestBytes = 64 * 1024 * 1024;
  static constexpr size_t kMaxInFlight = 2 * kQueueSize;
  static constexpr uint64_t kMaxBytesInFlight = 64 * 1024 * 1024;
  static constexpr uint32_t kMaxDiscardSectors = 4 * 1024 * 1024;
  // Discards that punch whole blocks of the host's file system.
  static constexpr uint32_t kDiscardAlignmentSectors = 8;
  static constexpr size_t kSerialBytes = 20;  // §5.2.6, VIRTIO_BLK_T_GET_ID

  struct Configuration {
    DeviceIndex disk;
    uint64_t capacity_bytes = 0;  // a last part of a sector is not visible
    bool read_only = false;
    std::string serial;  // cut to kSerialBytes
  };

  Block(Configuration configuration, OutputSink& sink);

  DeviceType type() const override { return DeviceType::kBlock; }
  uint64_t features() const override;
  std::vector<uint16_t> queue_sizes() const override { return {kQueueSize}; }
  void attach(Transport& transport) override { transport_ = &transport; }
  void read_configuration(uint64_t offset, std::span<std::byte> out) const override;
  void notified(uint16_t queue_index) override;
  void queue_stopped(uint16_t queue_index) override;
  void reset() override;
  void visit_state(StateVisitor& visitor) override;

  // Applies a completion of this disk. A read's data is present when its status is kOk: from the
  // log, or from the replica's own disk (M14); data of another length is an I/O error.
  void complete(const log::DiskCompletion& completion);

  // Whether a completion of this number is owed: the request was submitted and is not yet complete.
  bool awaits(uint64_t request) const {
    return outstanding_.contains(request) || abandoned_.contains(request);
  }

  // The requests in flight, oldest first, as they were submitted: to be issued again by a replica
  // that goes live. A write's data is taken from the guest's buffer as it is now (the driver must
  // leave it alone until the request is done). An abandoned request is listed as a flush: only that
  // it completes still matters.
  std::vector<DiskRequest> outstanding() const;

 private:
  struct Request {
    uint16_t head = 0;
    DiskOperation operation = DiskOperation::kRead;
    uint64_t offset = 0;
    uint64_t length = 0;
    Segments readable;
    Segments writable;
  };
  struct Header {
    uint32_t type = 0;
    uint64_t sector = 0;
  };

  bool at_limit() const;
  void submit_available();
  void handle(Chain& chain);
  void handle_transfer(Chain& chain, const Header& header);
  void handle_range(Chain& chain, const Header& header);
  void answer_identity(const Chain& chain);
  void submit(Chain& chain, DiskOperation operation, uint64_t offset, uint64_t length);
  void finish(uint16_t head, const Segments& writable, uint8_t status, uint64_t data_written);
  bool within_disk(uint64_t sector, uint64_t length) const;
  DiskRequest disk_request(uint64_t number, const Request& request) const;
  void abandon_outstanding();
  void finish_outstanding(const Request& request, const log::DiskCompletion& completion);
  void visit_request(StateVisitor& visitor, uint64_t& number, Request& request);
  void restore_request(StateVisitor& visitor);
  void restore_abandoned(StateVisitor& visitor);
  bool is_possible(const Request& request) const;

  Configuration configuration_;
  OutputSink& sink_;
  Transport* transport_ = nullptr;
  uint64_t next_request_ = 0;
  std::map<uint64_t, Request> outstanding_;
  std::map<uint64_t, uint64_t> abandoned_;  // by number: bytes carried
  uint64_t bytes_in_flight_ = 0;            // derived: the sum over both of what is carried
};

}  // namespace lockstep::devices::virtio
