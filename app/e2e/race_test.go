package e2e

import (
	"bytes"
	"testing"
)

// TestLostRace lets two members commit at the same moment, 50 times: each
// epoch has one winner, the loser goes on from it and gets its own commit in
// afterwards, and both end in the same state.
func TestLostRace(t *testing.T) {
	const rounds = 50
	w := newWorld(t)
	alice, bob := w.register("alice"), w.register("bob")
	chat, err := alice.StartDirect(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	bob.conversation("alice")
	before, err := alice.GroupEpoch(t.Context(), chat.ID)
	if err != nil {
		t.Fatal(err)
	}
	for range rounds {
		parallel(
			func() {
				if err := alice.RotateKeys(t.Context(), chat.ID); err != nil {
					t.Error("alice:", err)
				}
			},
			func() {
				if err := bob.RotateKeys(t.Context(), chat.ID); err != nil {
					t.Error("bob:", err)
				}
			},
		)
	}
	alice.send(chat.ID, "after the race")
	bob.awaitTexts(chat.ID, 1)
	bob.send(chat.ID, "indeed")
	alice.awaitTexts(chat.ID, 2)
	a, err := alice.GroupEpoch(t.Context(), chat.ID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bob.GroupEpoch(t.Context(), chat.ID)
	if err != nil {
		t.Fatal(err)
	}
	if a.Epoch != b.Epoch || !bytes.Equal(a.Authenticator, b.Authenticator) {
		t.Errorf("the two ended apart: epochs %d and %d", a.Epoch, b.Epoch)
	}
	if got := a.Epoch - before.Epoch; got != 2*rounds {
		t.Errorf("%d epochs for %d commits", got, 2*rounds)
	}
}
