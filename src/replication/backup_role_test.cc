#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

#include "replication/core_driver.h"
#include "replication/failure_detector.h"

namespace lockstep::replication {
namespace {

using io::AcquireResult;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t kPeer = 1;

LogFrame frame(uint64_t position, uint64_t released_before = 0) {
  return {Epoch(4), LogPosition(position), Step(released_before), Bytes(10)};
}

class BackupRoleTest : public testing::Test {
 protected:
  void connect() {
    backup_.step(Started{Role::kBackup, Epoch(0)});
    backup_.step(PeerConnected{ConnectionId(kPeer)});
  }
  void follow() {
    connect();
    backup_.receive(kPeer, Welcome{Epoch(4), "a", LogPosition(1)});
    ASSERT_EQ(backup_.state(), VmState::kProtected);
  }
  // Frame `position` arrives, and ends at step 10 × position.
  void hold(uint64_t position, uint64_t released_before = 0) {
    backup_.receive(kPeer, frame(position, released_before));
    ASSERT_TRUE(backup_.did<HoldFrame>());
    backup_.step(FrameHeld{LogPosition(position), Step(10 * position), 10});
  }
  void drain(uint64_t position) {
    backup_.step(Replayed{Step(10 * position), GuestTicks(position), LogPosition(position)});
  }

