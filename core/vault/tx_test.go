package vault

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
)

func TestRollback(t *testing.T) {
	v, _ := newVault(t)
	conv := putConversation(t, v, 1)
	boom := errors.New("boom")
	write := func(tx *Tx) {
		m := Message{Conversation: conv, MessageID: messageID(1), Kind: MessageText, Body: "x", Seq: 1, State: MessageReceived, Unread: true}
		for _, err := range []error{
			tx.PutSetting("cursor", []byte("1")),
			tx.InsertMessage(&m),
			tx.AddOutbox(&OutboxItem{Conversation: conv}),
			tx.PutMLS(conv, records("k", "v")),
		} {
			if err != nil {
				t.Error(err)
			}
		}
	}
	unchanged := func() {
		t.Helper()
		view(t, v, func(tx *Tx) error {
			_, err := tx.Setting("cursor")
			wantErr(t, err, ErrNotFound)
			_, err = tx.MessageByID(conv, messageID(1))
			wantErr(t, err, ErrNotFound)
			items, err := tx.Outbox(0, 10)
			if err != nil || len(items) != 0 {
				t.Errorf("outbox %v, %v", items, err)
			}
			c, err := tx.Conversation(conv)
			if err != nil || c.Unread != 0 || c.Last != nil {
				t.Errorf("conversation %+v, %v", c, err)
			}
			got, err := tx.MLSRecords(conv)
			if err != nil {
				return err
			}
			for k := range got {
				t.Errorf("record %q", k)
			}
			return nil
		})
	}

	err := v.Update(t.Context(), func(tx *Tx) error { write(tx); return boom })
	wantErr(t, err, boom)
	unchanged()

	func() {
		defer func() {
			if recover() != "panicked" {
				t.Error("the panic was swallowed")
			}
		}()
		_ = v.Update(t.Context(), func(tx *Tx) error { write(tx); panic("panicked") })
	}()
	unchanged()

	ctx, cancel := context.WithCancel(t.Context())
	err = v.Update(ctx, func(tx *Tx) error { write(tx); cancel(); return nil })
	wantErr(t, err, context.Canceled)
	unchanged()

	// A statement that failed is not forgotten, even if fn forgets it.
	err = v.Update(t.Context(), func(tx *Tx) error {
		write(tx)
		_, _ = tx.exec("INSERT INTO outbox (id) VALUES (1)")
		_, err := tx.Setting("x")
		if err == nil || errors.Is(err, ErrNotFound) {
			t.Error("the failed transaction went on:", err)
		}
		return nil
	})
	if err == nil {
		t.Error("a failed transaction was committed")
	}
	unchanged()

	update(t, v, func(tx *Tx) error { write(tx); return nil })
}

func TestBrokenConnectionIsReplaced(t *testing.T) {
	v, _ := newVault(t)
	err := v.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.conn.sql.ExecContext(t.Context(), "ROLLBACK")
		return errors.Join(err, errors.New("boom"))
	})
	if err == nil {
		t.Fatal("no error")
	}
	update(t, v, func(tx *Tx) error { return tx.PutSetting("a", []byte("b")) })
}

func TestSoftErrorsKeepTheTransaction(t *testing.T) {
	v, _ := newVault(t)
	conv := putConversation(t, v, 1)
	update(t, v, func(tx *Tx) error {
		m := Message{Conversation: conv, MessageID: messageID(1), Kind: MessageText, Body: "x", Seq: 1, State: MessageReceived, Unread: true}
		if err := tx.InsertMessage(&m); err != nil {
			return err
		}
		wantErr(t, tx.InsertMessage(&m), ErrDuplicate)
		_, err := tx.Setting("none")
		wantErr(t, err, ErrNotFound)
		wantErr(t, tx.InsertMessage(&Message{Conversation: conv, Seq: 1 << 63}), ErrInvalid)
		wantErr(t, tx.InsertMessage(&Message{Conversation: conv, Body: "\xff"}), ErrInvalid)
		wantErr(t, tx.InsertMessage(&Message{}), ErrNotFound)
		wantErr(t, tx.UpdateMessage(&Message{ID: 99}), ErrNotFound)
		wantErr(t, tx.UpdateMessage(&Message{ID: m.ID, Conversation: [16]byte{9}}), ErrInvalid)
		wantErr(t, tx.UpdateOutbox(OutboxItem{ID: 99}), ErrNotFound)
		return nil
	})
	view(t, v, func(tx *Tx) error {
		c, err := tx.Conversation(conv)
		if err != nil || c.Unread != 1 {
			t.Errorf("unread %d, %v", c.Unread, err)
		}
		return nil
	})
}

