package client

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// loseCommit makes a member miss a commit of another, so that it can follow no more.
func (f *fakeServer) loseCommit(m *member, id ConversationID, commit func()) {
	f.t.Helper()
	f.hold(m.Client)
	commit()
	f.mu.Lock()
	d := f.devices[m.Me().DeviceID]
	d.items = slices.DeleteFunc(d.items, func(i *qpcv1.QueueItem) bool {
		return i.GetCommit() != nil && bytes.Equal(i.GetCommit().ChannelId, id[:])
	})
	f.mu.Unlock()
	f.release(m.Client)
}

func (m *member) rotate(id ConversationID) func() {
	return func() {
		m.t.Helper()
		if err := m.RotateKeys(m.t.Context(), id); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *member) awaitEvent(id ConversationID, kind EventKind) {
	m.t.Helper()
	m.until(string(kind), func() bool { return slices.Contains(m.events(id), kind) })
}

func (m *member) count(id ConversationID, kind EventKind) int {
	n := 0
	for _, k := range m.events(id) {
		if k == kind {
			n++
		}
	}
	return n
}

// settledHealing runs maintenance as time goes by, until ok.
func (m *member) settledHealing(what string, ok func() bool) {
	m.t.Helper()
	m.until(what, func() bool {
		if ok() {
			return true
		}
		m.f.advance(20 * time.Second)
		ctx, cancel := context.WithTimeout(m.t.Context(), patience)
		defer cancel()
		if err := m.heal(ctx); err != nil && !errors.Is(err, ErrOffline) {
			m.t.Error(err)
		}
		return ok()
	})
}

// A device that has lost commits comes back without anybody's doing, says so in one
// line, and everybody goes on together.
func TestComesBackByItself(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	var seen [][]byte
	var mu sync.Mutex
	f.intercept(func(req any) {
		if c, ok := req.(*qpcv1.CommitRequest); ok {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, c.Body)
		}
	}, nil)
	f.loseCommit(carol, id, bob.rotate(id))
	bob.send(id, "lost on carol")
	carol.awaitEvent(id, EventReturned)
	carol.awaitState(id, StateActive)
	awaitSame(alice, carol, id)
	awaitSame(bob, carol, id)
	carol.send(id, "back")
	bob.awaitTexts(id, "lost on carol", "back")
	alice.awaitTexts(id, "lost on carol", "back")
	bob.send(id, "welcome")
	carol.awaitTexts(id, "back", "welcome")
	if n := carol.count(id, EventReturned); n != 1 {
		t.Errorf("%d lines about the return", n)
	}
	for _, m := range carol.messages(id) {
		if m.Kind == KindEvent && m.Event.Kind == EventReturned {
			if m.Event.From.IsZero() || m.Event.Until.Before(m.Event.From) || !strings.Contains(m.Text, "may be missing") {
				t.Errorf("%q, %+v", m.Text, m.Event)
			}
		}
	}
	// To the others nothing has happened, and nobody was added or removed.
	for _, m := range []*member{alice, bob} {
		if got := m.events(id); slices.ContainsFunc(got, func(k EventKind) bool {
			return k == EventDeviceAdded || k == EventDeviceRemoved || k == EventBroken || k == EventReturned
		}) {
			t.Errorf("%s has %v", m.Me().Name, got)
		}
		list, err := m.Members(t.Context(), id)
		if err != nil || len(list) != 3 {
			t.Errorf("members %v, %v", list, err)
		}
	}
	// The server saw a commit like any other: not who came back.
	mu.Lock()
	defer mu.Unlock()
	account := carol.Me().AccountID
	for _, body := range seen {
		var m qpcv1.CommitBody
		if err := proto.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		if sealedRejoin(m.MlsMessage) && (len(m.AddAddresses) != 3 || !slices.IsSortedFunc(m.AddAddresses, bytes.Compare)) {
			t.Errorf("%d addresses tell the server who comes back", len(m.AddAddresses))
		}
		if bytes.Contains(body, account[:]) || bytes.Contains(body, carol.self.certificate.DeviceKey) {
			t.Error("a commit shows its sender to the server")
		}
	}
	if len(seen) < 2 {
		t.Errorf("%d commits", len(seen))
	}
	carol.reopen()
	carol.send(id, "still here")
	bob.awaitTexts(id, "lost on carol", "back", "welcome", "still here")
}

