package mls

import (
	"bytes"
	"testing"
)

// ledger remembers under which key each private message was encrypted that has
// left a device: no two different ones may have the same.
type ledger map[place][]byte

type place struct {
	epoch      uint64
	sender     LeafIndex
	kind       ratchetKind
	generation uint32
}

// note enters a message that a member sends in its present epoch.
func (l ledger) note(t testing.TB, g *Group, message []byte) {
	t.Helper()
	m, err := unmarshal(bytes.Clone(message), readMessage)
	if err != nil {
		t.Fatal(err)
	}
	if m.private == nil {
		return
	}
	d, err := m.private.sender(g.suite, g.cur.secrets.senderData)
	if err != nil {
		t.Fatal(err)
	}
	at := place{m.private.epoch, d.leaf, m.private.typ.ratchet(), d.generation}
	if other, used := l[at]; used && !bytes.Equal(other, message) {
		t.Fatalf("two messages are under the key of %+v", at)
	}
	l[at] = message
}

func TestLedger(t *testing.T) {
	alice := newGroupOf(t, SuiteX25519, 2)[0]
	l := ledger{}
	m := alice.seal("x")
	l.note(t, alice.g, m)
	l.note(t, alice.g, m)
	l.note(t, alice.g, alice.seal("x"))
	if len(l) != 2 {
		t.Fatalf("%d keys are known", len(l))
	}
	for at := range l {
		if at.epoch != 1 || at.sender != 0 || at.kind != ratchetApplication || at.generation > 1 {
			t.Errorf("a key of %+v", at)
		}
	}
}
