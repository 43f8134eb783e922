#include "replication/failure_detector.h"

#include <gtest/gtest.h>

namespace lockstep::replication {
namespace {

constexpr uint64_t kMs = 1'000'000;

HostTime at_ms(uint64_t ms) {
  return HostTime(ms * kMs);
}

// A detector that ticks every 10 ms and hears its peer every `beat_ms`, up to and with `end_ms`.
void live(FailureDetector& detector, uint64_t from_ms, uint64_t end_ms, uint64_t beat_ms) {
  for (uint64_t ms = from_ms; ms <= end_ms; ms += 10) {
    detector.awake(at_ms(ms));
    if ((ms - from_ms) % beat_ms == 0) detector.heard(at_ms(ms));
  }
}

// When silence from `silent_from_ms` on is suspected.
uint64_t suspected_at(FailureDetector& detector, uint64_t silent_from_ms) {
  for (uint64_t ms = silent_from_ms;; ms += 10) {
    detector.awake(at_ms(ms));
    if (detector.suspects(at_ms(ms))) return ms;
    if (ms > silent_from_ms + 10'000) return 0;
  }
}

TEST(FailureDetector, SuspectsAfterTheTimeout) {
  FailureDetector detector(10, 100, FailureDetector::kBackupPatiencePermille);
  detector.start(at_ms(0));
  live(detector, 0, 1'000, 10);
  EXPECT_FALSE(detector.suspects(at_ms(1'000)));
  EXPECT_EQ(suspected_at(detector, 1'010), 1'100u);
}

TEST(FailureDetector, ThePrimarySuspectsFirst) {
  FailureDetector detector(10, 100, FailureDetector::kPrimaryPatiencePermille);
  detector.start(at_ms(0));
  live(detector, 0, 1'000, 10);
  EXPECT_EQ(suspected_at(detector, 1'010), 1'080u);
}

TEST(FailureDetector, IsPatientWithAStutteringChannelAndForgetsIt) {
  FailureDetector detector(10, 100, FailureDetector::kBackupPatiencePermille);
  detector.start(at_ms(0));
  live(detector, 0, 1'000, 10);
  live(detector, 1'090, 1'990, 90);
  EXPECT_EQ(detector.timeout_ns(), 180 * kMs);
  // Two windows of a hundred beats later nothing of it is left.
  live(detector, 2'000, 5'000, 10);
  EXPECT_EQ(detector.timeout_ns(), 100 * kMs);
}

TEST(FailureDetector, IsPatientWithAChannelThatItDoesNotKnowYet) {
  FailureDetector detector(10, 100, FailureDetector::kBackupPatiencePermille);
  detector.start(at_ms(0));
  live(detector, 0, 500, 10);
  EXPECT_EQ(suspected_at(detector, 510), 500u + FailureDetector::kUnknownStretch * 100);
}

TEST(FailureDetector, StretchesOnlySoFar) {
  FailureDetector detector(10, 100, FailureDetector::kBackupPatiencePermille);
  detector.start(at_ms(0));
  live(detector, 0, 4'000, 390);
  EXPECT_EQ(detector.timeout_ns(), FailureDetector::kMaxStretch * 100 * kMs);
}

TEST(FailureDetector, AfterItsOwnAbsenceItReadsItsInputFirst) {
  FailureDetector detector(10, 100, FailureDetector::kBackupPatiencePermille);
  detector.start(at_ms(0));
  live(detector, 0, 1'000, 10);
  EXPECT_TRUE(detector.awake(at_ms(1'900)));
  EXPECT_FALSE(detector.suspects(at_ms(1'900)));
  detector.heard(at_ms(1'901));
  EXPECT_FALSE(detector.awake(at_ms(1'910)));
  EXPECT_FALSE(detector.suspects(at_ms(1'910)));
  EXPECT_EQ(detector.timeout_ns(), 100 * kMs) << "its own gap is not the channel's jitter";
}

TEST(FailureDetector, AfterItsOwnAbsenceAPeerThatIsGoneIsSuspectedOneBeatLater) {
  FailureDetector detector(10, 100, FailureDetector::kBackupPatiencePermille);
  detector.start(at_ms(0));
  live(detector, 0, 100, 10);
  EXPECT_EQ(suspected_at(detector, 1'000), 1'010u);
}

}  // namespace
}  // namespace lockstep::replication
