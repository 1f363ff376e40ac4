package client

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"quicprochat/core/identity"
	qpcv1 "quicprochat/proto/qpc/v1"
)

func (m *member) share() {
	m.t.Helper()
	if err := m.ShareSettings(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// flags is the conversation's settings.
func (m *member) flags(id ConversationID) string {
	m.t.Helper()
	c, err := m.Conversation(m.t.Context(), id)
	if err != nil {
		m.t.Fatal(err)
	}
	return fmt.Sprint(c.Muted, c.Pinned, c.Blocked)
}

func (m *member) wantFlags(id ConversationID, want string) {
	m.t.Helper()
	if got := m.flags(id); got != want {
		m.t.Errorf("%s has muted, pinned, blocked %s, not %s", m.o.DeviceName, got, want)
	}
}

func (m *member) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func TestSettingsFollow(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	ctx := t.Context()
	alice.must(alice.SetMuted(ctx, id, true))
	alice.wantFlags(id, "true false false")
	alice.reopen() // whether shared or not, it is on disk
	alice.wantFlags(id, "true false false")
	alice.sync()
	alice.share()
	laptop := f.login("alice", "laptop")
	laptop.share()
	alice.must(alice.SyncDevices(t.Context()))
	laptop.awaitState(id, StateActive)
	laptop.wantFlags(id, "true false false")
	laptop.must(laptop.SetPinned(ctx, id, true))
	laptop.must(laptop.SetMuted(ctx, id, false))
	laptop.share()
	alice.share()
	alice.wantFlags(id, "false true false")

	// Changes at the same time: nothing is lost, whoever comes second.
	alice.must(alice.SetMuted(ctx, id, true))
	laptop.must(laptop.SetPinned(ctx, id, false))
	var wg sync.WaitGroup
	for _, m := range []*member{alice, laptop, alice, laptop} {
		wg.Go(func() {
			if err := m.ShareSettings(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	alice.share()
	laptop.share()
	for _, m := range []*member{alice, laptop} {
		m.wantFlags(id, "true false false")
	}
	if err := alice.SetMuted(ctx, ConversationID{9}, true); !errors.Is(err, ErrUnknownConversation) {
		t.Error(err)
	}
}

// What the server keeps does not show what it is, nor how much.
func TestServerSeesNoSettings(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	account := f.accounts[alice.Me().AccountID]
	var sizes []int
	for _, change := range []func(){
		func() { alice.must(alice.SetMuted(t.Context(), id, true)) },
		func() { alice.must(alice.SetPinned(t.Context(), id, true)) },
		func() { alice.must(alice.SetBlocked(t.Context(), bob.Me().AccountID, true)) },
	} {
		change()
		alice.share()
		f.mu.Lock()
		sizes = append(sizes, len(account.vault))
		blob := string(account.vault)
		f.mu.Unlock()
		bobsID := bob.Me().AccountID
		for _, hidden := range []string{string(id[:]), string(bobsID[:])} {
			if len(blob) == 0 || contains(blob, hidden) {
				t.Error("the server can read it")
			}
		}
	}
	if sizes[0] != sizes[1] || sizes[1] != sizes[2] {
		t.Errorf("the length tells: %v", sizes)
	}
}

func contains(s, part string) bool {
	for i := range len(s) - len(part) + 1 {
		if s[i:i+len(part)] == part {
			return true
		}
	}
	return false
}

// A server that has gone back, or lies, does not undo what is set.
func TestServerGoesBackWithSettings(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	account := f.accounts[alice.Me().AccountID]
	alice.must(alice.SetPinned(t.Context(), id, true))
	alice.share()
	f.mu.Lock()
	version, old := account.version, account.vault
	f.mu.Unlock()
	alice.must(alice.SetMuted(t.Context(), id, true))
	alice.share()
	f.mu.Lock()
	account.version, account.vault = version, old
	f.mu.Unlock()
	alice.share()
	alice.wantFlags(id, "true true false")
	laptop := f.login("alice", "laptop")
	laptop.share()
	alice.must(alice.SyncDevices(t.Context()))
	laptop.awaitState(id, StateActive)
	laptop.wantFlags(id, "true true false")

	// An old vault under a new number, and rubbish, are not believed. What this
	// device knows takes their place: nobody could read them, ever.
	for _, lie := range [][]byte{old, []byte("rubbish"), nil} {
		f.mu.Lock()
		account.version += 5
		account.vault = lie
		f.mu.Unlock()
		alice.share()
		alice.wantFlags(id, "true true false")
		alice.must(laptop.SetMuted(t.Context(), id, true)) // is so already
		laptop.share()
		laptop.wantFlags(id, "true true false")
	}
}

// A server cannot give back what was undone by first saying that it has nothing
// at all: a device that has filled it anew still knows old settings as such.
func TestOldSettingsUnderTheirOwnVersion(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	ctx := t.Context()
	chat, err := alice.StartDirect(ctx, "bob")
	alice.must(err)
	id, account := chat.ID, f.accounts[alice.Me().AccountID]
	for range 3 {
		alice.must(alice.SetPinned(ctx, id, true))
		alice.share()
		alice.must(alice.SetPinned(ctx, id, false))
		alice.share()
	}
	f.mu.Lock()
	version, old := account.version, account.vault // Bob is not blocked
	f.mu.Unlock()
	alice.must(alice.SetBlocked(ctx, bob.Me().AccountID, true))
	alice.share()
	f.mu.Lock()
	account.version, account.vault = 0, nil
	f.mu.Unlock()
	alice.share()
	f.mu.Lock()
	if account.version >= version {
		t.Errorf("settings begin anew with version %d", account.version)
	}
	account.version, account.vault = version, old
	f.mu.Unlock()
	alice.share()
	alice.wantFlags(id, "false false true")
}

// After a server's return to a backup, a device that comes later keeps what
// another one has set since.
func TestSettingsAfterABackup(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id, ctx := group(alice, bob), t.Context()
	laptop := f.login("alice", "laptop")
	alice.must(alice.SyncDevices(ctx))
	laptop.awaitState(id, StateActive)
	account := f.accounts[alice.Me().AccountID]
	alice.must(alice.SetPinned(ctx, id, true))
	alice.share()
	f.mu.Lock()
	version, backup := account.version, account.vault
	f.mu.Unlock()
	for _, on := range []bool{false, true} { // so that versions alone say nothing
		alice.must(alice.SetPinned(ctx, id, on))
		alice.share()
	}
	laptop.share()
	f.mu.Lock()
	account.version, account.vault = version, backup
	f.mu.Unlock()
	alice.must(alice.SetMuted(ctx, id, true))
	alice.share()
	laptop.share()
	laptop.wantFlags(id, "true true false")
	alice.share()
	alice.wantFlags(id, "true true false")
}

// A device of the account that was stolen can leave neither rubbish nor a
// number that nobody could follow.
func TestSettingsOfAThief(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id, ctx := group(alice, bob), t.Context()
	account := f.accounts[alice.Me().AccountID]
	alice.must(alice.SetMuted(ctx, id, true))
	alice.share()
	f.mu.Lock()
	account.version++
	sealed, err := sealShared(alice.self.vaultKey, alice.Me().AccountID, account.version, revision{number: 1<<64 - 1})
	account.vault = sealed
	f.mu.Unlock()
	alice.must(err)
	alice.share()
	alice.wantFlags(id, "true false false")
	laptop := f.login("alice", "laptop")
	laptop.share()
	alice.must(alice.SyncDevices(ctx))
	laptop.awaitState(id, StateActive)
	laptop.wantFlags(id, "true false false")
}

func TestBlocked(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	ctx := t.Context()
	if err := alice.SetBlocked(ctx, alice.Me().AccountID, true); !errors.Is(err, ErrYourself) {
		t.Error(err)
	}
	direct, err := alice.StartDirect(ctx, "bob")
	alice.must(err)
	bob.awaitState(direct.ID, StateActive)
	alice.must(alice.SetBlocked(ctx, bob.Me().AccountID, true))
	alice.wantFlags(direct.ID, "false false true")
	list, err := alice.Blocked(ctx)
	alice.must(err)
	if len(list) != 1 || list[0].Name != "bob" {
		t.Errorf("blocked: %+v", list)
	}
	// Bob's invitation is dropped, Carol's is not, and what there is goes on.
	declined, err := bob.CreateGroup(ctx, "declined", []string{"alice"})
	alice.must(err)
	bob.send(direct.ID, "still here")
	alice.awaitTexts(direct.ID, "still here")
	taken, err := carol.CreateGroup(ctx, "taken", []string{"alice"})
	alice.must(err)
	alice.awaitState(taken.ID, StateActive)
	if _, err := alice.Conversation(ctx, declined.ID); !errors.Is(err, ErrUnknownConversation) {
		t.Errorf("a blocked account's invitation: %v", err)
	}
	alice.must(alice.SetBlocked(ctx, bob.Me().AccountID, false))
	alice.wantFlags(direct.ID, "false false false")
	again, err := bob.CreateGroup(ctx, "again", []string{"alice"})
	alice.must(err)
	alice.awaitState(again.ID, StateActive)
}

func TestSettingsAreBounded(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	all := make(map[shared]bool)
	for n := range maxShared - 1 {
		all[shared{sharedKind(n%3 + 1), random16()}] = true
	}
	alice.sharing.Lock()
	alice.shared.mu.Lock()
	err := alice.saveShared(t.Context(), alice.shared.version, revision{1, all}, map[shared]bool{})
	alice.shared.mu.Unlock()
	alice.sharing.Unlock()
	alice.must(err)
	alice.must(alice.SetPinned(t.Context(), id, true))
	if err := alice.SetMuted(t.Context(), id, true); !errors.Is(err, ErrTooManySettings) {
		t.Error(err)
	}
	alice.share() // as many as there may be fit
	alice.wantFlags(id, "false true false")
	alice.must(alice.SetPinned(t.Context(), id, false))
	alice.must(alice.SetMuted(t.Context(), id, true))
}

func drawShared(t *rapid.T) map[shared]bool {
	return rapid.MapOfN(rapid.Custom(func(t *rapid.T) shared {
		return shared{sharedKind(rapid.IntRange(1, 3).Draw(t, "kind")), [16]byte{rapid.Byte().Draw(t, "id")}}
	}), rapid.Just(true), 0, 40).Draw(t, "settings")
}

func TestSettingsRoundTrip(t *testing.T) {
	key, err := identity.NewAccountKey()
	if err != nil {
		t.Fatal(err)
	}
	id, vaultKey := identity.NewAccountID(), key.VaultKey()
	rapid.Check(t, func(t *rapid.T) {
		all := drawShared(t)
		sealed, err := sealShared(vaultKey, id, 3, revision{7, all})
		if err != nil {
			t.Fatal(err)
		}
		got, err := openShared(vaultKey, id, 3, sealed)
		if err != nil || got.number != 7 || !maps.Equal(got.on, all) {
			t.Fatalf("got %v, %v, want %v", got, err, all)
		}
	})
}

func FuzzSettings(f *testing.F) {
	valid, _ := proto.Marshal(&qpcv1.AccountSettings{
		Conversations: []*qpcv1.ConversationSettings{{ConversationId: make([]byte, 16), Muted: true}},
		Blocked:       [][]byte{make([]byte, 16)},
		Revision:      300,
	})
	f.Add(valid)
	f.Add([]byte{0x0a, 0x02, 0x0a, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseShared(b)
		if err != nil {
			return
		}
		again, err := marshalShared(all)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseShared(again); err != nil || got.number != all.number || !maps.Equal(got.on, all.on) {
			t.Errorf("%v is read again as %v, %v", all, got, err)
		}
	})
}
