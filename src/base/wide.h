// The 128-bit integer, named once: -Wpedantic accepts it only behind __extension__.
#pragma once

namespace lockstep {

__extension__ typedef unsigned __int128 Uint128;
__extension__ typedef __int128 Int128;

}  // namespace lockstep
