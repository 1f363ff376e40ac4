package vault

import (
	"bytes"
	"errors"
	"testing"
)

func TestEvidence(t *testing.T) {
	v, _ := newVault(t)
	conv, other := putConversation(t, v, 1), putConversation(t, v, 2)
	var messages []Message
	update(t, v, func(tx *Tx) error {
		for n := range 3 {
			m := Message{Conversation: conv, MessageID: messageID(n + 1), Kind: MessageText, Body: "text", State: MessageReceived}
			if err := tx.InsertMessage(&m); err != nil {
				return err
			}
			if err := tx.PutEvidence(m, Evidence{Proof: []byte{byte(n)}, Certificate: []byte("one device")}); err != nil {
				return err
			}
			messages = append(messages, m)
		}
		return nil
	})
	update(t, v, func(tx *Tx) error {
		if err := tx.PutEvidence(messages[0], Evidence{Proof: []byte("another")}); !errors.Is(err, ErrDuplicate) {
			t.Errorf("a second time: %v", err)
		}
		for n, m := range messages {
			e, err := tx.Evidence(conv, m.MessageID)
			if err != nil || !bytes.Equal(e.Proof, []byte{byte(n)}) || string(e.Certificate) != "one device" {
				t.Errorf("%q, %v", e, err)
			}
		}
		if _, err := tx.Evidence(other, messages[0].MessageID); !errors.Is(err, ErrNotFound) {
			t.Errorf("in another conversation: %v", err)
		}
		stored, err := queryOne(tx, scanInt, `SELECT count(*) FROM certificates WHERE certificate = ?`, []byte("one device"))
		if err != nil || stored != 1 {
			t.Errorf("the certificate is stored %d times, %v", stored, err)
		}
		return nil
	})
	// It goes with its message.
	update(t, v, func(tx *Tx) error { return tx.DeleteConversation(conv) })
	update(t, v, func(tx *Tx) error {
		left, err := queryOne(tx, scanInt, `SELECT count(*) FROM evidence`)
		if err != nil || left != 0 {
			t.Errorf("%d are left, %v", left, err)
		}
		return nil
	})
}
