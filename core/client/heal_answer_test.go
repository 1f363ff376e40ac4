package client

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	qpcv1 "quicprochat/proto/qpc/v1"
)

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