func TestTxMisuse(t *testing.T) {
	v, _ := newVault(t)
	var kept *Tx
	view(t, v, func(tx *Tx) error {
		kept = tx
		wantErr(t, tx.PutSetting("a", nil), ErrReadOnly)
		return nil
	})
	_, err := kept.Setting("a")
	wantErr(t, err, ErrTxDone)
	update(t, v, func(tx *Tx) error { kept = tx; return nil })
	wantErr(t, kept.PutSetting("a", nil), ErrTxDone)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, v.Update(ctx, func(*Tx) error { t.Error("ran"); return nil }), context.Canceled)

	// Waiting for one's turn ends with the context.
	update(t, v, func(*Tx) error {
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- v.Update(ctx, func(*Tx) error { t.Error("ran"); return nil }) }()
		cancel()
		wantErr(t, <-result, context.Canceled)
		return nil
	})
}

func TestViewIsASnapshot(t *testing.T) {
	v, _ := newVault(t)
	put := func(s string) { update(t, v, func(tx *Tx) error { return tx.PutSetting("a", []byte(s)) }) }
	put("old")
	view(t, v, func(tx *Tx) error {
		for _, next := range []string{"new", "newer"} {
			got, err := tx.Setting("a")
			if err != nil || string(got) != "old" {
				t.Errorf("got %q, %v", got, err)
			}
			put(next) // beside the reader
		}
		return nil
	})
	view(t, v, func(tx *Tx) error {
		got, err := tx.Setting("a")
		if err != nil || string(got) != "newer" {
			t.Errorf("got %q, %v", got, err)
		}
		return nil
	})
}

// Writers count in a setting and insert a message for each count; readers must
// always see as many of one as of the other.
func TestConcurrency(t *testing.T) {
	v, _ := newVault(t)
	conv := putConversation(t, v, 1)
	count := func(tx *Tx) (uint64, error) {
		b, err := tx.Setting("count")
		if errors.Is(err, ErrNotFound) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		return binary.BigEndian.Uint64(b), nil
	}
	const writers, each, readers = 4, 50, 8
	var writing, reading sync.WaitGroup
	stop := make(chan struct{})
	for range writers {
		writing.Go(func() {
			for range each {
				err := v.Update(t.Context(), func(tx *Tx) error {
					n, err := count(tx)
					if err != nil {
						return err
					}
					m := Message{Conversation: conv, MessageID: messageID(int(n)), Kind: MessageText, Body: fmt.Sprint(n), Seq: n + 1, State: MessageReceived, Unread: true}
					return errors.Join(tx.InsertMessage(&m), tx.PutSetting("count", binary.BigEndian.AppendUint64(nil, n+1)))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range readers {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := v.View(t.Context(), func(tx *Tx) error {
					n, err := count(tx)
					if err != nil {
						return err
					}
					list, err := tx.Messages(conv, Page{Limit: 1000})
					if err != nil {
						return err
					}
					c, err := tx.Conversation(conv)
					if err != nil {
						return err
					}
					if uint64(len(list)) != n || uint64(c.Unread) != n {
						t.Errorf("count %d, %d messages, %d unread", n, len(list), c.Unread)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	view(t, v, func(tx *Tx) error {
		if n, err := count(tx); err != nil || n != writers*each {
			t.Errorf("count %d, %v", n, err)
		}
		return nil
	})
}

func TestDiskFull(t *testing.T) {
	v, _ := newVault(t)
	conv := putConversation(t, v, 1)
	limit := func(pages int) {
		t.Helper()
		if err := v.with(t.Context(), v.writer, func(c *conn) error {
			_, err := c.sql.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	limit(30)
	put := func(tx *Tx) error {
		if err := tx.PutSetting("a", []byte("b")); err != nil {
			return err
		}
		return tx.PutMLS(conv, records("k", string(make([]byte, 1<<20))))
	}
	wantErr(t, v.Update(t.Context(), put), ErrFull)
	view(t, v, func(tx *Tx) error {
		_, err := tx.Setting("a")
		wantErr(t, err, ErrNotFound)
		return nil
	})
	limit(1 << 30)
	update(t, v, put)
}

func TestSettingsOfConnection(t *testing.T) {
	v, _ := newVault(t)
	for _, weaker := range []string{"synchronous = NORMAL", "secure_delete = OFF", "foreign_keys = OFF", "temp_store = FILE"} {
		err := v.with(t.Context(), v.writer, func(c *conn) error {
			if err := c.checkSettings(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := c.sql.ExecContext(t.Context(), "PRAGMA "+weaker); err != nil {
				t.Error(err)
			}
			c.broken = true
			return c.checkSettings(t.Context())
		})
		if err == nil {
			t.Errorf("%s was accepted", weaker)
		}
	}
}
