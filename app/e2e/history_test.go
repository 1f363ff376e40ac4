package e2e

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"quicprochat/core/client"
)

// TestOneHistory is the promise of the product in one test: a group, random
// senders, members that come and go, keys that change, a client that is
// killed, a server that restarts; and every member that should have a message
// has it once, in the order of the channel.
func TestOneHistory(t *testing.T) {
	const total = 200
	w := newWorld(t)
	alice, bob, carol, dave := w.register("alice"), w.register("bob"), w.register("carol"), w.register("dave")
	group, err := alice.CreateGroup(t.Context(), "history", []string{"bob", "carol"})
	if err != nil {
		t.Fatal(err)
	}
	bob.conversation("history")
	carol.conversation("history")
	id := hex.EncodeToString(group.ID[:])

	// Bob goes on in a process of his own, so that he can be killed.
	bob.close()
	victim := startVictim(t, bob.dir)
	victim.do(order{Do: "sync"})

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	daveIn := false
	for i := range total {
		text := fmt.Sprintf("message %d", i)
		switch random.IntN(3) {
		case 0:
			alice.send(group.ID, text)
		case 1:
			victim.do(order{Do: "send", Conversation: id, Text: text})
		case 2:
			carol.send(group.ID, text)
		}
		switch {
		case i%25 == 10:
			if daveIn {
				err = alice.RemoveMember(t.Context(), group.ID, dave.Me().AccountID)
			} else {
				err = alice.AddMembers(t.Context(), group.ID, []string{"dave"})
			}
			daveIn = !daveIn
		case i%10 == 5:
			err = carol.RotateKeys(t.Context(), group.ID)
		case i%40 == 20:
			err = alice.Rename(t.Context(), group.ID, fmt.Sprintf("history %d", i))
		case i == 70:
			victim.kill()
			victim.start()
		case i == 130:
			w.restart()
			for _, p := range []*person{alice, carol, dave} {
				p.sync()
			}
		}
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}

	want := alice.awaitTexts(group.ID, total)
	checkOnce(t, "alice", want, total)
	if got := carol.awaitTexts(group.ID, total); !slices.Equal(got, want) {
		t.Errorf("carol's order differs:\n%v\n%v", got, want)
	}
	if a := victim.do(order{Do: "texts", Conversation: id, Count: total}); !slices.Equal(a.Texts, want) {
		t.Errorf("bob's order differs:\n%v\n%v", a.Texts, want)
	}
	expected := whileMember(alice.messages(group.ID), dave.Me().AccountID)
	dave.until("what was said while dave was in", func() bool {
		return len(texts(dave.messages(group.ID))) >= len(expected)
	})
	if got := texts(dave.messages(group.ID)); !slices.Equal(got, expected) {
		t.Errorf("dave has\n%q\nand should have\n%q", got, expected)
	}

	// And everything is there after a restart of everybody.
	w.restart()
	w.reopen(alice)
	w.reopen(carol)
	if got := texts(alice.messages(group.ID)); !slices.Equal(got, want) {
		t.Errorf("alice lost history in a restart")
	}
	if got := texts(carol.messages(group.ID)); !slices.Equal(got, want) {
		t.Errorf("carol lost history in a restart")
	}
}

// checkOnce fails unless each of n numbered texts is there once.
func checkOnce(t *testing.T, who string, got []string, n int) {
	t.Helper()
	sorted := slices.Clone(got)
	slices.Sort(sorted)
	if unique := slices.Compact(sorted); len(got) != n || len(unique) != n {
		t.Errorf("%s has %d texts, %d different ones, of %d", who, len(got), len(unique), n)
	}
}

// whileMember is what was said between somebody's coming and going, as
// another member's history has it.
func whileMember(messages []client.Message, who client.AccountID) []string {
	var out []string
	in := false
	for _, m := range messages {
		switch {
		case m.Kind == client.KindText && in:
			out = append(out, m.Text)
		case m.Event == nil:
		case m.Event.Kind == client.EventAdded && concerns(m.Event, who):
			in = true
		case m.Event.Kind == client.EventRemoved && concerns(m.Event, who):
			in = false
		}
	}
	return out
}

func concerns(e *client.SystemEvent, who client.AccountID) bool {
	return slices.ContainsFunc(e.Subjects, func(p client.Person) bool { return p.AccountID == who })
}

// TestKilledWhileSending kills a client in the middle of sending, again and
// again: what Send accepted arrives, once, in the order of sending.
func TestKilledWhileSending(t *testing.T) {
	const rounds, burst = 8, 5
	w := newWorld(t)
	alice, bob := w.register("alice"), w.register("bob")
	chat, err := bob.StartDirect(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	alice.conversation("bob")
	id := hex.EncodeToString(chat.ID[:])
	bob.close()
	victim := startVictim(t, bob.dir)
	var want []string
	for r := range rounds {
		for i := range burst {
			text := strings.Repeat("x", r) + fmt.Sprint(i)
			victim.do(order{Do: "send", Conversation: id, Text: text})
			want = append(want, text)
		}
		victim.kill()
		victim.start()
	}
	victim.do(order{Do: "sync"})
	if got := alice.awaitTexts(chat.ID, rounds*burst); !slices.Equal(got, want) {
		t.Errorf("alice has\n%v\nnot\n%v", got, want)
	}
}
