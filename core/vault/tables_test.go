package vault

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// records yields the pairs of keys and values.
func records(pairs ...string) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		for p := range slices.Chunk(pairs, 2) {
			if !yield([]byte(p[0]), []byte(p[1])) {
				return
			}
		}
	}
}

func TestSettings(t *testing.T) {
	v, _ := newVault(t)
	update(t, v, func(tx *Tx) error {
		for _, value := range [][]byte{{1, 2, 3}, {}, {0}, bytes.Repeat([]byte{7}, 100_000)} {
			if err := tx.PutSetting("key", value); err != nil {
				return err
			}
			got, err := tx.Setting("key")
			if err != nil || !bytes.Equal(got, value) {
				t.Errorf("got %d bytes, %v, want %d", len(got), err, len(value))
			}
		}
		if err := tx.DeleteSetting("key"); err != nil {
			return err
		}
		_, err := tx.Setting("key")
		wantErr(t, err, ErrNotFound)
		return tx.DeleteSetting("key")
	})
}

func TestContacts(t *testing.T) {
	v, _ := newVault(t)
	alice := Contact{AccountID: [16]byte{1}, AccountKey: bytes.Repeat([]byte{1}, 32), Name: "alice", FirstSeen: testTime}
	bob := Contact{AccountID: [16]byte{2}, AccountKey: bytes.Repeat([]byte{2}, 32), Name: "bob", FirstSeen: testTime.Add(time.Millisecond)}
	update(t, v, func(tx *Tx) error { return errors.Join(tx.PutContact(bob), tx.PutContact(alice)) })
	update(t, v, func(tx *Tx) error {
		list, err := tx.Contacts()
		if err != nil || fmt.Sprint(list) != fmt.Sprint([]Contact{alice, bob}) {
			t.Errorf("got %v, %v", list, err)
		}
		renamed := bob
		renamed.Name, renamed.FirstSeen = "robert", time.Time{}
		if err := tx.PutContact(renamed); err != nil {
			return err
		}
		bob.Name = "robert" // and FirstSeen stays
		if got, err := tx.ContactByName("robert"); err != nil || fmt.Sprint(got) != fmt.Sprint(bob) {
			t.Errorf("got %v, %v", got, err)
		}
		_, err = tx.ContactByName("bob")
		wantErr(t, err, ErrNotFound)

		forged := bob
		forged.AccountKey, forged.Name = alice.AccountKey, "mallory"
		wantErr(t, tx.PutContact(forged), ErrKeyChanged)
		if got, err := tx.Contact(bob.AccountID); err != nil || fmt.Sprint(got) != fmt.Sprint(bob) {
			t.Errorf("got %v, %v", got, err)
		}

		// The name passes to another account.
		heir := Contact{AccountID: [16]byte{3}, AccountKey: []byte{3}, Name: "robert", FirstSeen: testTime.Add(time.Hour)}
		if err := tx.PutContact(heir); err != nil {
			return err
		}
		if got, err := tx.ContactByName("robert"); err != nil || got.AccountID != heir.AccountID {
			t.Errorf("got %v, %v", got, err)
		}
		if err := tx.DeleteContact(bob.AccountID); err != nil {
			return err
		}
		_, err = tx.Contact(bob.AccountID)
		wantErr(t, err, ErrNotFound)
		return nil
	})
}

