package vault

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever is stored, no file of the vault shows it: not while it is open, not
// after.
func TestNothingReadableOnDisk(t *testing.T) {
	v, dir := newVault(t)
	const marker = "xylophone-marker"
	m := []byte(marker)
	secrets := []string{marker[:13], testPassword, "SQLite format", "CREATE TABLE", "messages", string(v.key.bytes[:]), hex.EncodeToString(v.key.bytes[:])}
	update(t, v, func(tx *Tx) error {
		for i := range 50 {
			var id [16]byte
			copy(id[:], fmt.Sprintf("%s%d", marker[:13], i))
			msg := Message{Conversation: id, MessageID: id, Kind: MessageText, Body: marker, Seq: 1, State: MessageReceived}
			long := msg
			long.MessageID[0]++
			long.Body = strings.Repeat(marker, 2000)
			for _, err := range []error{
				tx.PutConversation(Conversation{ID: id, Title: marker, Kind: ConversationGroup, State: ConversationActive}),
				tx.PutContact(Contact{AccountID: id, AccountKey: m, Name: marker}),
				tx.InsertMessage(&msg), tx.InsertMessage(&long),
				tx.PutSetting(fmt.Sprint(marker, i), bytes.Repeat(m, 100)),
				tx.PutMLS(id, records(marker, marker)),
				tx.AddOutbox(&OutboxItem{ItemID: id, Payload: m}),
				tx.PutKeyPackage(id[:], m, testTime, false),
			} {
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	check := func(when string, least int) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, e := range entries {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			total += len(b)
			for _, secret := range secrets {
				if bytes.Contains(b, []byte(secret)) {
					t.Errorf("%s: %s shows %q", when, e.Name(), secret)
				}
			}
		}
		if total < least {
			t.Errorf("%s: %d bytes looked at", when, total)
		}
	}
	check("open", 1<<20)
	update(t, v, func(tx *Tx) error { return tx.DeleteSetting(marker + "0") })
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	check("closed", 1<<20)
}
