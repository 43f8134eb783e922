#include "overlay_disk.h"

#include <algorithm>

namespace lockstep::bench {

Status OverlayDisk::read(uint64_t offset, std::span<std::byte> out) {
  if (Status status = base_->read(offset, out); !status) return status;
  for (uint64_t done = 0; done < out.size(); done += kSectorBytes) {
    const auto found = written_.find((offset + done) / kSectorBytes);
    if (found == written_.end()) continue;
    std::ranges::copy(found->second, out.subspan(done).begin());
  }
  return {};
}

Status OverlayDisk::write(uint64_t offset, ByteView data) {
  for (uint64_t done = 0; done < data.size(); done += kSectorBytes) {
    const ByteView sector = data.subspan(done, kSectorBytes);
    written_[(offset + done) / kSectorBytes].assign(sector.begin(), sector.end());
  }
  return {};
}

Status OverlayDisk::discard(uint64_t offset, uint64_t length) {
  const Bytes zeroes(kSectorBytes);
  for (uint64_t done = 0; done < length; done += kSectorBytes) {
    written_[(offset + done) / kSectorBytes] = zeroes;
  }
  return {};
}

}  // namespace lockstep::bench
