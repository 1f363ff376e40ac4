package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quicprochat/core/tokens"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

func (m *member) tokens() int {
	m.t.Helper()
	n, _, err := m.stock(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

// setMint changes how the server issues and takes tokens.
func (f *fakeServer) setMint(change func(*fakeMint)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.mint)
}

// Whoever has just registered can invite at once, and then has some in stock, which
// others cannot tell from a number that somebody needs.
func TestFirstInvitationFetchesTokens(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	var batches []int
	var mu sync.Mutex
	f.intercept(func(req any) {
		if r, ok := req.(*qpcv1.IssueTokensRequest); ok {
			mu.Lock()
			defer mu.Unlock()
			batches = append(batches, len(r.Blinded))
		}
	}, nil)
	if n := alice.tokens(); n != 0 {
		t.Fatalf("%d tokens", n)
	}
	id := group(alice, bob)
	if n := alice.tokens(); n != tokenBatch-1 {
		t.Errorf("%d tokens are left", n)
	}
	carol := f.register("carol")
	if err := alice.AddMembers(t.Context(), id, []string{"carol"}); err != nil {
		t.Fatal(err)
	}
	carol.awaitState(id, StateActive)
	if n := alice.tokens(); n != tokenBatch-2 {
		t.Errorf("%d tokens are left", n)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(batches, []int{tokenBatch}) {
		t.Errorf("batches of %v", batches)
	}
}

// The stock is filled up at a time that has nothing to do with spending.
func TestTopUp(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	if err := alice.ensureTokens(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	take := func(n int) {
		t.Helper()
		err := alice.vault.Update(t.Context(), func(tx *vault.Tx) error {
			_, err := takeTokens(tx, n, alice.now())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	topUp := func() {
		t.Helper()
		if err := alice.topUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	take(tokenBatch - fewTokens)
	topUp()
	f.advance(topUpDelay)
	topUp()
	if n := alice.tokens(); n != fewTokens {
		t.Errorf("%d tokens, though there were enough", n)
	}
	take(1)
	alice.wallet.fetching.Lock()
	alice.wallet.due, alice.wallet.within = alice.now().Add(time.Minute), topUpDelay // decided
	alice.wallet.fetching.Unlock()
	topUp()
	if n := alice.tokens(); n != fewTokens-1 {
		t.Errorf("%d tokens at once", n)
	}
	f.advance(time.Minute)
	topUp()
	if n := alice.tokens(); n != fewTokens-1+tokenBatch {
		t.Errorf("%d tokens after a while", n)
	}
}

// Nobody has to spend tokens for there to be good ones: each day brings some, so that
// an invitation days later does not fetch what it spends. The server sees one number,
// whatever is left.
func TestTokensDoNotRunOut(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	var mu sync.Mutex
	var batches []int
	f.intercept(func(req any) {
		if r, ok := req.(*qpcv1.IssueTokensRequest); ok {
			mu.Lock()
			defer mu.Unlock()
			batches = append(batches, len(r.Blinded))
		}
	}, nil)
	id := group(alice, bob) // spends one
	topUp := func() {
		t.Helper()
		if err := alice.topUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		f.advance(24*time.Hour - refreshDelay)
		topUp()
		f.advance(refreshDelay)
		topUp()
		if n := alice.tokens(); n < fewTokens || n > 3*tokenBatch {
			t.Errorf("%d tokens are good", n)
		}
	}
	mu.Lock()
	fetched := len(batches)
	for _, n := range batches {
		if n != tokenBatch {
			t.Errorf("batches of %v", batches)
		}
	}
	mu.Unlock()
	f.register("carol")
	if err := alice.AddMembers(t.Context(), id, []string{"carol"}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if fetched < 5 || len(batches) != fetched {
		t.Errorf("%d batches, %d with the invitation", fetched, len(batches))
	}
}

// A day that ends between the question for its key and that for tokens is no error.
func TestDayEndsWhileFetching(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	var once sync.Once
	f.intercept(func(req any) {
		if _, ok := req.(*qpcv1.IssueTokensRequest); ok {
			once.Do(func() { f.advance(24 * time.Hour) })
		}
	}, nil)
	if err := alice.ensureTokens(t.Context(), 1); err != nil || alice.tokens() != tokenBatch {
		t.Errorf("%d tokens, %v", alice.tokens(), err)
	}
}

// The day of a key is no name for whoever is shown it: it is today's.
func TestKeyOfAnotherDay(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	var asked atomic.Bool
	f.intercept(func(req any) {
		if _, ok := req.(*qpcv1.IssueTokensRequest); ok {
			asked.Store(true)
		}
	}, nil)
	for _, days := range []int32{2, 1000, -2} {
		f.setMint(func(m *fakeMint) { m.day = uint32(days) })
		err := alice.ensureTokens(t.Context(), 1)
		if !errors.Is(err, ErrClock) || alice.tokens() != 0 || asked.Load() {
			t.Errorf("%d days ahead: %v", days, err)
		}
	}
	f.setMint(func(m *fakeMint) { m.day = 0 })
	if err := alice.ensureTokens(t.Context(), 1); err != nil {
		t.Error(err) // what was refused is forgotten
	}
}

// A server that has a key for one account, or shows two of one day, gets nothing of
// use back.
func TestKeyForOneAccount(t *testing.T) {
	for name, change := range map[string]func(*fakeMint){
		"another key for accounts": func(m *fakeMint) { m.tagging = 7 },
		"another key of one day":   func(m *fakeMint) { m.secret = 7 },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			alice := f.register("alice")
			f.register("bob")
			if err := alice.ensureTokens(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			have := alice.tokens()
			f.setMint(change)
			alice.reopen() // it remembers the key
			alice.sync()
			err := alice.ensureTokens(t.Context(), have+1)
			if !errors.Is(err, ErrServer) || UserMessage(err) == "" {
				t.Errorf("got %v", err)
			}
			if n := alice.tokens(); n != have {
				t.Errorf("%d tokens", n)
			}
		})
	}
	f := newFakeServer(t)
	alice := f.register("alice")
	f.setMint(func(m *fakeMint) { m.tagging = 7 })
	if err := alice.ensureTokens(t.Context(), 1); !errors.Is(err, errTokenKey) || alice.tokens() != 0 {
		t.Errorf("on the first day: %v, %d tokens", err, alice.tokens())
	}
}

// Tokens that the server does not take, or not any more, are replaced by the way.
func TestRefusedTokensAreReplaced(t *testing.T) {
	for name, spoil := range map[string]func(*fakeServer, *member){
		"of another day": func(f *fakeServer, _ *member) {
			f.advance(24 * time.Hour)
			f.setMint(func(m *fakeMint) { m.strict = true })
		},
		"spent": func(f *fakeServer, m *member) {
			err := m.vault.View(f.t.Context(), func(tx *vault.Tx) error {
				p, err := loadPurse(tx)
				f.setMint(func(mint *fakeMint) {
					mint.spent = map[string]string{}
					for _, b := range p.Tokens {
						token, _ := tokens.Parse(b)
						mint.spent[string(token.Nonce[:])] = "something else"
					}
				})
				return err
			})
			if err != nil {
				f.t.Fatal(err)
			}
		},
		"of another server": func(f *fakeServer, _ *member) {
			f.advance(24 * time.Hour)
			f.setMint(func(m *fakeMint) { m.secret = 9 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
			id := group(alice, bob)
			spoil(f, alice)
			if err := alice.AddMembers(t.Context(), id, []string{"carol"}); err != nil {
				t.Fatal(err)
			}
			carol.awaitState(id, StateActive)
			awaitSame(alice, carol, id)
			spoil(f, alice)
			bob.awaitState(id, StateActive)
			req := &qpcv1.DeliverSealedRequest{Address: alice.addressOf(id, bob.Me().AccountID), ItemId: make([]byte, 16), Sealed: []byte("x")}
			if err := alice.deliverSealed(t.Context(), req); err != nil {
				t.Error(err)
			}
		})
	}
}

// A server that takes no token at all is not asked for ever.
func TestServerThatTakesNoToken(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	f.register("carol")
	id := group(alice, bob)
	f.intercept(func(req any) {
		if r, ok := req.(*qpcv1.CommitRequest); ok {
			r.Tokens = nil
		}
		if r, ok := req.(*qpcv1.DeliverSealedRequest); ok {
			r.Token = nil
		}
	}, nil)
	if err := alice.AddMembers(t.Context(), id, []string{"carol"}); err == nil {
		t.Error("carol was added for nothing")
	}
	req := &qpcv1.DeliverSealedRequest{Address: alice.addressOf(id, bob.Me().AccountID), ItemId: make([]byte, 16), Sealed: []byte("x")}
	if err := alice.deliverSealed(t.Context(), req); !errors.Is(err, ErrServer) {
		t.Errorf("got %v", err)
	}
	f.intercept(nil, nil)
	alice.send(id, "fine")
	bob.awaitTexts(id, "fine")
}

// Where the quota is used up, the last tokens of the day can still be had, and then a
// person is told.
func TestContactQuota(t *testing.T) {
	f := newFakeServer(t)
	f.setMint(func(m *fakeMint) { m.quota = 3 })
	alice, bob := f.register("alice"), f.register("bob")
	f.register("carol")
	f.register("dave")
	f.register("eve")
	id := group(alice, bob)
	if err := alice.AddMembers(t.Context(), id, []string{"carol", "dave"}); err != nil {
		t.Fatal(err)
	}
	err := alice.AddMembers(t.Context(), id, []string{"eve"})
	if !errors.Is(err, ErrContactQuota) {
		t.Errorf("got %v", err)
	}
	_, err = alice.StartDirect(t.Context(), "eve")
	if !errors.Is(err, ErrContactQuota) {
		t.Errorf("got %v", err)
	}
	alice.send(id, "what is there goes on")
	bob.awaitTexts(id, "what is there goes on")
}

// A commit that loses its race costs nothing.
func TestLostRaceCostsNoToken(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob)
	before := alice.tokens()
	var once sync.Once
	f.intercept(func(req any) {
		if r, ok := req.(*qpcv1.CommitRequest); ok && len(r.Tokens) > 0 {
			once.Do(func() {
				if err := bob.RotateKeys(context.Background(), id); err != nil {
					t.Error(err)
				}
			})
		}
	}, nil)
	if err := alice.AddMembers(t.Context(), id, []string{"carol"}); err != nil {
		t.Fatal(err)
	}
	carol.awaitState(id, StateActive)
	if n := alice.tokens(); n != before-1 {
		t.Errorf("%d tokens, before %d", n, before)
	}
}

// A commit that pays survives a crash with its tokens, and pays once.
func TestPaidCommitSurvivesACrash(t *testing.T) {
	for name, after := range map[string]bool{"before the server has it": false, "before its answer": true} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
			id := group(alice, bob)
			before := alice.tokens()
			reached, gate := make(chan struct{}), make(chan struct{})
			var once sync.Once
			hook := func(req any) {
				if r, ok := req.(*qpcv1.CommitRequest); ok && len(r.Tokens) > 0 {
					once.Do(func() {
						close(reached)
						<-gate
					})
				}
			}
			if after {
				f.intercept(nil, hook)
			} else {
				f.intercept(hook, nil)
			}
			done := make(chan error, 1)
			go func() { done <- alice.AddMembers(context.Background(), id, []string{"carol"}) }()
			<-reached
			alice.close()
			<-done
			close(gate)
			c, err := Open(t.Context(), alice.o, testPassword)
			if err != nil {
				t.Fatal(err)
			}
			alice.Client = c
			carol.awaitState(id, StateActive)
			awaitSame(alice, carol, id)
			if n := alice.tokens(); n != before-1 {
				t.Errorf("%d tokens, before %d", n, before)
			}
			f.mu.Lock()
			spent := len(f.mint.spent)
			f.mu.Unlock()
			if spent != 2 { // bob's and carol's
				t.Errorf("%d tokens were spent", spent)
			}
		})
	}
}
