package client

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/mls"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Whatever a member may do to a group that the rules forbid, nobody follows.
func TestMaliciousCommits(t *testing.T) {
	type group struct {
		mallory *member
		victim  AccountID
		id      ConversationID
	}
	state := func(g group, change func(*groupState), more ...mls.Extension) mls.Proposal {
		next := g.mallory.lookup(g.id).state
		change(&next)
		data, err := next.marshal(g.id)
		if err != nil {
			t.Fatal(err)
		}
		return mls.GroupContextExtensionsProposal(append([]mls.Extension{{Type: extGroupState, Data: data}}, more...))
	}
	propose := func(p mls.Proposal) mls.CommitOptions { return mls.CommitOptions{Proposals: []mls.Proposal{p}} }
	for name, attack := range map[string]func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)){
		"rename": func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			return propose(state(g, func(s *groupState) { s.title = "mine" })), nil
		},
		"make oneself administrator": func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			return propose(state(g, func(s *groupState) { s.admins = append(slices.Clone(s.admins), g.mallory.Me().AccountID) })), nil
		},
		"remove the administrators": func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			return propose(state(g, func(s *groupState) { s.admins = nil })), nil
		},
		"another kind": func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			return propose(state(g, func(s *groupState) { s.kind = KindDirect })), nil
		},
		"another channel": func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			data, err := g.mallory.lookup(g.id).state.marshal(random16())
			if err != nil {
				t.Fatal(err)
			}
			return propose(mls.GroupContextExtensionsProposal([]mls.Extension{{Type: extGroupState, Data: data}})), nil
		},
		"no state": func(group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			return propose(mls.GroupContextExtensionsProposal(nil)), nil
		},
		"another extension of the group": func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			return propose(state(g, func(*groupState) {}, mls.Extension{Type: mls.ExtRequiredCapabilities, Data: []byte{0, 0, 0}})), nil
		},
		"remove somebody": func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			return propose(mls.RemoveProposal(g.mallory.lookup(g.id).leavesOf(g.victim)[0].Index)), nil
		},
		"another's queue address": func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			return mls.CommitOptions{LeafExtensions: g.mallory.leafState(g.mallory.addressOf(g.id, g.victim))}, nil
		},
		"a queue address of rubbish": func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			return mls.CommitOptions{LeafExtensions: g.mallory.leafState([]byte("rubbish"))}, nil
		},
		"a bloated leaf": func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			leaf := g.mallory.leafState(g.mallory.addressOf(g.id, g.mallory.Me().AccountID))
			return mls.CommitOptions{LeafExtensions: append(leaf, mls.Extension{Type: 0xF0CF, Data: make([]byte, 1<<20)})}, nil
		},
		"a device with another's queue address": func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			kp := g.mallory.otherDevice(g.mallory.addressOf(g.id, g.victim), capabilities())
			return propose(mls.AddProposal(kp)), nil
		},
		"close the group": func(g group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			group := g.mallory.lookup(g.id).group
			return propose(mls.ReInitProposal(mls.ReInit{
				GroupID: []byte("elsewhere"), Suite: mls.SuiteX25519, Extensions: group.GroupContextExtensions(),
			})), nil
		},
		"truncated": func(group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			return mls.CommitOptions{}, func(b *qpcv1.CommitBody) { b.MlsMessage = b.MlsMessage[:len(b.MlsMessage)-1] }
		},
		"garbage": func(group) (mls.CommitOptions, func(*qpcv1.CommitBody)) {
			return mls.CommitOptions{}, func(b *qpcv1.CommitBody) { b.MlsMessage = []byte("garbage") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			alice, bob, mallory := f.register("alice"), f.register("bob"), f.register("mallory")
			g := group{mallory: mallory, victim: bob.Me().AccountID, id: newGroup(alice, bob, mallory)}
			_ = mallory.epoch(g.id) // loads it
			o, edit := attack(g)
			mallory.forge(g.id, o, edit)
			for _, m := range []*member{alice, bob} {
				m.awaitState(g.id, StateBroken)
				if _, err := m.Send(t.Context(), g.id, "hello?"); !errors.Is(err, ErrBroken) {
					t.Errorf("send: %v", err)
				}
			}
			other := newGroup(alice, bob)
			alice.send(other, "we go on")
			bob.awaitTexts(other, "we go on")
		})
	}
}

