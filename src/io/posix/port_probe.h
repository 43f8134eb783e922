// Is a port of this host free? Binds it and lets it go, so the answer may be out of date at once:
// it is for a good error message before anything starts, not for a reservation.
//
// Thread-safe: nothing here is shared.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace lockstep::posix {

enum class TransportProtocol : uint8_t { kTcp, kUdp };

// `address`: IPv4 in dotted form. Port 0 is always free. Error kInUse when it is taken.
Status check_port_free(TransportProtocol protocol, const std::string& address, uint16_t port);

}  // namespace lockstep::posix
