#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "replication/core_driver.h"

namespace lockstep::replication {
namespace {

using io::AcquireResult;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t kPeer = 1;

Hello hello() {
  return {kProtocolVersion, "vm", "b", Epoch(0), {1, 2}, "1"};
}

FrameAppended frame(uint64_t position, uint64_t horizon, size_t size = 10) {
  return {LogPosition(position), Step(horizon), GuestTicks(horizon), Bytes(size)};
}

Acknowledge ack(uint64_t position, uint64_t heartbeat_seen = 0, uint64_t executed = 0) {
  return {Epoch(1), LogPosition(position), heartbeat_seen, Step(executed), GuestTicks(executed), 0};
}

class PrimaryRoleTest : public testing::Test {
 protected:
  explicit PrimaryRoleTest(Options options = test_options("a")) : primary_(std::move(options)) {}

  void start() {
    primary_.step(Started{Role::kPrimary, Epoch(0)});
    primary_.step(ArbiterAnswered{AcquireResult::won(Epoch(1))});
  }
  void protect() {
    start();
    primary_.step(PeerConnected{ConnectionId(kPeer)});
    primary_.receive(kPeer, hello());
    ASSERT_EQ(primary_.state(), VmState::kProtected);
  }
  void become_solo() {
    start();
    primary_.pass_ms(500);
    ASSERT_EQ(primary_.state(), VmState::kSolo);
  }
  // Time passes and the backup answers every heartbeat.
  void pass_with_acknowledgements(uint64_t ms, uint64_t position, uint64_t& heartbeat) {
    for (uint64_t passed = 0; passed < ms; passed += 10) {
      primary_.pass_ms(10);
      if (const auto* beat = primary_.sent<Heartbeat>()) heartbeat = beat->sequence;
      primary_.receive(kPeer, ack(position, heartbeat));
    }
  }