func newGroup(a *member, others ...*member) ConversationID { return group(a, others...) }

// A commit that pretends to be an old one, or one's own, has ended the epoch all
// the same. It must not leave anybody waiting for ever.
func TestCommitInDisguise(t *testing.T) {
	for name, disguise := range map[string]func(t *testing.T, mallory *member, id ConversationID, used []byte) []byte{
		"old epoch": func(_ *testing.T, _ *member, _ ConversationID, used []byte) []byte { return used },
		"not a handshake": func(t *testing.T, mallory *member, id ConversationID, _ []byte) []byte {
			v := mallory.lookup(id)
			v.mu.Lock()
			defer v.mu.Unlock()
			if err := v.open(t.Context()); err != nil {
				t.Fatal(err)
			}
			sealed, err := v.group.Seal([]byte("hm"), nil)
			if err != nil {
				t.Fatal(err)
			}
			v.close()
			return sealed
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			alice, mallory := f.register("alice"), f.register("mallory")
			id := group(alice, mallory)
			var used []byte
			f.intercept(func(req any) {
				if c, ok := req.(*qpcv1.CommitRequest); ok && used == nil {
					var body qpcv1.CommitBody
					if err := proto.Unmarshal(c.Body, &body); err != nil {
						t.Error(err)
					}
					used = body.MlsMessage
				}
			}, nil)
			if err := mallory.RotateKeys(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			f.intercept(nil, nil)
			awaitSame(alice, mallory, id)
			rubbish := disguise(t, mallory, id, used)
			f.mu.Lock()
			f.strict = true
			f.mu.Unlock()
			f.hold(alice.Client)
			mallory.forge(id, mls.CommitOptions{}, func(b *qpcv1.CommitBody) { b.MlsMessage = rubbish })
			alice.send(id, "hello?")
			f.release(alice.Client)
			alice.awaitState(id, StateBroken)
			// It waits for the way back.
			alice.until("the message to wait", func() bool { return lastText(alice, id).State == StateQueued })
		})
	}
}

func lastText(m *member, id ConversationID) Message {
	list := slices.DeleteFunc(m.messages(id), func(msg Message) bool { return msg.Kind != KindText })
	if len(list) == 0 {
		return Message{}
	}
	return list[len(list)-1]
}

