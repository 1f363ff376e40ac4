package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filledVault makes a closed vault with a conversation of n messages.
func filledVault(t testing.TB, n int) (dir string, conv [16]byte) {
	t.Helper()
	v, dir := newVault(t)
	conv = putConversation(t, v, 1)
	fill(t, v, conv, n)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, conv
}

func fill(t testing.TB, v *Vault, conv [16]byte, n int) {
	t.Helper()
	update(t, v, func(tx *Tx) error {
		for i := range n {
			m := Message{
				Conversation: conv, MessageID: messageID(i), Sender: [16]byte{byte(i)}, Kind: MessageText,
				Body:   fmt.Sprintf("message %d: %s", i, bytes.Repeat([]byte("words "), i%40)),
				SentAt: testTime, ReceivedAt: testTime, Seq: uint64(i + 1), State: MessageReceived, Unread: i >= n-5,
			}
			if err := tx.InsertMessage(&m); err != nil {
				return err
			}
		}
		return nil
	})
}

func messageID(i int) (id [16]byte) {
	// Spread like random ids.
	binary.BigEndian.PutUint64(id[:], uint64(i+1)*0x9e3779b97f4a7c15)
	return id
}

// readAll reads every message of the vault, by table and by index.
func readAll(t *testing.T, dir string, conv [16]byte) error {
	v, err := Open(dir, testPassword, cheap)
	if err != nil {
		return err
	}
	defer v.Close()
	return v.View(t.Context(), func(tx *Tx) error {
		if _, err := tx.Conversations(); err != nil {
			return err
		}
		list, err := tx.Messages(conv, Page{Limit: 1 << 20})
		if err != nil {
			return err
		}
		for _, m := range list {
			if _, err := tx.MessageByID(conv, m.MessageID); err != nil {
				return err
			}
		}
		if len(list) != 300 {
			t.Errorf("read %d messages without an error", len(list))
		}
		return nil
	})
}

func TestTamperedPage(t *testing.T) {
	dir, conv := filledVault(t, 300)
	path := filepath.Join(dir, dbName)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := readAll(t, dir, conv); err != nil {
		t.Fatal(err)
	}
	const pageSize = 4096
	caught := 0
	for page := range len(sound) / pageSize {
		damaged := bytes.Clone(sound)
		damaged[page*pageSize+100] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		// A page of a table that nothing here reads stays unnoticed.
		if err := readAll(t, dir, conv); err != nil {
			t.Log(page, err)
			wantErr(t, err, ErrCorrupt)
			caught++
		}
	}
	if caught < 10 {
		t.Errorf("%d of %d damaged pages were noticed", caught, len(sound)/pageSize)
	}
}

// A body that fills many pages comes back whole or not at all.
func TestTamperedOverflowPage(t *testing.T) {
	v, dir := newVault(t)
	conv := putConversation(t, v, 1)
	body := strings.Repeat("abcdefgh", 4000)
	update(t, v, func(tx *Tx) error {
		return tx.InsertMessage(&Message{Conversation: conv, MessageID: messageID(1), Kind: MessageText, Body: body, Seq: 1, State: MessageReceived})
	})
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, dbName)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	caught := 0
	for page := range len(sound) / 4096 {
		damaged := bytes.Clone(sound)
		damaged[page*4096+100] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		var got Message
		v, err := Open(dir, testPassword, cheap)
		if err == nil {
			err = v.View(t.Context(), func(tx *Tx) (err error) {
				got, err = tx.MessageByID(conv, messageID(1))
				return err
			})
			v.Close() // may well fail
		}
		if err != nil {
			wantErr(t, err, ErrCorrupt)
			caught++
		} else if got.Body != body {
			t.Fatalf("page %d: damage was read as content", page)
		}
	}
	if caught < len(body)/4096 {
		t.Errorf("%d damaged pages were noticed", caught)
	}
}

// A write that meets a damaged page changes nothing.
func TestWriteOnTamperedPage(t *testing.T) {
	dir, conv := filledVault(t, 300)
	path := filepath.Join(dir, dbName)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	caught := 0
	for offset := 1024; offset < len(sound); offset += 1024 {
		damaged := bytes.Clone(sound)
		damaged[offset+100] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := Open(dir, testPassword, cheap)
		if errors.Is(err, ErrCorrupt) {
			continue // it holds the schema
		}
		if err != nil {
			t.Fatal(err)
		}
		err = v.Update(t.Context(), func(tx *Tx) error {
			if err := tx.PutSetting("a", []byte("b")); err != nil {
				return err
			}
			_ = tx.InsertMessage(&Message{Conversation: conv, MessageID: messageID(1000), Kind: MessageText, Seq: 1000, State: MessageReceived})
			return nil // what failed must not be committed all the same
		})
		v.Close() // may well fail
		if err != nil {
			wantErr(t, err, ErrCorrupt)
			caught++
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(after, damaged) {
				t.Errorf("offset %d: a failed transaction changed the file", offset)
			}
		}
	}
	if caught < 3 {
		t.Errorf("%d damaged pages were noticed", caught)
	}
}