  CoreDriver backup_{test_options("b")};
};

TEST_F(BackupRoleTest, SaysHelloAndFollows) {
  connect();
  const auto* hello = backup_.sent<Hello>();
  ASSERT_NE(hello, nullptr);
  EXPECT_EQ(*hello, (Hello{kProtocolVersion, "vm", "b", Epoch(0), {1, 2}, "1"}));
  backup_.receive(kPeer, Welcome{Epoch(4), "a", LogPosition(1)});
  EXPECT_EQ(backup_.state(), VmState::kProtected);
  EXPECT_NE(backup_.sent<Acknowledge>(), nullptr);
}

TEST_F(BackupRoleTest, ConnectsAgainUntilItIsWelcome) {
  connect();
  backup_.step(PeerDisconnected{ConnectionId(kPeer), "reset"});
  EXPECT_EQ(backup_.state(), VmState::kStarting);
  EXPECT_FALSE(backup_.did<AskArbiter>()) << "it may not go live yet";
  backup_.step(PeerConnected{ConnectionId(2)});
  EXPECT_NE(backup_.sent<Hello>(), nullptr);
}

TEST_F(BackupRoleTest, HaltsWhenRefused) {
  connect();
  backup_.receive(kPeer, Refuse{"the machines differ"});
  EXPECT_EQ(backup_.state(), VmState::kHalted);
  EXPECT_THAT(backup_.view().reason, HasSubstr("the machines differ"));
}

TEST_F(BackupRoleTest, AcknowledgesWhatItHoldsBeforeItHasExecutedIt) {
  follow();
  backup_.receive(kPeer, frame(1));
  EXPECT_EQ(backup_.sent<Acknowledge>(), nullptr) << "not checked yet";
  backup_.step(FrameHeld{LogPosition(1), Step(10), 10});
  const auto* acknowledge = backup_.sent<Acknowledge>();
  ASSERT_NE(acknowledge, nullptr);
  EXPECT_EQ(acknowledge->position, LogPosition(1));
  EXPECT_EQ(acknowledge->executed, Step(0));
  EXPECT_EQ(acknowledge->buffered_bytes, 10u);
}

TEST_F(BackupRoleTest, EchoesHeartbeatsAndItsProgress) {
  follow();
  hold(1);
  drain(1);
  backup_.receive(kPeer, Heartbeat{Epoch(4), 1, Step(10), Step(10)});
  backup_.pass_ms(10);
  EXPECT_EQ(*backup_.sent<Acknowledge>(),
            (Acknowledge{Epoch(4), LogPosition(1), 1, Step(10), GuestTicks(1), 0}));
}

TEST_F(BackupRoleTest, GoesLiveWhenItHasWonAndExecutedAll) {
  follow();
  hold(1);
  hold(2);
  drain(1);
  backup_.step(PeerDisconnected{ConnectionId(kPeer), "end of file"});
  EXPECT_EQ(backup_.state(), VmState::kFailingOver);
  EXPECT_EQ(backup_.find<AskArbiter>()->from, Epoch(4));
  backup_.step(ArbiterAnswered{AcquireResult::won(Epoch(5))});
  EXPECT_FALSE(backup_.did<GoLive>()) << "frame 2 is not executed";
  drain(2);
  EXPECT_EQ(backup_.find<GoLive>()->epoch, Epoch(5));
  EXPECT_EQ(backup_.state(), VmState::kSolo);
  EXPECT_EQ(backup_.view().role, Role::kPrimary);
}

TEST_F(BackupRoleTest, DoesNotGoLiveOnExecutionAlone) {
  follow();
  hold(1);
  backup_.step(PeerDisconnected{ConnectionId(kPeer), "end of file"});
  drain(1);
  EXPECT_FALSE(backup_.did<GoLive>());
  backup_.step(ArbiterAnswered{no_answer()});
  EXPECT_EQ(backup_.state(), VmState::kWaitingForArbiter);
  backup_.pass_ms(kArbiterRetryMinMs);
  EXPECT_TRUE(backup_.did<AskArbiter>());
  EXPECT_FALSE(backup_.did<GoLive>());
  backup_.step(ArbiterAnswered{AcquireResult::won(Epoch(5))});
  EXPECT_TRUE(backup_.did<GoLive>());
}

TEST_F(BackupRoleTest, ReleasesAtGoLiveAllThatIsNotKnownToHaveLeft) {
  follow();
  hold(1);
  backup_.step(OutputProduced{output_at(3, 0)});
  backup_.step(OutputProduced{output_at(9, 1)});
  drain(1);
  backup_.receive(kPeer, Heartbeat{Epoch(4), 1, Step(9), Step(10)});
  backup_.step(PeerDisconnected{ConnectionId(kPeer), "end of file"});
  EXPECT_THAT(backup_.released(), IsEmpty());
  backup_.step(ArbiterAnswered{AcquireResult::won(Epoch(5))});
  EXPECT_THAT(backup_.released(), ElementsAre(1));
}

TEST_F(BackupRoleTest, GoesOnAsASoloVmWithTheNextPosition) {
  follow();
  hold(1);
  drain(1);
  backup_.step(PeerDisconnected{ConnectionId(kPeer), "end of file"});
  backup_.step(ArbiterAnswered{AcquireResult::won(Epoch(5))});
  backup_.step(OutputProduced{output_at(10, 7)});
  EXPECT_THAT(backup_.released(), ElementsAre(7));
  backup_.step(FrameAppended{LogPosition(2), Step(11), GuestTicks(2), Bytes(3)});
  EXPECT_EQ(backup_.view().appended, LogPosition(2));
}

TEST_F(BackupRoleTest, TheLoserHalts) {
  follow();
  hold(1);
  backup_.step(OutputProduced{output_at(3, 0)});
  backup_.step(PeerDisconnected{ConnectionId(kPeer), "end of file"});
  backup_.step(ArbiterAnswered{AcquireResult::lost(Epoch(5), "a")});
  EXPECT_TRUE(backup_.did<DropHeldOutputs>());
  EXPECT_EQ(backup_.find<Halt>()->state, VmState::kHalted);
  drain(1);
  EXPECT_THAT(backup_.released(), IsEmpty());
}

TEST_F(BackupRoleTest, SaysNothingMoreOnceItHasAsked) {
  follow();
  backup_.receive(kPeer, frame(1));
  backup_.pass_ms(FailureDetector::kUnknownStretch * 100);
  EXPECT_EQ(backup_.state(), VmState::kFailingOver);
  EXPECT_TRUE(backup_.did<CloseChannel>());
  backup_.step(FrameHeld{LogPosition(1), Step(10), 10});
  EXPECT_EQ(backup_.sent<Acknowledge>(), nullptr);
  backup_.pass_ms(100);
  EXPECT_EQ(backup_.sent<Acknowledge>(), nullptr);
}

TEST_F(BackupRoleTest, AfterItsOwnAbsenceItReadsWhatCameBeforeItJudges) {
  follow();
  backup_.pass_ms(20);
  backup_.sleep_ms(1'000);
  backup_.pass_ms(10);
  EXPECT_EQ(backup_.state(), VmState::kProtected);
  backup_.receive(kPeer, Heartbeat{Epoch(4), 1, Step(0), Step(0)});
  backup_.pass_ms(50);
  EXPECT_EQ(backup_.state(), VmState::kProtected);
}

TEST_F(BackupRoleTest, APrimaryThatBreaksTheProtocolIsLeft) {
  struct Case {
    const char* name;
    Message message;
  };
  LogFrame foreign = frame(2);
  foreign.epoch = Epoch(3);
  const std::vector<Case> cases = {
      {"a gap", frame(3)},
      {"a repetition", frame(1)},
      {"foreign epoch", foreign},
      {"released beyond what is held", frame(2, 11)},
      {"a heartbeat skipped", Heartbeat{Epoch(4), 2, Step(0), Step(0)}},
      {"a backup's message", Acknowledge{}},
      {"a second welcome", Welcome{Epoch(4), "a", LogPosition(1)}},
  };
  for (const Case& wrong : cases) {
    CoreDriver backup(test_options("b"));
    backup.step(Started{Role::kBackup, Epoch(0)});
    backup.step(PeerConnected{ConnectionId(kPeer)});
    backup.receive(kPeer, Welcome{Epoch(4), "a", LogPosition(1)});
    backup.receive(kPeer, frame(1));
    backup.step(FrameHeld{LogPosition(1), Step(10), 10});
    backup.receive(kPeer, wrong.message);
    EXPECT_EQ(backup.state(), VmState::kHalted) << wrong.name;
    EXPECT_FALSE(backup.did<AskArbiter>()) << wrong.name;
    ASSERT_NE(backup.sent<Goodbye>(), nullptr) << wrong.name;
    EXPECT_THAT(backup.sent<Goodbye>()->text, HasSubstr("broke the protocol")) << wrong.name;
  }
}

TEST_F(BackupRoleTest, ABadFrameIsNeverAcknowledged) {
  follow();
  backup_.receive(kPeer, frame(1));
  backup_.step(FrameRejected{LogPosition(1), {ErrorCode::kCorrupt, "bad checksum", "frame 1", ""}});
  EXPECT_EQ(backup_.state(), VmState::kHalted);
  EXPECT_EQ(backup_.sent<Acknowledge>(), nullptr);
  EXPECT_THAT(backup_.sent<Goodbye>()->text, HasSubstr("bad checksum"));
}

TEST_F(BackupRoleTest, ABadLastFrameOfALostPrimaryIsLeftOut) {
  follow();
  hold(1);
  drain(1);
  backup_.receive(kPeer, frame(2));
  backup_.step(PeerDisconnected{ConnectionId(kPeer), "end of file"});
  backup_.step(ArbiterAnswered{AcquireResult::won(Epoch(5))});
  EXPECT_FALSE(backup_.did<GoLive>());
  backup_.step(FrameRejected{LogPosition(2), {ErrorCode::kCorrupt, "bad checksum", "", ""}});
  EXPECT_TRUE(backup_.did<GoLive>());
}

TEST_F(BackupRoleTest, ADivergedMachineNeverGoesLive) {
  follow();
  hold(1);
  backup_.step(Diverged{"x5 differs at step 7"});
  EXPECT_EQ(backup_.state(), VmState::kDiverged);
  EXPECT_EQ(backup_.sent<Goodbye>()->reason, GoodbyeReason::kDiverged);
  backup_.step(PeerDisconnected{ConnectionId(kPeer), "end of file"});
  EXPECT_FALSE(backup_.did<AskArbiter>());
}

TEST_F(BackupRoleTest, APowerOffInTheLogIsNoFailure) {
  follow();
  hold(1);
  backup_.receive(kPeer, Goodbye{GoodbyeReason::kPoweredOff, "off"});
  EXPECT_FALSE(backup_.did<AskArbiter>());
  backup_.step(PoweredOff{Step(9)});
  EXPECT_EQ(backup_.find<Halt>()->state, VmState::kOff);
}

TEST_F(BackupRoleTest, APowerOffWhoseGoodbyeWasLostIsNoFailureEither) {
  follow();
  hold(1);
  backup_.step(PeerDisconnected{ConnectionId(kPeer), "end of file"});
  backup_.step(ArbiterAnswered{AcquireResult::won(Epoch(5))});
  backup_.step(PoweredOff{Step(9)});
  EXPECT_EQ(backup_.find<Halt>()->state, VmState::kOff);
  EXPECT_FALSE(backup_.did<GoLive>());
}

TEST_F(BackupRoleTest, APrimaryThatLiesAboutAPowerOffIsNoticed) {
  follow();
  hold(1);
  backup_.receive(kPeer, Goodbye{GoodbyeReason::kPoweredOff, "off"});
  drain(1);
  EXPECT_EQ(backup_.state(), VmState::kHalted);
  EXPECT_THAT(backup_.view().reason, HasSubstr("its log does not"));
}

TEST_F(BackupRoleTest, APrimaryThatGivesUpIsReplacedAtOnce) {
  follow();
  backup_.receive(kPeer, Goodbye{GoodbyeReason::kFailed, "its disk is gone"});
  EXPECT_TRUE(backup_.did<AskArbiter>());
  EXPECT_THAT(backup_.view().reason, HasSubstr("its disk is gone"));
}

TEST_F(BackupRoleTest, ATestFailoverInTheLogMakesItLive) {
  follow();
  hold(1);
  backup_.step(FailoverReached{Step(10)});
  EXPECT_TRUE(backup_.did<AskArbiter>());
  drain(1);
  EXPECT_FALSE(backup_.did<GoLive>());
  backup_.step(ArbiterAnswered{AcquireResult::won(Epoch(5))});
  EXPECT_EQ(backup_.sent<Goodbye>()->reason, GoodbyeReason::kSuperseded);
  EXPECT_TRUE(backup_.did<GoLive>());
}

TEST(BoundedBackup, StopsReplayWhileItHoldsTooMuchAndNeverOnTheWayToGoingLive) {
  Options options = test_options("b");
  options.max_held_bytes = 2 * (OutputGate::kOutputOverheadBytes + 4);
  CoreDriver backup(options);
  backup.step(Started{Role::kBackup, Epoch(0)});
  backup.step(PeerConnected{ConnectionId(kPeer)});
  backup.receive(kPeer, Welcome{Epoch(4), "a", LogPosition(1)});
  backup.receive(kPeer, frame(1));
  backup.step(FrameHeld{LogPosition(1), Step(10), 10});
  for (uint64_t offset = 0; offset < 3; ++offset) {
    backup.step(OutputProduced{output_at(offset, offset)});
  }
  EXPECT_TRUE(backup.did<StopExecution>());
  backup.receive(kPeer, Heartbeat{Epoch(4), 1, Step(1), Step(10)});
  EXPECT_FALSE(backup.did<ResumeExecution>());
  backup.receive(kPeer, Heartbeat{Epoch(4), 2, Step(2), Step(10)});
  EXPECT_TRUE(backup.did<ResumeExecution>());
  backup.step(OutputProduced{output_at(5, 3)});
  backup.step(OutputProduced{output_at(5, 4)});
  EXPECT_TRUE(backup.did<StopExecution>());
  backup.step(PeerDisconnected{ConnectionId(kPeer), "end of file"});
  EXPECT_TRUE(backup.did<ResumeExecution>());
}

TEST(BoundedBackup, LeavesAPrimaryThatDoesNotStop) {
  Options options = test_options("b");
  options.max_backup_buffer_bytes = 100;
  options.max_unacknowledged_bytes = 50;
  CoreDriver backup(options);
  backup.step(Started{Role::kBackup, Epoch(0)});
  backup.step(PeerConnected{ConnectionId(kPeer)});
  backup.receive(kPeer, Welcome{Epoch(4), "a", LogPosition(1)});
  for (uint64_t position = 1; position <= 3; ++position) {
    backup.receive(kPeer, frame(position));
    backup.step(FrameHeld{LogPosition(position), Step(position), 100});
    EXPECT_EQ(backup.state(), VmState::kProtected);
  }
  backup.receive(kPeer, frame(4));
  backup.step(FrameHeld{LogPosition(4), Step(4), 1});
  EXPECT_EQ(backup.state(), VmState::kHalted);
  EXPECT_EQ(backup.sent<Acknowledge>(), nullptr);
}

// Whatever a peer says, in whatever order: no CHECK fails, and a backup never goes live on it.
Message random_message(std::mt19937_64& random) {
  const auto small = [&] { return random() % 4; };
  switch (random() % 7) {
    case 0:
      return Hello{kProtocolVersion, "vm", "peer", Epoch(small()), {1, 2}, "1"};
    case 1:
      return Welcome{Epoch(small()), "peer", LogPosition(small())};
    case 2:
      return Refuse{"no"};
    case 3:
      return LogFrame{Epoch(small()), LogPosition(small()), Step(random() % 20), Bytes(small())};
    case 4:
      return Acknowledge{Epoch(small()),      LogPosition(small()), small(),
                         Step(random() % 20), GuestTicks(small()),  small()};
    case 5:
      return Heartbeat{Epoch(small()), small(), Step(random() % 20), Step(random() % 20)};
    default:
      return Goodbye{static_cast<GoodbyeReason>(1 + small()), "bye"};
  }
}

TEST(HostilePeer, NeverCrashesACoreOrMakesItLive) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 5'000; ++round) {
    const bool primary = round % 2 == 0;
    CoreDriver core(test_options("a"));
    core.step(Started{primary ? Role::kPrimary : Role::kBackup, Epoch(0)});
    if (primary) core.step(ArbiterAnswered{AcquireResult::won(Epoch(1))});
    uint64_t position = 0;
    bool executing = false;
    core.step(PeerConnected{ConnectionId(1)});
    for (int turn = 0; turn < 30; ++turn) {
      core.receive(1, random_message(random));
      executing |= core.did<StartExecuting>();
      if (const auto* hold = core.find<HoldFrame>()) {
        core.step(FrameHeld{hold->position, Step(10 * hold->position.value), 1});
      }
      ASSERT_FALSE(core.did<GoLive>());
      if (executing && random() % 4 == 0) {
        ++position;
        core.step(FrameAppended{LogPosition(position), Step(position), GuestTicks(), Bytes(1)});
      }
      core.pass_ms(10);
    }
  }
}

}  // namespace
}  // namespace lockstep::replication
