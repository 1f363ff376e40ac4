package vault

import (
	"errors"
	"testing"
	"time"
)

const testPassword = "correct horse battery staple"

// cheap is for tests only.
var cheap = Options{KDF: KDF{Passes: 1, MemoryKiB: 64, Lanes: 1}}

var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newVault(t testing.TB) (v *Vault, dir string) {
	t.Helper()
	dir = t.TempDir()
	v, err := Create(dir, testPassword, cheap)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return v, dir
}

func update(t testing.TB, v *Vault, fn func(*Tx) error) {
	t.Helper()
	if err := v.Update(t.Context(), fn); err != nil {
		t.Fatal("update:", err)
	}
}

func view(t testing.TB, v *Vault, fn func(*Tx) error) {
	t.Helper()
	if err := v.View(t.Context(), fn); err != nil {
		t.Fatal("view:", err)
	}
}

func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got error %v, want %v", got, want)
	}
}

func putConversation(t testing.TB, v *Vault, n byte) [16]byte {
	t.Helper()
	id := [16]byte{0xc0, n}
	update(t, v, func(tx *Tx) error {
		return tx.PutConversation(Conversation{ID: id, Kind: ConversationGroup, Title: "group", State: ConversationActive, CreatedAt: testTime})
	})
	return id
}

func TestReopen(t *testing.T) {
	v, dir := newVault(t)
	conv := putConversation(t, v, 1)
	m := Message{Conversation: conv, MessageID: [16]byte{1}, Kind: MessageText, Body: "hello", SentAt: testTime, Seq: 1, State: MessageReceived, Unread: true}
	update(t, v, func(tx *Tx) error { return tx.InsertMessage(&m) })
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	v, err := Open(dir, testPassword, cheap)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	view(t, v, func(tx *Tx) error {
		got, err := tx.MessageByID(conv, m.MessageID)
		if err != nil || got != m {
			t.Errorf("got %+v, %v, want %+v", got, err, m)
		}
		list, err := tx.Conversations()
		if err != nil || len(list) != 1 || list[0].Unread != 1 || list[0].Last == nil || list[0].Last.Text != "hello" || list[0].LastActivity != testTime {
			t.Errorf("got %+v, %v", list, err)
		}
		return nil
	})
}