// From outside a member's device may take the place of its own leaf, and nobody may
// do anything else: no stranger who has got hold of a GroupInfo, no member with
// another device or in another's place.
func TestNobodyComesFromOutside(t *testing.T) {
	f := newFakeServer(t)
	alice, mallory, eve := f.register("alice"), f.register("mallory"), f.register("eve")
	id := group(alice, mallory)
	awaitSame(alice, mallory, id)
	_ = mallory.epoch(id) // loads it
	commit := mallory.comesBack(id)
	strangers := map[string][]byte{
		"stranger": mallory.letIn(id, eve, nil), "stranger in the place of a member": mallory.letIn(id, eve, alice),
		"member twice": mallory.letIn(id, mallory, nil), "member in the place of another": mallory.letIn(id, mallory, alice),
		"back at another address": mallory.letIn(id, mallory, mallory),
	}
	v := alice.lookup(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer v.close()
	result, err := v.group.Process(commit)
	if err != nil {
		t.Fatal(err) // as far as MLS goes it is good
	}
	staged := result.(*mls.StagedCommit)
	if err := v.judgeCommit(staged, nil); !staged.External || err != nil {
		t.Errorf("a device in its own place: %v", err)
	}
	for what, change := range map[string]func(*mls.StagedCommit){
		"adds somebody":    func(s *mls.StagedCommit) { s.Added = append(slices.Clone(s.Added), s.Added[0]) },
		"removes somebody": func(s *mls.StagedCommit) { s.Removed = append(slices.Clone(s.Removed), s.Removed[0]) },
		"replaces nobody":  func(s *mls.StagedCommit) { s.Removed = nil },
		"with a pre-shared key": func(s *mls.StagedCommit) {
			s.Proposals = append(slices.Clone(s.Proposals), mls.CommittedProposal{Kind: mls.ProposalPSK, From: mls.SenderNewMemberCommit})
		},
		"with a member's proposal": func(s *mls.StagedCommit) {
			s.Proposals = append(slices.Clone(s.Proposals), mls.CommittedProposal{Kind: mls.ProposalRemove, From: mls.SenderMember, Target: s.Removed[0].Index})
		},
		"closes the group": func(s *mls.StagedCommit) { s.ReInit = new(mls.ReInit) },
	} {
		changed := *staged
		change(&changed)
		if err := v.judgeCommit(&changed, nil); !errors.Is(err, errRule) {
			t.Errorf("%s: %v", what, err)
		}
	}
	v.group.Discard(staged)
	for what, commit := range strangers {
		if commit == nil {
			continue // not even to be made
		}
		result, err := v.group.Process(commit)
		if err != nil {
			continue
		}
		if err := v.judgeCommit(result.(*mls.StagedCommit), nil); !errors.Is(err, errRule) {
			t.Errorf("%s: %v", what, err)
		}
		v.group.Discard(result.(*mls.StagedCommit))
	}
	if strangers["stranger"] == nil || strangers["stranger in the place of a member"] == nil {
		t.Error("the strangers did not even try")
	}
	for _, from := range []mls.SenderType{0, mls.SenderExternal, mls.SenderNewMemberProposal, mls.SenderNewMemberCommit} {
		own, err := v.group.Commit(mls.CommitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		own.Proposals = []mls.CommittedProposal{{Kind: mls.ProposalPSK, From: from}}
		if err := v.judgeCommit(own, nil); !errors.Is(err, errRule) {
			t.Errorf("proposal of a sender of type %d: %v", from, err)
		}
		own.Proposals[0].From = mls.SenderMember
		if err := v.judgeCommit(own, nil); err != nil {
			t.Errorf("proposal of a member: %v", err)
		}
		v.group.DiscardPending()
	}
	if err := (authService{alice.people}).ValidateExternalSender(id[:], mls.ExternalSender{}); err == nil {
		t.Error("an external sender is let in")
	}
}

// Nobody can keep others from leaving by not understanding how one leaves.
func TestDeviceWithoutSelfRemove(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	leaf := bob.lookup(id)
	leaf.mu.Lock()
	defer leaf.mu.Unlock()
	if err := leaf.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, _ := leaf.group.Member(0)
	ctx := mls.LeafContext{Now: bob.now()}
	service := authService{bob.people}
	if err := service.ValidateLeaf(ctx, m.LeafNode); err != nil {
		t.Fatal(err)
	}
	mute := *m.LeafNode
	mute.Capabilities.Proposals = nil
	if err := service.ValidateLeaf(ctx, &mute); !errors.Is(err, errNotCertified) {
		t.Errorf("a leaf without self-remove: %v", err)
	}
}

// A member that was removed knows the keys of the epochs before. What it posts
// under them nobody shows.
func TestPostAfterRemoval(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, mallory := f.register("alice"), f.register("bob"), f.register("mallory")
	id := group(alice, bob, mallory)
	f.hold(mallory.Client)
	mallory.awaitConnection()
	if err := alice.RemoveMember(t.Context(), id, mallory.Me().AccountID); err != nil {
		t.Fatal(err)
	}
	if _, err := mallory.Send(t.Context(), id, "from outside"); err != nil {
		t.Fatal(err) // she does not know yet
	}
	mallory.until("the post", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.channels[id].items) >= 3
	})
	alice.send(id, "alone")
	bob.awaitTexts(id, "alone")
	alice.awaitTexts(id, "alone")
	f.release(mallory.Client)
	mallory.awaitState(id, StateRemoved)
	if m := lastText(mallory, id); m.State != StateFailed || !strings.Contains(m.Err, "not part of this conversation") {
		t.Errorf("the message is %v, %q", m.State, m.Err)
	}
}

func (m *member) awaitConnection() {
	m.t.Helper()
	m.until("a connection", func() bool { return m.Connection().State == Online })
}