func TestConversations(t *testing.T) {
	v, _ := newVault(t)
	peer := [16]byte{9}
	c := Conversation{
		ID: [16]byte{1}, Kind: ConversationDirect, Title: "bob", PeerID: peer, State: ConversationActive,
		CreatedAt: testTime, Data: []byte{1, 2}, Unread: 77, LastActivity: testTime.Add(time.Hour),
	}
	update(t, v, func(tx *Tx) error {
		_, err := tx.DirectConversation(peer)
		wantErr(t, err, ErrNotFound)
		if err := tx.PutConversation(c); err != nil {
			return err
		}
		c.Unread, c.LastActivity = 0, testTime // kept by the package
		if got, err := tx.DirectConversation(peer); err != nil || fmt.Sprint(got) != fmt.Sprint(c) {
			t.Errorf("got %v, %v, want %v", got, err, c)
		}
		m := Message{Conversation: c.ID, MessageID: messageID(1), Sender: peer, Kind: MessageText, Body: strings.Repeat("ü", 1000), ReceivedAt: testTime.Add(time.Minute), Seq: 1, State: MessageReceived, Unread: true}
		if err := tx.InsertMessage(&m); err != nil {
			return err
		}
		c.Unread, c.LastActivity = 1, m.ReceivedAt
		c.Title, c.State, c.Data = "robert", ConversationLeft, nil
		if err := tx.PutConversation(c); err != nil {
			return err
		}
		got, err := tx.Conversation(c.ID)
		if err != nil || got.Last == nil {
			t.Fatalf("got %v, %v", got, err)
		}
		if want := (Preview{MessageID: m.MessageID, Sender: peer, Kind: MessageText, State: MessageReceived, Text: strings.Repeat("ü", 160)}); *got.Last != want {
			t.Errorf("preview %+v", *got.Last)
		}
		got.Last = nil
		if fmt.Sprint(got) != fmt.Sprint(c) {
			t.Errorf("got %v, want %v", got, c)
		}
		_, err = tx.DirectConversation(peer) // left
		wantErr(t, err, ErrNotFound)

		event := Message{Conversation: c.ID, MessageID: messageID(2), Kind: MessageEvent, Body: strings.Repeat("e", 1000), Seq: 2, State: MessageReceived}
		if err := tx.InsertMessage(&event); err != nil {
			return err
		}
		if got, err = tx.Conversation(c.ID); err != nil || got.Last == nil || got.Last.Text != event.Body || !got.LastActivity.Equal(testTime) {
			t.Errorf("got %+v, %v", got, err)
		}

		if err := tx.AddOutbox(&OutboxItem{Conversation: c.ID}); err != nil {
			return err
		}
		if err := tx.DeleteConversation(c.ID); err != nil {
			return err
		}
		_, err = tx.Conversation(c.ID)
		wantErr(t, err, ErrNotFound)
		_, err = tx.MessageByID(c.ID, m.MessageID)
		wantErr(t, err, ErrNotFound)
		if items, err := tx.Outbox(0, 10); err != nil || len(items) != 0 {
			t.Errorf("outbox %v, %v", items, err)
		}
		return tx.DeleteConversation(c.ID)
	})
}

func TestOwnMessage(t *testing.T) {
	v, _ := newVault(t)
	a, b := putConversation(t, v, 1), putConversation(t, v, 2)
	update(t, v, func(tx *Tx) error {
		theirs := Message{Conversation: a, MessageID: messageID(1), State: MessageReceived, Seq: 1}
		if err := tx.InsertMessage(&theirs); err != nil {
			return err
		}
		_, err := tx.OwnMessage(messageID(1))
		wantErr(t, err, ErrNotFound)
		mine := Message{Conversation: b, MessageID: messageID(1), State: MessageQueued}
		if err := tx.InsertMessage(&mine); err != nil {
			return err
		}
		if got, err := tx.OwnMessage(messageID(1)); err != nil || got != mine {
			t.Errorf("got %+v, %v", got, err)
		}
		return nil
	})
}

func TestOutbox(t *testing.T) {
	v, _ := newVault(t)
	var items []OutboxItem
	update(t, v, func(tx *Tx) error {
		for i := range 10 {
			o := OutboxItem{Conversation: [16]byte{byte(i % 2)}, ItemID: messageID(i), Kind: uint8(i), Payload: bytes.Repeat([]byte{byte(i)}, 1000*i), MessageID: messageID(100 + i), Attempts: i, CreatedAt: testTime}
			if err := tx.AddOutbox(&o); err != nil {
				return err
			}
			items = append(items, o)
		}
		again := items[3]
		wantErr(t, tx.AddOutbox(&again), ErrDuplicate)
		return nil
	})
	check := func(tx *Tx) {
		t.Helper()
		if got, err := tx.Outbox(0, 100); err != nil || fmt.Sprint(got) != fmt.Sprint(items) {
			t.Errorf("got %v, %v", got, err)
		}
	}
	update(t, v, func(tx *Tx) error {
		check(tx)
		if got, err := tx.Outbox(items[2].ID, 3); err != nil || fmt.Sprint(got) != fmt.Sprint(items[3:6]) {
			t.Errorf("got %v, %v", got, err)
		}
		if got, err := tx.OutboxItem(items[4].ItemID); err != nil || fmt.Sprint(got) != fmt.Sprint(items[4]) {
			t.Errorf("got %v, %v", got, err)
		}
		items[4].Attempts, items[4].Payload, items[4].Kind = 5, []byte("resealed"), 9
		if err := tx.UpdateOutbox(items[4]); err != nil {
			return err
		}
		check(tx)
		// A new item stands behind all others.
		if err := tx.RemoveOutbox(items[9].ID); err != nil {
			return err
		}
		o := OutboxItem{ItemID: [16]byte{0xff}, Payload: []byte{}}
		if err := tx.AddOutbox(&o); err != nil {
			return err
		}
		items[9] = o
		check(tx)
		return tx.RemoveOutbox(12345)
	})
}