// In a direct chat the other one shows the way.
func TestComesBackToADirectChat(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	c, err := alice.StartDirect(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	bob.awaitState(c.ID, StateActive)
	f.loseCommit(alice, c.ID, bob.rotate(c.ID))
	alice.send(c.ID, "waits")
	bob.send(c.ID, "hello")
	alice.awaitEvent(c.ID, EventReturned)
	bob.until("the message", func() bool { return slices.Contains(bob.texts(c.ID), "waits") })
	awaitSame(alice, bob, c.ID)
	if list, err := alice.Conversation(t.Context(), c.ID); err != nil || list.Title != "bob" {
		t.Errorf("%+v, %v", list, err)
	}
}

// A device whose address somebody has taken from the channel gets it back.
func TestComesBackToTheChannel(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	address := alice.addressOf(id, carol.Me().AccountID)
	f.loseCommit(carol, id, bob.rotate(id))
	f.mu.Lock()
	ch := f.channels[id]
	ch.addresses = slices.DeleteFunc(ch.addresses, func(a []byte) bool { return bytes.Equal(a, address) })
	f.strict = true
	f.mu.Unlock()
	carol.send(id, "is anybody there?")
	carol.until("the refusal", func() bool { return carol.lookup(id).waitsFor() > 0 })
	if err := carol.findLost(t.Context()); err != nil {
		t.Fatal(err)
	}
	carol.awaitEvent(id, EventReturned)
	bob.until("the message", func() bool { return slices.Contains(bob.texts(id), "is anybody there?") })
	bob.send(id, "yes")
	carol.awaitTexts(id, "is anybody there?", "yes")
}

// Who is there now, and was not before, is told: they read what has waited.
func TestComesBackToOthers(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	f.register("dave")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	f.loseCommit(carol, id, func() {
		if err := alice.RemoveMember(t.Context(), id, bob.Me().AccountID); err != nil {
			t.Fatal(err)
		}
		if err := alice.AddMembers(t.Context(), id, []string{"dave"}); err != nil {
			t.Fatal(err)
		}
		if err := alice.Rename(t.Context(), id, "others"); err != nil {
			t.Fatal(err)
		}
	})
	alice.send(id, "carol?")
	carol.awaitEvent(id, EventReturned)
	awaitSame(alice, carol, id)
	var told []string
	for _, m := range carol.messages(id) {
		if m.Kind == KindEvent && m.Event.Kind != EventReturned {
			told = append(told, m.Text)
		}
	}
	for _, want := range []string{"Somebody added dave.", "Bob left.", "Somebody renamed the group to “others”."} {
		if !slices.Contains(told, want) && !slices.Contains(told, strings.ToLower(want[:1])+want[1:]) {
			t.Errorf("%q is not in %q", want, told)
		}
	}
}

// Those who never answer do not keep a device from asking the others.
func TestEverybodyIsAskedInTurn(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	var others []*member
	for _, name := range []string{"bob", "carol", "dave", "eve"} {
		others = append(others, f.register(name))
	}
	id := group(alice, others...)
	v := others[0].lookup(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.state.admins = append(v.state.admins, others[1].Me().AccountID, others[2].Me().AccountID)
	h, now, asked := new(healing), f.now(), make(map[DeviceID]bool)
	for range 2 {
		for range maxAsked {
			if list := v.healers(h); len(list) > 0 {
				device := identity.DeviceIDOf(list[0].SignatureKey)
				asked[device] = true
				h.ask(device, now)
			}
		}
		h.pauseRound(now)
	}
	if len(asked) != len(others) {
		t.Errorf("%d of %d were asked in two rounds", len(asked), len(others))
	}
}

// Where the server does not know the address of some member, a device comes back
// without its address being added, rather than not at all or by its own alone.
func TestComesBackBesideAForeignAddress(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	f.mu.Lock()
	f.foreign = alice.addressOf(id, bob.Me().AccountID)
	f.mu.Unlock()
	var alone atomic.Bool
	f.intercept(func(req any) {
		var m qpcv1.CommitBody
		if c, ok := req.(*qpcv1.CommitRequest); ok && proto.Unmarshal(c.Body, &m) == nil {
			alone.CompareAndSwap(false, len(m.AddAddresses) == 1)
		}
	}, nil)
	f.loseCommit(carol, id, bob.rotate(id))
	bob.send(id, "carol?")
	carol.settledHealing("the return", func() bool { return slices.Contains(carol.events(id), EventReturned) })
	awaitSame(bob, carol, id)
	if alone.Load() {
		t.Error("a commit with the own address alone")
	}
}

// Two that are lost come back one after the other: whoever is slower asks again.
func TestTwoComeBackAtOnce(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	awaitSame(alice, bob, id)
	f.hold(carol.Client)
	f.loseCommit(bob, id, alice.rotate(id))
	f.loseCommit(carol, id, func() {})
	alice.send(id, "anybody?")
	for _, m := range []*member{bob, carol} {
		m.awaitEvent(id, EventBroken)
	}
	for _, m := range []*member{bob, carol} {
		m.settledHealing("the return", func() bool { return slices.Contains(m.events(id), EventReturned) })
	}
	alice.until("both", func() bool { return alice.epoch(id).Epoch >= 4 })
	awaitSame(alice, bob, id)
	awaitSame(alice, carol, id)
	bob.send(id, "bob is back")
	carol.until("bob's message", func() bool { return slices.Contains(carol.texts(id), "bob is back") })
}

// Who does not answer is not waited for longer than a while.
func TestHealerOffline(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	awaitSame(alice, bob, id)
	alice.rotate(id)()
	awaitSame(alice, bob, id)
	awaitSame(alice, carol, id)
	var asked []DeviceID
	var mu sync.Mutex
	f.intercept(func(req any) {
		if r, ok := req.(*qpcv1.FetchHybridKeyRequest); ok {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, DeviceID(r.DeviceId))
		}
	}, nil)
	f.loseCommit(carol, id, bob.rotate(id))
	alice.until("the commit", func() bool { return alice.epoch(id).Epoch == bob.epoch(id).Epoch })
	f.hold(alice.Client) // the administrator, who is asked first
	bob.send(id, "carol?")
	carol.awaitEvent(id, EventBroken)
	carol.until("the question", func() bool { mu.Lock(); defer mu.Unlock(); return len(asked) > 0 })
	if carol.heal(t.Context()) != nil || carol.count(id, EventReturned) != 0 {
		t.Error("somebody else was asked at once")
	}
	f.advance(askPatience - 10*time.Second)
	carol.settledHealing("another's answer", func() bool { return slices.Contains(carol.events(id), EventReturned) })
	mu.Lock()
	defer mu.Unlock()
	if asked[0] != alice.Me().DeviceID || !slices.Contains(asked, bob.Me().DeviceID) {
		t.Errorf("asked %v", asked)
	}
}

// Whoever was removed while it was lost gets no answer, from anybody, and stays out.
func TestRemovedMemberIsNotLetBackIn(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	f.loseCommit(carol, id, func() {
		alice.rotate(id)()
		if err := alice.RemoveMember(t.Context(), id, carol.Me().AccountID); err != nil {
			t.Fatal(err)
		}
	})
	awaitSame(alice, bob, id)
	f.mu.Lock()
	f.strict = true
	f.mu.Unlock()
	var sealed [][]byte
	var mu sync.Mutex
	f.intercept(func(req any) {
		if r, ok := req.(*qpcv1.DeliverSealedRequest); ok {
			mu.Lock()
			defer mu.Unlock()
			sealed = append(sealed, r.Address)
		}
	}, nil)
	carol.send(id, "let me in")
	carol.until("the refusal", func() bool { return carol.lookup(id).waitsFor() > 0 })
	if err := carol.findLost(t.Context()); err != nil {
		t.Fatal(err)
	}
	requests := func() int { mu.Lock(); defer mu.Unlock(); return len(sealed) }
	carol.settledHealing("two questions", func() bool { return requests() >= 2 })
	for _, m := range []*member{alice, bob} { // what came before this they have dealt with
		m.until("the questions", func() bool {
			m.f.mu.Lock()
			defer m.f.mu.Unlock()
			return len(m.f.devices[m.Me().DeviceID].items) == 0
		})
		v := m.lookup(id)
		if _, _, err := v.wayBack(t.Context(), carol.self.certificate, bytes.Repeat([]byte{1}, 16)); !errors.Is(err, errNoAnswer) {
			t.Errorf("%s answers: %v", m.Me().Name, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	me := carol.Me().DeviceID
	if slices.ContainsFunc(sealed, func(a []byte) bool { return bytes.Equal(a[:16], me[:]) }) {
		t.Error("somebody answered a removed member")
	}
	if c, _ := carol.Conversation(t.Context(), id); c.State != StateBroken {
		t.Errorf("state %v", c.State)
	}
}

// Others change the group while somebody comes back: the way is asked for again.
func TestComingBackRacesWithCommits(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	awaitSame(alice, carol, id)
	awaitSame(alice, bob, id)
	f.loseCommit(carol, id, bob.rotate(id))
	awaitSame(alice, bob, id)
	var once sync.Once
	faster := make(chan struct{})
	f.intercept(func(req any) {
		c, ok := req.(*qpcv1.CommitRequest)
		if !ok {
			return
		}
		var body qpcv1.CommitBody
		if proto.Unmarshal(c.Body, &body) != nil || !sealedRejoin(body.MlsMessage) {
			return
		}
		once.Do(func() {
			if err := bob.RotateKeys(context.Background(), id); err != nil {
				t.Error(err)
			}
			close(faster)
		})
	}, nil)
	bob.send(id, "carol?")
	<-faster
	carol.settledHealing("the return", func() bool { return slices.Contains(carol.events(id), EventReturned) })
	awaitSame(bob, carol, id)
	awaitSame(alice, carol, id)
	if n := carol.count(id, EventReturned); n != 1 {
		t.Errorf("%d returns", n)
	}
}

// A crash at any step of the way back costs at most a new start.
func TestComingBackSurvivesACrash(t *testing.T) {
	isRejoin := func(req any) bool {
		c, ok := req.(*qpcv1.CommitRequest)
		var body qpcv1.CommitBody
		return ok && proto.Unmarshal(c.Body, &body) == nil && sealedRejoin(body.MlsMessage)
	}
	isSealed := func(req any) bool { _, ok := req.(*qpcv1.DeliverSealedRequest); return ok }
	isGet := func(req any) bool { _, ok := req.(*qpcv1.GetChannelRequest); return ok }
	for name, step := range map[string]struct {
		at    func(any) bool
		after bool // when the server has done it, before the answer
	}{
		"asking": {isSealed, false}, "asked": {isSealed, true}, "looking at the channel": {isGet, false},
		"coming back": {isRejoin, false}, "come back": {isRejoin, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			alice, bob := f.register("alice"), f.register("bob")
			id := group(alice, bob)
			awaitSame(alice, bob, id)
			reached, gate := make(chan struct{}), make(chan struct{})
			var once sync.Once
			hook := func(req any) {
				if step.at(req) {
					once.Do(func() {
						close(reached)
						<-gate
					})
				}
			}
			if step.after {
				f.intercept(nil, hook)
			} else {
				f.intercept(hook, nil)
			}
			f.loseCommit(bob, id, alice.rotate(id))
			alice.send(id, "bob?")
			<-reached
			bob.close()
			close(gate)
			c, err := Open(t.Context(), bob.o, testPassword)
			if err != nil {
				t.Fatal(err)
			}
			bob.Client = c
			bob.settledHealing("the return", func() bool { return slices.Contains(bob.events(id), EventReturned) })
			awaitSame(alice, bob, id)
			bob.send(id, "here")
			alice.awaitTexts(id, "bob?", "here")
			alice.send(id, "good")
			bob.until("the answer", func() bool { return slices.Contains(bob.texts(id), "good") })
			if n := bob.count(id, EventReturned); n != 1 {
				t.Errorf("%d returns", n)
			}
		})
	}
}

// A member cannot have its way by breaking the rules and then showing the others the
// way into what it has made of the group.
func TestTheWayBackKeepsTheRules(t *testing.T) {
	for name, attack := range map[string]func(mallory *conversation, bob *member) mls.Proposal{
		"removes a member's only device": func(v *conversation, bob *member) mls.Proposal {
			return mls.RemoveProposal(v.leavesOf(bob.Me().AccountID)[0].Index)
		},
		"removes one of two devices": func(v *conversation, _ *member) mls.Proposal {
			leaves := v.leavesOf(v.state.admins[0])
			return mls.RemoveProposal(leaves[len(leaves)-1].Index)
		},
		"asks something of all members": func(v *conversation, _ *member) mls.Proposal {
			return mls.GroupContextExtensionsProposal(append(v.group.GroupContextExtensions(),
				mls.Extension{Type: mls.ExtRequiredCapabilities, Data: []byte{0, 0, 0}}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			alice, mallory, bob, carol := f.register("alice"), f.register("mallory"), f.register("bob"), f.register("carol")
			id := group(alice, mallory, bob, carol)
			laptop := f.login("alice", "laptop")
			if err := alice.SyncDevices(t.Context()); err != nil {
				t.Fatal(err)
			}
			laptop.awaitState(id, StateActive)
			for _, m := range []*member{mallory, bob, carol} {
				awaitSame(m, laptop, id)
			}
			err := mallory.lookup(id).commit(t.Context(), func(v *conversation) (*plan, error) {
				return &plan{proposals: []mls.Proposal{attack(v, bob)}}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			carol.awaitEvent(id, EventBroken)
			v := carol.lookup(id)
			carol.settledHealing("mallory's answer", func() bool {
				v.mu.Lock()
				defer v.mu.Unlock()
				return v.row.State != stateBroken || slices.ContainsFunc(v.notes.Healing.Asked, func(a asked) bool {
					return a.Done && DeviceID(a.Device) == mallory.Me().DeviceID
				})
			})
			if c, err := carol.Conversation(t.Context(), id); err != nil || c.State != StateBroken {
				t.Errorf("state %v, %v", c.State, err)
			}
		})
	}
}

// revoke is what an account's own doing makes of its device.
func (f *fakeServer) revoke(m *member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.devices[m.Me().DeviceID].revoked = true
}

// That devices have come and gone is believed of anybody where the server says so too:
// their accounts do that without an administrator.
func TestComesBackThoughDevicesHaveChanged(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol, dave := f.register("alice"), f.register("bob"), f.register("carol"), f.register("dave")
	id := group(alice, bob, carol, dave)
	tablet := f.login("bob", "tablet")
	if err := bob.SyncDevices(t.Context()); err != nil {
		t.Fatal(err)
	}
	tablet.awaitState(id, StateActive)
	for _, m := range []*member{alice, bob, carol, dave} {
		awaitSame(m, tablet, id)
	}
	var phone *member
	f.loseCommit(carol, id, func() {
		f.revoke(tablet)
		phone = f.login("bob", "phone")
		if err := bob.SyncDevices(t.Context()); err != nil {
			t.Fatal(err)
		}
		phone.awaitState(id, StateActive)
		awaitSame(alice, phone, id)
		awaitSame(dave, phone, id)
	})
	for _, m := range []*member{alice, bob, phone} { // whoever may say more than dave
		f.hold(m.Client)
	}
	dave.send(id, "carol?")
	carol.settledHealing("the return", func() bool { return slices.Contains(carol.events(id), EventReturned) })
	awaitSame(dave, carol, id)
}

func TestAnswerLimit(t *testing.T) {
	var l answerLimit
	allow := func(to answeredDevice, now time.Time) bool { return l.allow(to, random16(), now) }
	now := time.Now()
	to := answeredDevice{conversation: ConversationID{1}, device: DeviceID{1}}
	for range answersPerDevice {
		if !allow(to, now) {
			t.Fatal("refused too early")
		}
	}
	other := to
	other.conversation[0] = 2
	if allow(to, now) || !allow(other, now) {
		t.Error("not counted for each device and conversation")
	}
	if allow(to, now.Add(answerWindow-1)) || !allow(to, now.Add(answerWindow)) {
		t.Error("not counted for an hour")
	}
	given := answersPerDevice + 2
	for i := 0; i < 2*answersInAll; i++ {
		if allow(answeredDevice{device: DeviceID{2, byte(i)}}, now.Add(answerWindow)) {
			given++
		}
	}
	if given != answersInAll {
		t.Errorf("%d answers", given)
	}
	allow(to, now.Add(48*time.Hour))
	if len(l.per) != 1 || len(l.all) != 1 {
		t.Errorf("%d and %d are remembered", len(l.per), len(l.all))
	}
	request := random16()
	again := now.Add(49 * time.Hour)
	if !l.allow(to, request, again) || l.allow(to, request, again.Add(time.Hour)) || !l.allow(answeredDevice{device: DeviceID{7}}, request, again) {
		t.Error("a request is answered twice, or another's is not")
	}
}

func TestSealedRejoin(t *testing.T) {
	key, id := bytes.Repeat([]byte{1}, rejoinKeySize), ConversationID{2}
	sealed, err := sealRejoin(key, id, 7, []byte("commit"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := openRejoin(key, id, 7, sealed); err != nil || string(got) != "commit" || !sealedRejoin(sealed) {
		t.Errorf("%q, %v", got, err)
	}
	if sealedRejoin([]byte{0, 1, 0, 2}) || sealedRejoin(nil) {
		t.Error("an MLSMessage is taken for a sealed one")
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for what, open := range map[string]func() ([]byte, error){
		"key":       func() ([]byte, error) { return openRejoin(bytes.Repeat([]byte{2}, 32), id, 7, sealed) },
		"channel":   func() ([]byte, error) { return openRejoin(key, ConversationID{3}, 7, sealed) },
		"epoch":     func() ([]byte, error) { return openRejoin(key, id, 8, sealed) },
		"changed":   func() ([]byte, error) { return openRejoin(key, id, 7, changed) },
		"truncated": func() ([]byte, error) { return openRejoin(key, id, 7, sealed[:10]) },
		"plain":     func() ([]byte, error) { return openRejoin(key, id, 7, []byte("commit")) },
	} {
		if got, err := open(); !errors.Is(err, errRejoinSeal) || got != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzOpenRejoin(f *testing.F) {
	key := bytes.Repeat([]byte{1}, rejoinKeySize)
	sealed, err := sealRejoin(key, ConversationID{}, 1, []byte("x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(rejoinMark)
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := openRejoin(key, ConversationID{}, 1, b); err != nil && (got != nil || !errors.Is(err, errRejoinSeal)) {
			t.Error(err)
		}
	})
}

func FuzzParseContact(f *testing.F) {
	for _, body := range []*qpcv1.ContactBody{
		{Body: &qpcv1.ContactBody_RejoinRequest{RejoinRequest: &qpcv1.RejoinRequest{ChannelId: make([]byte, 16), RequestId: make([]byte, 16)}}},
		{Body: &qpcv1.ContactBody_Invitation{Invitation: &qpcv1.Invitation{Welcome: []byte{1}}}},
	} {
		raw, err := proto.Marshal(body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if body, err := parseContact(raw); (err == nil) != (body != nil && body.Body != nil) {
			t.Error(err)
		}
	})
}

// After an overflow a device finds out by itself that it has missed a commit, also in
// a conversation where nobody writes; and where it has missed none, it goes on.
func TestOverflowHidesNoLostCommit(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id, other := group(alice, bob), group(alice, bob)
	awaitSame(alice, bob, id)
	epoch := bob.epoch(other)
	f.loseCommit(bob, id, alice.rotate(id))
	f.inject(bob.Client, &qpcv1.QueueItem{ItemId: make([]byte, 16), Body: &qpcv1.QueueItem_Overflow{Overflow: &qpcv1.Overflow{}}})
	bob.awaitEvent(id, EventReturned)
	awaitSame(alice, bob, id)
	bob.until("the end of the doubt", func() bool {
		v := bob.lookup(other)
		v.mu.Lock()
		doubt := v.notes.Doubt
		v.mu.Unlock()
		return !doubt && slices.Contains(bob.events(other), EventOverflow)
	})
	if now := bob.epoch(other); now.Epoch != epoch.Epoch || slices.Contains(bob.events(other), EventBroken) {
		t.Errorf("epoch %d, then %d", epoch.Epoch, now.Epoch)
	}
}

// What is not answered is asked again, and a conversation about which nothing can be
// found out keeps no other from it.
func TestDoubtStaysUntilItIsAnswered(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	damaged, id := group(alice, bob), group(alice, bob)
	awaitSame(alice, bob, id)
	awaitSame(alice, bob, damaged)
	f.mu.Lock()
	f.busy = true
	f.mu.Unlock()
	f.loseCommit(bob, id, alice.rotate(id))
	f.inject(bob.Client, &qpcv1.QueueItem{ItemId: make([]byte, 16), Body: &qpcv1.QueueItem_Overflow{Overflow: &qpcv1.Overflow{}}})
	bob.awaitEvent(id, EventOverflow)
	bob.awaitEvent(damaged, EventOverflow)
	if err := bob.findLost(t.Context()); err == nil {
		t.Error("nothing was found out, and nobody says so")
	}
	v := bob.lookup(damaged)
	v.mu.Lock()
	v.close()
	err := bob.vault.Update(t.Context(), func(tx *vault.Tx) error {
		return tx.PutMLS(damaged, records([]mls.Change{{Key: []byte("epoch"), Value: []byte("damaged")}}))
	})
	v.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.busy = false
	f.mu.Unlock()
	if err := bob.findLost(t.Context()); !errors.Is(err, ErrProfileCorrupt) {
		t.Errorf("got %v", err)
	}
	bob.awaitEvent(id, EventReturned)
}

// A member that comes online hours later still shows the way.
func TestLateAnswer(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	awaitSame(alice, bob, id)
	f.loseCommit(bob, id, alice.rotate(id))
	alice.send(id, "bob?")
	f.hold(alice.Client)
	bob.awaitEvent(id, EventBroken)
	v := bob.lookup(id)
	rounds := func() int {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.notes.Healing == nil {
			return 99
		}
		return v.notes.Healing.Rounds
	}
	bob.settledHealing("three rounds", func() bool { return rounds() >= 3 })
	if c, err := bob.Conversation(t.Context(), id); err != nil || c.State == StateActive && bob.count(id, EventReturned) == 0 {
		t.Fatalf("%v, %v", c.State, err)
	}
	f.release(alice.Client)
	bob.awaitEvent(id, EventReturned)
	awaitSame(alice, bob, id)
}

// The account's own other device is asked before anybody else.
func TestOwnDeviceIsAskedFirst(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	laptop := f.login("bob", "laptop")
	if err := bob.SyncDevices(t.Context()); err != nil {
		t.Fatal(err)
	}
	laptop.awaitState(id, StateActive)
	for _, m := range []*member{bob, alice} {
		awaitSame(m, laptop, id)
	}
	var first DeviceID
	var once sync.Once
	f.intercept(func(req any) {
		if r, ok := req.(*qpcv1.FetchHybridKeyRequest); ok {
			once.Do(func() { first = DeviceID(r.DeviceId) })
		}
	}, nil)
	f.loseCommit(laptop, id, alice.rotate(id))
	awaitSame(alice, bob, id)
	alice.send(id, "laptop?")
	laptop.settledHealing("the return", func() bool { return slices.Contains(laptop.events(id), EventReturned) })
	awaitSame(bob, laptop, id)
	f.intercept(nil, nil)
	if first != bob.Me().DeviceID {
		t.Error("another was asked first")
	}
}

// login adds a device to an account.
func (f *fakeServer) login(name, device string) *member {
	f.t.Helper()
	m := &member{t: f.t, f: f, o: f.options(name + "-" + device)}
	c, err := Login(f.t.Context(), m.o, f.link, name, testPassword)
	if err != nil {
		f.t.Fatal(err)
	}
	m.Client = c
	f.t.Cleanup(func() { m.close() })
	m.sync()
	return m
}