  CoreDriver primary_;
};

TEST_F(PrimaryRoleTest, RunsOnlyAfterItHasWon) {
  primary_.step(Started{Role::kPrimary, Epoch(4)});
  EXPECT_EQ(primary_.find<AskArbiter>()->from, Epoch(4));
  EXPECT_FALSE(primary_.did<StartExecuting>());
  primary_.step(PeerConnected{ConnectionId(kPeer)});
  primary_.receive(kPeer, hello());
  EXPECT_FALSE(primary_.did<StartExecuting>()) << "the backup came before the arbiter's answer";
  EXPECT_EQ(primary_.sent<Welcome>(), nullptr);
  primary_.step(ArbiterAnswered{AcquireResult::won(Epoch(5))});
  EXPECT_EQ(primary_.find<StartExecuting>()->epoch, Epoch(5));
  EXPECT_EQ(*primary_.sent<Welcome>(), (Welcome{Epoch(5), "a", LogPosition(1)}));
}

TEST_F(PrimaryRoleTest, HaltsWhenAnotherNodeIsLive) {
  primary_.step(Started{Role::kPrimary, Epoch(0)});
  primary_.step(ArbiterAnswered{AcquireResult::lost(Epoch(1), "other")});
  EXPECT_EQ(primary_.find<Halt>()->state, VmState::kHalted);
  EXPECT_THAT(primary_.view().reason, HasSubstr("other"));
  EXPECT_FALSE(primary_.did<StartExecuting>());
}

TEST_F(PrimaryRoleTest, GoesOnAloneWhenNoBackupComesInTime) {
  start();
  primary_.pass_ms(490);
  EXPECT_EQ(primary_.state(), VmState::kStarting);
  primary_.pass_ms(10);
  EXPECT_EQ(primary_.state(), VmState::kSolo);
  EXPECT_TRUE(primary_.did<StartExecuting>());
  primary_.step(OutputProduced{output_at(0, 0)});
  EXPECT_THAT(primary_.released(), ElementsAre(0));
}

TEST_F(PrimaryRoleTest, RefusesABackupThatDoesNotFitAndNamesBoth) {
  struct Case {
    Hello hello;
    const char* text;
  };
  std::vector<Case> cases(6, {hello(), ""});
  cases[0].hello.vm = std::string("other-vm");
  cases[0].text = "primary runs VM vm, the backup is for VM other-vm";
  cases[1].hello.build_version = std::string("2");
  cases[1].text = "primary is Lockstep 1, the backup is 2";
  cases[2].hello.machine_fingerprint = {9, 9};
  cases[2].text = "machines differ";
  cases[3].hello.protocol_version = 7;
  cases[3].text = "version 1, the backup 7";
  cases[4].hello.node = std::string("a");
  cases[4].text = "both named a";
  cases[5].hello.epoch = Epoch(9);
  cases[5].text = "knows of epoch 9";
  start();
  uint64_t connection = 10;
  for (const Case& wrong : cases) {
    primary_.step(PeerConnected{ConnectionId(++connection)});
    primary_.receive(connection, wrong.hello);
    ASSERT_NE(primary_.sent<Refuse>(), nullptr) << wrong.text;
    EXPECT_THAT(primary_.sent<Refuse>()->reason, HasSubstr(wrong.text));
    EXPECT_TRUE(primary_.did<CloseChannel>());
  }
  EXPECT_EQ(primary_.state(), VmState::kStarting);
}

TEST_F(PrimaryRoleTest, RefusesASecondBackupAndALateOne) {
  protect();
  primary_.step(PeerConnected{ConnectionId(2)});
  primary_.receive(2, hello());
  EXPECT_THAT(primary_.sent<Refuse>()->reason, HasSubstr("a backup already: b"));
  EXPECT_EQ(primary_.state(), VmState::kProtected);

  primary_.step(PeerDisconnected{ConnectionId(kPeer), "reset"});
  primary_.step(ArbiterAnswered{AcquireResult::won(Epoch(2))});
  primary_.step(PeerConnected{ConnectionId(3)});
  primary_.receive(3, hello());
  EXPECT_THAT(primary_.sent<Refuse>()->reason, HasSubstr("needs a clone"));
}

TEST_F(PrimaryRoleTest, ReleasesWhenTheBackupHoldsTheCause) {
  protect();
  primary_.step(OutputProduced{output_at(3, 0)});
  EXPECT_THAT(primary_.released(), IsEmpty());
  primary_.step(frame(1, 4));
  EXPECT_EQ(primary_.sent<LogFrame>()->position, LogPosition(1));
  EXPECT_THAT(primary_.released(), IsEmpty());
  primary_.receive(kPeer, ack(1));
  EXPECT_THAT(primary_.released(), ElementsAre(0));
  primary_.step(frame(2, 5));
  EXPECT_EQ(primary_.sent<LogFrame>()->released_before, Step(4));
}

TEST_F(PrimaryRoleTest, AsksBeforeItGoesOnAloneAndKeepsTheGateShutMeanwhile) {
  protect();
  primary_.step(OutputProduced{output_at(3, 0)});
  primary_.step(frame(1, 4));
  primary_.step(PeerDisconnected{ConnectionId(kPeer), "end of file"});
  EXPECT_EQ(primary_.state(), VmState::kWaitingForArbiter);
  EXPECT_EQ(primary_.find<AskArbiter>()->from, Epoch(1));
  primary_.step(OutputProduced{output_at(4, 1)});
  primary_.step(frame(2, 5));
  EXPECT_THAT(primary_.released(), IsEmpty());
  primary_.step(ArbiterAnswered{AcquireResult::won(Epoch(2))});
  EXPECT_THAT(primary_.released(), ElementsAre(0, 1));
  EXPECT_EQ(primary_.state(), VmState::kSolo);
  EXPECT_EQ(primary_.view().epoch, Epoch(2));
  EXPECT_FALSE(primary_.did<StartExecuting>()) << "it runs already";
}

TEST_F(PrimaryRoleTest, TheLoserDropsWhatItHeldAndEnds) {
  protect();
  primary_.step(OutputProduced{output_at(3, 0)});
  primary_.step(PeerDisconnected{ConnectionId(kPeer), "end of file"});
  primary_.step(ArbiterAnswered{AcquireResult::lost(Epoch(2), "b")});
  EXPECT_TRUE(primary_.did<DropHeldOutputs>());
  EXPECT_EQ(primary_.find<Halt>()->state, VmState::kHalted);
  primary_.step(OutputProduced{output_at(4, 1)});
  EXPECT_THAT(primary_.released(), IsEmpty());
  primary_.step(PeerConnected{ConnectionId(4)});
  EXPECT_THAT(primary_.sent<Refuse>()->reason, HasSubstr("halted"));
}

TEST_F(PrimaryRoleTest, AsksAgainWithGrowingPausesWhileTheArbiterIsOutOfReach) {
  protect();
  primary_.step(OutputProduced{output_at(3, 0)});
  primary_.step(PeerDisconnected{ConnectionId(kPeer), "end of file"});
  uint64_t expected_ms = kArbiterRetryMinMs;
  for (int round = 0; round < 8; ++round) {
    primary_.step(ArbiterAnswered{no_answer()});
    EXPECT_THAT(primary_.view().reason, HasSubstr("arbiter does not answer"));
    uint64_t waited_ms = 0;
    do {
      primary_.pass_ms(10);
      waited_ms += 10;
      EXPECT_THAT(primary_.released(), IsEmpty());
    } while (!primary_.did<AskArbiter>());
    EXPECT_EQ(waited_ms, expected_ms);
    expected_ms = std::min(expected_ms * 2, kArbiterRetryMaxMs);
  }
  primary_.step(ArbiterAnswered{AcquireResult::won(Epoch(2))});
  EXPECT_THAT(primary_.released(), ElementsAre(0));
}

// R4: nothing was ever heard of this backup, and still it may be live.
TEST_F(PrimaryRoleTest, AsksEvenWhenTheBackupWasLostRightAfterTheWelcome) {
  protect();
  primary_.step(PeerDisconnected{ConnectionId(kPeer), "reset"});
  EXPECT_TRUE(primary_.did<AskArbiter>());
  EXPECT_EQ(primary_.state(), VmState::kWaitingForArbiter);
}

TEST_F(PrimaryRoleTest, SuspectsASilentBackupAfterItsShareOfTheTimeout) {
  protect();
  primary_.pass_ms(150);  // a channel that it does not know yet: twice the 80 ms
  EXPECT_EQ(primary_.state(), VmState::kProtected);
  primary_.pass_ms(10);
  EXPECT_EQ(primary_.state(), VmState::kWaitingForArbiter);
  EXPECT_TRUE(primary_.did<CloseChannel>());
  EXPECT_THAT(primary_.view().reason, HasSubstr("silent for 160 ms"));
}

// R5: the acknowledgement waited in the socket while this process slept.
TEST_F(PrimaryRoleTest, AfterAnAbsenceItTrustsOnlyAnAcknowledgementOfNow) {
  protect();
  uint64_t heartbeat = 0;
  pass_with_acknowledgements(50, 0, heartbeat);
  primary_.step(OutputProduced{output_at(3, 0)});
  primary_.step(frame(1, 4));
  primary_.sleep_ms(1'000);
  primary_.receive(kPeer, ack(1, heartbeat));
  EXPECT_THAT(primary_.released(), IsEmpty());
  const auto* beat = primary_.sent<Heartbeat>();
  ASSERT_NE(beat, nullptr) << "it asks at once";
  const uint64_t sequence = beat->sequence;
  EXPECT_GT(sequence, heartbeat);
  primary_.receive(kPeer, ack(1, sequence));
  EXPECT_THAT(primary_.released(), ElementsAre(0));
}

TEST_F(PrimaryRoleTest, ASoloVmThatStoodStillForLongAsksAgain) {
  become_solo();
  primary_.sleep_ms(5'000);
  primary_.step(OutputProduced{output_at(0, 0)});
  EXPECT_THAT(primary_.released(), IsEmpty());
  EXPECT_TRUE(primary_.did<AskArbiter>());
  primary_.step(ArbiterAnswered{AcquireResult::lost(Epoch(2), "c")});
  EXPECT_EQ(primary_.state(), VmState::kHalted);
  EXPECT_THAT(primary_.released(), IsEmpty());
}

TEST_F(PrimaryRoleTest, DropsABackupThatBreaksTheProtocol) {
  struct Case {
    const char* name;
    Message message;
  };
  Acknowledge foreign_epoch = ack(1);
  foreign_epoch.epoch = Epoch(9);
  const std::vector<Case> cases = {
      {"beyond appended", ack(3)},
      {"regressing", ack(0)},
      {"foreign epoch", foreign_epoch},
      {"heartbeat of the future", ack(1, 77)},
      {"executed beyond the log", ack(1, 0, 1'000)},
      {"a primary's message", Heartbeat{Epoch(1), 1, Step(0), Step(0)}},
      {"a second hello", hello()},
  };
  for (const Case& wrong : cases) {
    CoreDriver primary(test_options("a"));
    primary.step(Started{Role::kPrimary, Epoch(0)});
    primary.step(ArbiterAnswered{AcquireResult::won(Epoch(1))});
    primary.step(PeerConnected{ConnectionId(kPeer)});
    primary.receive(kPeer, hello());
    primary.step(frame(1, 4));
    primary.step(frame(2, 5));
    primary.receive(kPeer, ack(1));
    primary.receive(kPeer, wrong.message);
    EXPECT_TRUE(primary.did<CloseChannel>()) << wrong.name;
    EXPECT_TRUE(primary.did<AskArbiter>()) << wrong.name;
    EXPECT_THAT(primary.view().reason, HasSubstr("broke the protocol")) << wrong.name;
  }
}

TEST_F(PrimaryRoleTest, StrangersAreBoundedInNumberAndTime) {
  start();
  for (uint64_t connection = 1; connection <= kMaxStrangers; ++connection) {
    primary_.step(PeerConnected{ConnectionId(connection)});
    EXPECT_FALSE(primary_.did<CloseChannel>());
  }
  primary_.step(PeerConnected{ConnectionId(100)});
  EXPECT_EQ(primary_.find<CloseChannel>()->connection, ConnectionId(100));
  primary_.pass_ms(kHelloTimeoutMs);
  EXPECT_TRUE(primary_.did<CloseChannel>());
  primary_.step(PeerConnected{ConnectionId(101)});
  EXPECT_FALSE(primary_.did<CloseChannel>());
  primary_.receive(101, Heartbeat{});
  EXPECT_TRUE(primary_.did<CloseChannel>()) << "not a hello";
  primary_.step(PeerConnected{ConnectionId(102)});
  primary_.step(MalformedMessage{ConnectionId(102), {ErrorCode::kCorrupt, "noise", "", ""}});
  EXPECT_TRUE(primary_.did<CloseChannel>());
}

TEST_F(PrimaryRoleTest, PowersOffOnlyWhenTheBackupKnows) {
  protect();
  primary_.step(OutputProduced{output_at(3, 0)});
  primary_.step(frame(1, 4));
  primary_.step(PoweredOff{Step(4)});
  EXPECT_EQ(primary_.state(), VmState::kProtected);
  primary_.receive(kPeer, ack(1));
  EXPECT_THAT(primary_.released(), ElementsAre(0));
  EXPECT_EQ(primary_.sent<Goodbye>()->reason, GoodbyeReason::kPoweredOff);
  EXPECT_EQ(primary_.find<Halt>()->state, VmState::kOff);
}

TEST_F(PrimaryRoleTest, APowerOffWhoseBackupIsLostEndsAfterTheArbitersWord) {
  protect();
  primary_.step(frame(1, 4));
  primary_.step(PoweredOff{Step(4)});
  primary_.step(PeerDisconnected{ConnectionId(kPeer), "reset"});
  EXPECT_FALSE(primary_.did<Halt>());
  primary_.step(ArbiterAnswered{AcquireResult::won(Epoch(2))});
  EXPECT_EQ(primary_.find<Halt>()->state, VmState::kOff);
}

TEST_F(PrimaryRoleTest, ATestFailoverEndsHereWhenTheBackupSaysThatItIsLive) {
  protect();
  primary_.step(FailoverRequested{});
  EXPECT_TRUE(primary_.did<LogFailover>());
  primary_.step(FailoverRequested{});
  EXPECT_TRUE(primary_.did<RequestRefused>());
  primary_.step(frame(1, 4));
  primary_.step(FailoverReached{Step(4)});
  EXPECT_TRUE(primary_.did<StopExecution>());
  EXPECT_EQ(primary_.state(), VmState::kFailingOver);
  primary_.receive(kPeer, ack(1));
  primary_.receive(kPeer, Goodbye{GoodbyeReason::kSuperseded, "b owns epoch 2"});
  EXPECT_EQ(primary_.find<Halt>()->state, VmState::kHalted);
  EXPECT_THAT(primary_.view().reason, HasSubstr("b went live"));
}

TEST_F(PrimaryRoleTest, ATestFailoverWhoseBackupDoesNotTakeOverIsTakenBack) {
  protect();
  primary_.step(FailoverRequested{});
  primary_.step(frame(1, 4));
  primary_.step(FailoverReached{Step(4)});
  primary_.pass_ms(kFailoverPatienceMs);
  EXPECT_TRUE(primary_.did<AskArbiter>());
  primary_.step(ArbiterAnswered{AcquireResult::won(Epoch(2))});
  EXPECT_TRUE(primary_.did<ResumeExecution>());
  EXPECT_EQ(primary_.state(), VmState::kSolo);
}

TEST_F(PrimaryRoleTest, GivesTheVmToTheBackupWhenItFailsItself) {
  protect();
  primary_.step(LocalFailure{"its disk is gone"});
  EXPECT_EQ(primary_.sent<Goodbye>()->reason, GoodbyeReason::kFailed);
  EXPECT_EQ(primary_.find<Halt>()->state, VmState::kHalted);
}

TEST_F(PrimaryRoleTest, ADivergedBackupIsDroppedWithItsReport) {
  protect();
  primary_.receive(kPeer, Goodbye{GoodbyeReason::kDiverged, "x5 differs"});
  EXPECT_TRUE(primary_.did<AskArbiter>());
  primary_.step(ArbiterAnswered{AcquireResult::won(Epoch(2))});
  EXPECT_THAT(primary_.view().reason, HasSubstr("x5 differs"));
}

class BoundedPrimaryTest : public PrimaryRoleTest {
 protected:
  static Options small() {
    Options options = test_options("a");
    options.max_unacknowledged_bytes = 100;
    options.max_backup_buffer_bytes = 1'000;
    options.max_held_bytes = 10 * (OutputGate::kOutputOverheadBytes + 4);
    options.guest_ticks_per_ms = 1;
    options.target_lag_ms = 100;
    return options;
  }
  BoundedPrimaryTest() : PrimaryRoleTest(small()) {}
};

TEST_F(BoundedPrimaryTest, StopsWhileTooMuchOfTheLogIsUnacknowledged) {
  protect();
  primary_.step(frame(1, 1, 100));
  EXPECT_FALSE(primary_.did<StopExecution>());
  primary_.step(frame(2, 2, 51));
  EXPECT_TRUE(primary_.did<StopExecution>());
  primary_.receive(kPeer, ack(1));
  EXPECT_FALSE(primary_.did<ResumeExecution>()) << "above half";
  primary_.receive(kPeer, ack(2));
  EXPECT_TRUE(primary_.did<ResumeExecution>());
}

TEST_F(BoundedPrimaryTest, StopsWhileTheBackupsBufferIsFull) {
  protect();
  primary_.step(frame(1, 1));
  Acknowledge full = ack(1);
  full.buffered_bytes = 1'001;
  primary_.receive(kPeer, full);
  EXPECT_TRUE(primary_.did<StopExecution>());
  full.buffered_bytes = 501;
  primary_.receive(kPeer, full);
  EXPECT_FALSE(primary_.did<ResumeExecution>());
  full.buffered_bytes = 500;
  primary_.receive(kPeer, full);
  EXPECT_TRUE(primary_.did<ResumeExecution>());
}

TEST_F(BoundedPrimaryTest, RunsOnToTheBoundsWhileTheArbiterIsSilent) {
  protect();
  primary_.step(PeerDisconnected{ConnectionId(kPeer), "reset"});
  for (uint64_t offset = 0; offset < 10; ++offset) {
    primary_.step(OutputProduced{output_at(1, offset)});
    EXPECT_FALSE(primary_.did<StopExecution>());
  }
  primary_.step(OutputProduced{output_at(1, 10)});
  EXPECT_TRUE(primary_.did<StopExecution>());
  primary_.step(ArbiterAnswered{AcquireResult::won(Epoch(2))});
  EXPECT_EQ(primary_.released().size(), 11u);
  EXPECT_TRUE(primary_.did<ResumeExecution>());
}

TEST_F(BoundedPrimaryTest, SlowsDownForABackupThatLags) {
  protect();
  primary_.step(frame(1, 1'000));
  uint64_t heartbeat = 0;
  pass_with_acknowledgements(500, 1, heartbeat);
  EXPECT_EQ(primary_.view().lag_ms, 1'000u);
  EXPECT_GT(primary_.view().throttle_permille, 0u);
  primary_.step(PeerDisconnected{ConnectionId(kPeer), "reset"});
  ASSERT_TRUE(primary_.did<SetThrottle>());
  EXPECT_EQ(primary_.find<SetThrottle>()->permille, 0u);
}

}  // namespace
}  // namespace lockstep::replication