func TestKeyPackages(t *testing.T) {
	v, _ := newVault(t)
	update(t, v, func(tx *Tx) error {
		for i := range 10 {
			if err := tx.PutKeyPackage([]byte{byte(i)}, []byte{byte(i), 1}, testTime.Add(time.Duration(i)*time.Hour), i >= 8); err != nil {
				return err
			}
		}
		wantErr(t, tx.PutKeyPackage([]byte{3}, nil, testTime, false), ErrDuplicate)
		n, err := tx.ExpireKeyPackages(testTime.Add(2 * time.Hour))
		if err != nil || n != 3 {
			t.Errorf("expired %d, %v", n, err)
		}
		single, err1 := tx.KeyPackageCount(false)
		last, err2 := tx.KeyPackageCount(true)
		if err1 != nil || err2 != nil || single != 5 || last != 2 {
			t.Errorf("%d single, %d of last resort, %v, %v", single, last, err1, err2)
		}
		if b, err := tx.KeyPackage([]byte{3}); err != nil || !bytes.Equal(b, []byte{3, 1}) {
			t.Errorf("got %v, %v", b, err)
		}
		if err := tx.DeleteKeyPackage([]byte{3}); err != nil {
			return err
		}
		for _, ref := range []byte{2, 3} {
			_, err := tx.KeyPackage([]byte{ref})
			wantErr(t, err, ErrNotFound)
		}
		return nil
	})
}

func TestMLSRecords(t *testing.T) {
	v, _ := newVault(t)
	rapid.Check(t, func(t *rapid.T) {
		model := map[[16]byte]map[string]string{}
		groups := [][16]byte{{1}, {1, 0, 1}, {0xff}}
		err := v.Update(contextOf(t), func(tx *Tx) error {
			for _, g := range groups {
				model[g] = map[string]string{}
				if err := tx.DeleteMLS(g); err != nil {
					return err
				}
			}
			for range rapid.IntRange(0, 40).Draw(t, "steps") {
				g := rapid.SampledFrom(groups).Draw(t, "group")
				changes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2][]byte {
					key := rapid.SliceOfN(rapid.ByteRange(0, 2), 0, 2).Draw(t, "key")
					if rapid.Bool().Draw(t, "delete") {
						return [2][]byte{key, nil}
					}
					return [2][]byte{key, append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")...)}
				}), 0, 5).Draw(t, "changes")
				for _, c := range changes {
					if c[1] == nil {
						delete(model[g], string(c[0]))
					} else {
						model[g][string(c[0])] = string(c[1])
					}
				}
				if err := tx.PutMLS(g, func(yield func(k, v []byte) bool) {
					for _, c := range changes {
						if !yield(c[0], c[1]) {
							return
						}
					}
				}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = v.View(contextOf(t), func(tx *Tx) error {
			var want [][16]byte
			for _, g := range groups {
				if len(model[g]) > 0 {
					want = append(want, g)
				}
				all, err := tx.MLSRecords(g)
				if err != nil {
					return err
				}
				got := map[string]string{}
				var keys []string
				for k, v := range all {
					if v == nil {
						t.Errorf("a value is nil")
					}
					got[string(k)] = string(v)
					keys = append(keys, string(k))
				}
				if !maps.Equal(got, model[g]) || !slices.IsSorted(keys) {
					t.Errorf("got %q, want %q", got, model[g])
				}
				for k, v := range got {
					if one, err := tx.MLSRecord(g, []byte(k)); err != nil || string(one) != v {
						t.Errorf("got %q, %v", one, err)
					}
				}
			}
			slices.SortFunc(want, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
			if got, err := tx.MLSGroups(); err != nil || !slices.Equal(got, want) {
				t.Errorf("groups %x, %v, want %x", got, err, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
